"""How time grows with what is asked for, and whether memory grows when it should not."""

import gc

from .sides import Side, sides

# One thing is changed at a time, from this.
BASE = {"precision": "float32", "image_size": (256, 256), "batch": 1, "backbone": "resnet50"}
SERIES = {
    "image area, pixels": [(side * side, "Detection", {"image_size": (side, side)}) for side in (256, 512, 768, 1024)],
    "batch": [(batch, "Detection", {"batch": batch}) for batch in (1, 2, 4)],
    "classes": [(count, "Detection", {"NUM_CLASSES": count}) for count in (2, 81, 1204)],
    "proposals": [(count, "Detection", {"POST_NMS_ROIS_INFERENCE": count}) for count in (250, 500, 1000, 2000)],
    "objects in training": [(count, "Training", {"objects": count}) for count in (1, 10, 100)],
}


def measure_growth(environment, repeats):
    """Median times of every series.

    Returns:
        `{series: [(value, seconds), ...]}`.
    """
    found = {}
    for name, points in SERIES.items():
        found[name] = []
        for value, task, changed in points:
            with sides(lambda t=task, c=changed: Side(f"benchmarks.ours:{t}", BASE | c, environment)) as (side,):
                for _ in range(2):
                    side.time()
                times = sorted(side.time() for _ in range(repeats))
                found[name].append((value, times[len(times) // 2]))
                print(f"{name} {value}: {found[name][-1][1]:.3f} s")
    return found


def draw_growth(found, path):
    """Draws time against each value, with a line through the first point in proportion to it."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(found), figsize=(3.2 * len(found), 3), constrained_layout=True)
    for axis, (name, points) in zip(axes, found.items(), strict=True):
        values, seconds = zip(*points, strict=True)
        axis.plot(values, seconds, "o-")
        axis.plot(values, [seconds[0] * value / values[0] for value in values], ":", color="grey")
        axis.set(xlabel=name, ylim=(0, 1.15 * max(seconds)))
    axes[0].set_ylabel("seconds")
    figure.savefig(path, dpi=90)
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
