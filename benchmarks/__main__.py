"""Measures this package, beside torchvision where it is installed, and prints tables.

    python -m benchmarks detect --image-size 1024 --backbone resnet101
    python -m benchmarks all --json results.json

Every side runs in a process of its own; sides that are compared take turns. `floor_s` is the time that the network's
multiplications alone take, see `benchmarks/floor.py`.
"""

import argparse
import importlib.util
import os
import statistics
from functools import partial

from .growth import draw_growth, measure_growth
from .rows import Row, machine, show, versions, write
from .sides import Side, alternate, sides

# What both sides must agree on when they are compared.
PROPOSALS, DETECTIONS = 1000, 100
TRAINING_PROPOSALS, SAMPLED, POSITIVE = 2000, 200, 0.33
OBJECTS_OF_THE_PAIR = 66
PAIRED_RPN_CHANNELS = 256
# Some builds of PyTorch crash in a process that has loaded TensorFlow.
PEER_ENVIRONMENT = {"KERAS_BACKEND": "torch"}
HOST_TASKS = {
    "reading an image": "load_image",
    "masks of an image from polygons": "load_mask",
    "load_image_gt, mini masks": "load_image_gt_flipped_early",
    "load_image_gt, mini masks, flip": "load_image_gt",
    "a training batch of 2": "batch",
    "pasting 100 masks into 480x640": "paste",
}
IMPORTS = {"import keras": ("sys", "keras"), "import mrcnn, after keras": ("keras", "mrcnn, mrcnn.model")}


def environment(args):
    return {"KERAS_BACKEND": args.backend}


def settings(args):
    return {name: getattr(args, name) for name in ("precision", "image_size", "batch", "backbone")}


def peer_is_there(args):
    return args.peer and importlib.util.find_spec("torchvision") is not None


def detect(args):
    """`detect()` with COCO's defaults, its floor and its parts; then beside torchvision at equal widths."""
    with sides(lambda: Side("benchmarks.ours:Detection", settings(args), environment(args))) as (ours,):
        first = ours.time()
        (times,) = alternate([ours], args.repeats, warm_up=1)
        counts, peak = ours.call("counts"), ours.peak_mib()
        floor = ours.call("floor", args.repeats)
        (again,) = alternate([ours], args.repeats, warm_up=1)
        parts = _parts(ours, args.repeats)
    notes = counts | {
        "first detect, s": first,
        "billions of multiplications": floor["multiplications"],
        "billions a second at the floor": floor["rate"],
    }
    rows = [_row("detect", times + again, args, floor_s=floor["seconds"], peak_mib=peak, parts=parts, notes=notes)]
    if peer_is_there(args):
        shared = settings(args)
        counts = {"POST_NMS_ROIS_INFERENCE": PROPOSALS, "DETECTION_MAX_INSTANCES": DETECTIONS}
        peer = shared | {"proposals": PROPOSALS, "detections": DETECTIONS}
        rows += _pair("detect", "Detection", shared | counts | {"rpn_channels": PAIRED_RPN_CHANNELS}, peer, args)
    return rows


def train(args):
    """A training step of all layers, with its floor; beside torchvision at equal widths; fed by the loader.

    torchvision adds the objects to its proposals, and so has its share of positives whatever the RPN proposes; in the
    pair ours does too.
    """
    with sides(lambda: Side("benchmarks.ours:Training", settings(args), environment(args))) as (ours,):
        first = ours.time()
        (times,) = alternate([ours], args.repeats, warm_up=1)
        peak, counts = ours.peak_mib(), ours.call("counts")
        floor = ours.call("floor", args.repeats)
        (again,) = alternate([ours], args.repeats, warm_up=1)
        parts = _parts(ours, args.repeats)
    times += again
    parts["backward and update"] = statistics.median(times) - parts["forward"]
    notes = counts | {"first step, s": first, "billions of multiplications": floor["multiplications"] * 3}
    # The gradients of a product towards its input and its kernel are two products of the same size.
    rows = [_row("train", times, args, floor_s=3 * floor["seconds"], peak_mib=peak, parts=parts, notes=notes)]
    if peer_is_there(args):
        shared = settings(args) | {"objects": OBJECTS_OF_THE_PAIR}
        ours = {"POST_NMS_ROIS_TRAINING": TRAINING_PROPOSALS, "TRAIN_ROIS_PER_IMAGE": SAMPLED,
                "ROI_POSITIVE_RATIO": POSITIVE, "rpn_channels": PAIRED_RPN_CHANNELS, "ROI_TARGETS": "fill"}  # fmt: skip
        peer = {"proposals": TRAINING_PROPOSALS, "rois": SAMPLED, "positives": POSITIVE}
        rows += _pair("train", "Training", shared | ours, shared | peer, args)
    return [*rows, _feeding(args)]


