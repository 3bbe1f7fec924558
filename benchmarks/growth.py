"""How time grows with what is asked for, and whether memory grows when it should not."""

import gc
import statistics
from typing import NamedTuple

from .sides import Side, alternate, sides


class Point(NamedTuple):
    """One measured point of a series.

    series: what was changed; value: to what; settings: of the side that was timed; seconds: the single times.
    """

    series: str
    value: int
    settings: dict
    seconds: list

    @property
    def median_s(self):
        return statistics.median(self.seconds)


def plan(settings):
    """What is timed: one thing is changed at a time, from `settings` with a quarter of the image's sides.

    Args:
        settings: `precision`, `image_size`, `batch` and `backbone`; the image size is the largest that is timed.

    Returns:
        a list of (series, value, task, settings).
    """
    # Sides are multiples of 64; small ones coincide.
    largest = settings["image_size"]
    sizes = dict.fromkeys(tuple(max(64, side * n // 4 // 64 * 64) for side in largest) for n in (1, 2, 3, 4))
    base = settings | {"image_size": next(iter(sizes))}
    changes = [
        *(("image area, pixels", size[0] * size[1], "Detection", {"image_size": size}) for size in sizes),
        *(("batch", batch, "Detection", {"batch": batch}) for batch in (1, 2, 4)),
        *(("classes", count, "Detection", {"NUM_CLASSES": count}) for count in (2, 81, 1204)),
        *(("proposals", count, "Detection", {"POST_NMS_ROIS_INFERENCE": count}) for count in (250, 500, 1000, 2000)),
        *(("objects in training", count, "Training", {"objects": count}) for count in (1, 10, 100)),
    ]
    return [(series, value, task, base | changed) for series, value, task, changed in changes]


def measure_growth(settings, environment, repeats):
    """A list of `Point`, in the order of `plan(settings)`; prints each."""
    points = []
    for series, value, task, changed in plan(settings):
        with sides(lambda t=task, c=changed: Side(f"benchmarks.ours:{t}", c, environment)) as (side,):
            (seconds,) = alternate([side], repeats)
        points.append(Point(series, value, changed, seconds))
        print(f"{series} {value}: {points[-1].median_s:.3f} s", flush=True)
    return points


def draw_growth(points, path):
    """Draws each series' median times against its values as PNG, and the line from zero to the last of them.

    Where times lie above the line, the last value costs less than in proportion.
    """
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    names = list(dict.fromkeys(point.series for point in points))
    figure, axes = plt.subplots(1, len(names), figsize=(3.2 * len(names), 3), layout="constrained")
    for axis, name in zip(axes, names, strict=True):
        values, seconds = zip(*((p.value, p.median_s) for p in points if p.series == name), strict=True)
        axis.plot(values, seconds, "o-", label="measured")
        axis.plot([0, values[-1]], [0, seconds[-1]], ":", color="grey", label="in proportion")
        axis.set(xlabel=name, xlim=0, ylim=(0, 1.15 * max(seconds)))
        axis.xaxis.set_major_formatter(matplotlib.ticker.EngFormatter(sep=""))
    axes[0].set_ylabel("seconds")
    axes[0].legend(loc="upper left")
    figure.savefig(path, dpi=110)
    plt.close(figure)


class Endurance:
    """Many detections or training steps of a small model.

    Args:
        task: `"Detection"` or `"Training"`.
    """

    def __init__(self, task):
        from . import ours

        small = {"precision": "float32", "image_size": (128, 128), "batch": 1, "backbone": "light", "NUM_CLASSES": 3,
                 "TOP_DOWN_PYRAMID_SIZE": 32, "FPN_CLASSIF_FC_LAYERS_SIZE": 64, "DETECTION_MAX_INSTANCES": 10,
                 "POST_NMS_ROIS_INFERENCE": 50, "TRAIN_ROIS_PER_IMAGE": 16, "rpn_channels": 32}  # fmt: skip
        self.task = getattr(ours, task)(**small)

    def resident(self, runs):
        """Resident memory in MiB after `runs` more runs."""
        for _ in range(runs):
            self.task.run()
        gc.collect()
        with open("/proc/self/status") as file:
            kilobytes = next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))
        return kilobytes / 1024
