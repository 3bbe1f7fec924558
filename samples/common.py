"""What the samples share: arguments, weights, pictures and `metrics.json`."""

import argparse
import importlib
import json
import os
import platform
import sys
from pathlib import Path

import keras
import numpy as np

from mrcnn import utils

ROOT_DIR = Path(__file__).resolve().parents[1]
DEFAULT_LOGS_DIR = ROOT_DIR / "logs"
COCO_WEIGHTS_PATH = ROOT_DIR / "mask_rcnn_coco.h5"

# Layers whose shapes depend on the number of classes: left out when COCO's weights start another task.
CLASS_LAYERS = ["mrcnn_class_logits", "mrcnn_bbox_fc", "mrcnn_bbox", "mrcnn_mask"]


def positive(kind):
    """Argument type: a number of `kind` (int or float) above zero."""

    def parse(text):
        value = kind(text)
        if not value > 0:
            raise argparse.ArgumentTypeError(f"{text} is not above zero")
        return value

    parse.__name__ = kind.__name__
    return parse


def zero_or_more(text):
    """Argument type: a whole number that is not negative."""
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text} is below zero")
    return value


def add_run_arguments(parser):
    """Add the options every sample has to an `argparse.ArgumentParser`; returns the parser."""
    parser.add_argument("--logs", default=str(DEFAULT_LOGS_DIR), metavar="DIR",
                        help="folder of logs and checkpoints (default: %(default)s)")
    parser.add_argument("--out", metavar="DIR", help="folder of metrics.json and pictures "
                        "(default: the run's log folder)")
    parser.add_argument("--seed", type=int, default=0, help="seed of all random numbers (default: 0)")
    parser.add_argument("--epochs", type=positive(int), help="total number of epochs")
    parser.add_argument("--steps", type=positive(int), help="training steps in an epoch")
    parser.add_argument("--minutes", type=positive(float), help="stop training cleanly after this time")
    parser.add_argument("--image-size", type=positive(int), metavar="PIXELS",
                        help="side of the network's input, a multiple of 64")
    parser.add_argument("--backbone", help="resnet50, resnet101, light or a keras.applications name")
    parser.add_argument("--norm", choices=("batch", "group"), help="normalisation: batch suits pretrained weights, "
                        "group random ones (the default of the light backbone)")
    parser.add_argument("--batch", type=positive(int), metavar="IMAGES", help="images in a training batch")
    return parser


def begin(seed):
    """Seed Python, numpy and Keras, and draw without a display."""
    import matplotlib

    matplotlib.use("Agg")
    keras.utils.set_random_seed(seed)


def configure(base, **overrides):
    """An instance of the Config class `base` with some attributes replaced; None leaves one alone.

    A subclass is made, rather than the instance changed, so that everything Config derives follows.
    """
    values = {name: value for name, value in overrides.items() if value is not None}
    return type(base.__name__, (base,), values)()


def build_model(mode, config, logs):
    """A `MaskRCNN` in `mode` ("training" or "inference") whose logs and checkpoints live under `logs`."""
    from mrcnn.model import MaskRCNN

    return MaskRCNN(mode=mode, config=config, model_dir=str(logs))


def load_weights(model, which, same_classes=False):
    """Load the weights that the command line names; returns their path, or None for "none".

    Args:
        model: a `MaskRCNN`.
        which: "coco" (downloaded once), "imagenet", "last" (newest checkpoint of the log folder), "none"
            (random weights) or a path.
        same_classes: True when the model has COCO's classes, so that "coco" may fill the class layers too.

    Raises:
        FileNotFoundError: a path that does not exist, or no checkpoint for "last".
        ConnectionError: weights that must be downloaded first, and cannot be.
    """
    name = which.lower()
    if name == "none":
        print("Weights: random")
        return None
    path = weights_path(model, which)
    print(f"Weights: {path}")
    exclude = CLASS_LAYERS if name == "coco" and not same_classes else None
    model.load_weights(path, by_name=True, exclude=exclude)
    return path


def weights_path(model, which):
    """The file that `which` of `load_weights` stands for, downloaded if need be."""
    name = which.lower()
    try:
        if name == "coco":
            utils.download_trained_weights(COCO_WEIGHTS_PATH)
            return str(COCO_WEIGHTS_PATH)
        if name == "imagenet":
            return str(model.get_imagenet_weights())
    except ConnectionError as error:
        raise ConnectionError(f"{error} Or name a file of weights that you have instead of '{which}'.") from error
    if name == "last":
        return str(model.find_last())
    if not os.path.exists(which):
        raise FileNotFoundError(
            f"Weights file {which} does not exist. Give a path, or one of: coco, imagenet, last, none.")
    return which


def run_folder(args, model, fallback=None):
    """The folder of a run's results, made if absent: `--out`, `fallback` or the model's log folder."""
    folder = Path(args.out or fallback or model.log_dir)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def versions():
    """What the numbers were made with: {name: text or number}."""
    import mrcnn

    backend = keras.backend.backend()
    return {
        "python": platform.python_version(),
        "keras": keras.__version__,
        "backend": backend,
        "backend_version": getattr(importlib.import_module(backend), "__version__", "unknown"),
        "numpy": np.__version__,
        "mrcnn": getattr(mrcnn, "__version__", "unknown"),
        "machine": f"{platform.system()} {platform.machine()} {platform.processor()}".strip(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
    }


def write_metrics(folder, numbers):
    """Write `numbers`, the versions and the command line to `folder`/metrics.json; returns the path."""
    path = Path(folder) / "metrics.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {**numbers, "command": " ".join(sys.argv), "versions": versions()}
    path.write_text(json.dumps(content, indent=2, default=_plain) + "\n", encoding="utf-8")
    for name in ("mask_ap", "mask_ap50", "box_ap", "box_ap50", "kaggle_score", "images", "seconds"):
        if name in numbers:
            print(f"{name:14} {numbers[name]:.3f}" if isinstance(numbers[name], float) else
                  f"{name:14} {numbers[name]}")
    print(f"Metrics: {path}")
    return path


def _plain(value):
    """Numpy scalars and arrays, and paths, as JSON knows them."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return str(value)


def save_picture(image, result, class_names, path, **options):
    """Write `image` with `result` (one entry of what `detect` returns) drawn on it to the PNG `path`.

    `options` are those of `visualize.display_instances`.
    """
    from mrcnn import visualize

    visualize.display_instances(image, result["rois"], result["masks"], result["class_ids"], class_names,
                                result["scores"], colors="instance", save_path=path, **options)


def read_image(path):
    """An image file as [H, W, 3] RGB. Raises FileNotFoundError or ValueError naming the path."""
    from mrcnn.data.read_image import read_image as read

    if not os.path.isfile(path):
        raise FileNotFoundError(f"Image {path} does not exist: correct --image.")
    return read(path, "--image")