def devices(args):
    """Training steps fed by the loader on 1, 2, 4 ... devices, `--batch` images on each."""
    rows = []
    for count in args.devices:
        row = _feeding(args, count)
        images = count * args.batch / row.median_s
        row.notes |= {"images a second": images}
        row.notes |= {"times those of the first": images / rows[0].notes["images a second"]} if rows else {}
        rows.append(row)
    return rows


def _feeding(args, count=1):
    """Steps fed by the loader, with the time that they wait for it; on `count` devices."""
    options = settings(args) | {"images": args.images, "annotations": args.annotations, "IMAGE_RESIZE_MODE": "square"}
    options |= {"image_size": (max(args.image_size),) * 2, "GPU_COUNT": count}
    with sides(lambda: Side("benchmarks.feeding:Feeding", options, environment(args))) as (side,):
        found = side.call("devices")
        if found != count:
            raise SystemExit(f"{count} devices were asked for, and {args.backend} has {found}.")
        seconds, waits = side.call("epoch", 1 + 4 * args.repeats)
    notes = {"longest wait, s": max(waits), "share of the time waited": sum(waits) / sum(seconds)}
    name = "train, fed by the loader" + f", {count} devices" * (count > 1)
    return _row(name, seconds, _changed(args, batch=count * args.batch), notes=notes)


def _parts(side, repeats):
    parts = {}
    for name in side.call("part_names"):
        side.time("run_part", name)
        parts[name] = statistics.median(side.time("run_part", name) for _ in range(repeats))
    return parts


def _pair(name, task, ours, peer, args):
    """Ours and torchvision's in turn, in float32 too where that could be its best, and the ratio to the faster one."""
    precisions = list(dict.fromkeys([args.precision, "float32"]))
    with sides(
        lambda: Side(f"benchmarks.ours:{task}", ours, environment(args)),
        *(partial(_torchvision, task, peer | {"precision": precision}) for precision in precisions),
    ) as contestants:
        times = alternate(contestants, args.repeats)
        peaks = [side.peak_mib() for side in contestants]
        notes = [side.call("counts") for side in contestants]
    best = min(range(1, len(times)), key=lambda i: statistics.median(times[i]))
    ratios = [a / b for a, b in zip(times[0], times[best], strict=True)]
    notes[0]["ratio to torchvision"] = statistics.median(ratios)
    notes[0]["ratio to torchvision's best"] = min(times[0]) / min(times[best])
    notes[0]["memory to torchvision's"] = peaks[0] / peaks[best]
    contenders = [("mrcnn", args.precision), *(("torchvision", precision) for precision in precisions)]
    return [
        _row(f"{name}, equal widths, {who}", times[i], _changed(args, precision=precision), peak_mib=peaks[i],
             notes=notes[i])
        for i, (who, precision) in enumerate(contenders)
    ]  # fmt: skip


def _torchvision(task, settings):
    return Side(f"benchmarks.torchvision_side:{task}", settings, PEER_ENVIRONMENT)


def data(args):
    """Reading, masks, batches, pasting, importing."""
    options = {"image_size": max(args.image_size), "images": args.images, "annotations": args.annotations}
    with sides(lambda: Side("benchmarks.host:Host", options, environment(args))) as (host,):
        pictures, objects = host.call("sizes")
        notes = {"pictures": pictures, "objects": objects}
        rows = []
        for name, method in HOST_TASKS.items():
            (times,) = alternate([host], max(args.repeats, pictures), method=method)
            rows.append(_row(name, times, args, notes=notes if not rows else {}))
        for name, modules in IMPORTS.items():
            times = [host.call("seconds_to_import", *modules) for _ in range(args.repeats)]
            rows.append(_row(name, times, args))
    return rows


def ops(args):
    """Single operations, beside torchvision's kernels."""
    makers = [lambda: Side("benchmarks.operators:Ours", environment=environment(args))]
    if peer_is_there(args):
        makers.append(lambda: Side("benchmarks.operators:Torchvision", environment=PEER_ENVIRONMENT))
    rows = []
    with sides(*makers) as started:
        known = [set(side.call("names")) for side in started]
        for name in started[0].call("names"):
            chosen = [side for side, names in zip(started, known, strict=True) if name in names]
            for side in chosen:
                side.time("run", name), side.time("run", name)
            rounds = [[side.time("run", name) for side in chosen] for _ in range(args.repeats)]
            times = [list(column) for column in zip(*rounds, strict=True)]
            notes = {}
            if len(chosen) == 2:
                notes["ratio to torchvision"] = statistics.median(a / b for a, b in rounds)
                rows.append(_row(f"{name}, torchvision", times[1], args))
            rows.append(_row(name, times[0], args, notes=notes))
    return rows


def memory(args):
    """Resident memory over many detections and training steps of a small model."""
    rows = []
    for task in ("Detection", "Training"):
        with sides(lambda t=task: Side("benchmarks.growth:Endurance", {"task": t}, environment(args))) as (side,):
            tenth = max(1, args.runs // 10)
            resident = [side.call("resident", tenth)]
            times = []
            for _ in range(9):
                times.append(side.time("resident", tenth) / tenth)
                resident.append(side.call("resident", 0))
            notes = {f"MiB after {(i + 1) * tenth}": value for i, value in enumerate(resident)}
            rows.append(_row(f"memory, {task}", times, args, peak_mib=side.peak_mib(), notes=notes))
    return rows


def growth(args):
    """Time against image area, batch, classes, proposals and objects."""
    points = measure_growth(settings(args), environment(args), args.repeats)
    if args.figure:
        draw_growth(points, args.figure)
    return [
        _row(f"{point.series} {point.value}", point.seconds, _changed(args, **point.settings)) for point in points
    ]


def everything(args):
    """All of the above, with ResNet-101 too, and detection and training at half of the image's sides; with ResNet-50 in
    bfloat16 too, where the processor multiplies it.
    """
    rows = data(args) + ops(args) + memory(args) + growth(_changed(args, backbone="resnet50", batch=1))
    rows += detect(_changed(args, backbone="resnet101", batch=1))
    half = tuple(max(64, side // 128 * 64) for side in args.image_size)
    precisions = [args.precision] + ["bfloat16"] * ("bf16" in machine().get("vectors", ""))
    for precision in dict.fromkeys(precisions):
        same = _changed(args, backbone="resnet50", batch=1, precision=precision)
        rows += detect(same) + detect(_changed(same, image_size=half)) + train(_changed(same, image_size=half, batch=2))
    return rows


def _changed(args, **values):
    return argparse.Namespace(**vars(args) | values)


def _row(name, seconds, args, **more):
    return Row(name, seconds, settings=settings(args) | {"backend": args.backend}, **more)


COMMANDS = {"data": data, "ops": ops, "detect": detect, "train": train, "memory": memory, "growth": growth,
            "devices": devices, "all": everything}  # fmt: skip


def size(text):
    """`"1024"` or `"832x1344"` as (height, width)."""
    sides = [int(side) for side in text.split("x")]
    return (sides[0], sides[-1])


def parse(argv=None):
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=COMMANDS, help="what to measure")
    parser.add_argument("--backend", choices=("tensorflow", "jax", "torch"), help="of Keras",
                        default=os.environ.get("KERAS_BACKEND", "tensorflow"))  # fmt: skip
    parser.add_argument("--precision", choices=("float32", "bfloat16", "float16"), default="float32")
    parser.add_argument("--image-size", type=size, default=(1024, 1024), metavar="SIDE or HEIGHTxWIDTH",
                        help="pixels, multiples of 64; default 1024")  # fmt: skip
    parser.add_argument("--batch", type=int, default=1, help="images at once")
    parser.add_argument("--backbone", choices=("resnet50", "resnet101"), default="resnet50")
    parser.add_argument("--repeats", type=int, default=5, help="counted times of each thing")
    parser.add_argument("--runs", type=int, default=1000, help="detections and steps of `memory`")
    parser.add_argument("--devices", type=int, nargs="+", default=[1, 2], help="`devices`: numbers of GPUs")
    parser.add_argument("--images", help="`data`, `train`: folder of pictures; with --annotations")
    parser.add_argument("--annotations", help="`data`, `train`: COCO's file for them; without, pictures are made")
    parser.add_argument("--figure", help="`growth`: PNG file to draw")
    parser.add_argument("--no-peer", dest="peer", action="store_false", help="leave torchvision out")
    parser.add_argument("--json", metavar="FILE", help="write the rows there too")
    return parser.parse_args(argv)


def main(argv=None):
    args = parse(argv)
    print(f"{machine()}\n{versions()}\n")
    rows = COMMANDS[args.command](args)
    show(rows)
    if args.json:
        write(rows, args.json)


if __name__ == "__main__":
    main()
