"""What the samples share: arguments, schedules with a time budget, weights, pictures and `metrics.json`."""

import argparse
import importlib
import json
import os
import platform
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import keras
import numpy as np

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
    """
    name = which.lower()
    if name == "none":
        print("Weights: random")
        return None
    if name == "coco":
        from mrcnn import utils

        path = str(COCO_WEIGHTS_PATH)
        if not os.path.exists(path):
            utils.download_trained_weights(path)
    elif name == "last":
        path = str(model.find_last())
    elif name == "imagenet":
        path = str(model.get_imagenet_weights())
    else:
        path = which
        if not os.path.exists(path):
            raise FileNotFoundError(
                f"Weights file {path} does not exist. Give a path, or one of: coco, imagenet, last, none.")
    print(f"Weights: {path}")
    exclude = CLASS_LAYERS if name == "coco" and not same_classes else None
    model.load_weights(path, by_name=True, exclude=exclude)
    return path


class LossRecorder(keras.callbacks.Callback):
    """Collects the logs of several calls of `train` in `.history` {name: [value per epoch]}."""

    def __init__(self):
        super().__init__()
        self.history = {}

    def on_epoch_end(self, epoch, logs=None):
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(float(value))


class TimeBudget(keras.callbacks.Callback):
    """Ends training after `minutes` of wall-clock time, between two batches.

    Keras then still validates and writes the checkpoint of the epoch it was in, so nothing is lost. The
    clock starts when training begins, compilation included, and runs on over further calls of `train`.
    """

    def __init__(self, minutes):
        super().__init__()
        self.seconds = 60.0 * minutes
        self.started = None

    @property
    def exhausted(self):
        """Whether the time is used up."""
        return self.started is not None and time.monotonic() - self.started >= self.seconds

    def on_train_begin(self, logs=None):
        if self.started is None:
            self.started = time.monotonic()

    def on_train_batch_end(self, batch, logs=None):
        if self.exhausted and not self.model.stop_training:
            print(f"\nTime budget of {self.seconds / 60:g} minutes used up: training ends here.")
            self.model.stop_training = True


class CosineOverTime(keras.callbacks.Callback):
    """Lets the learning rate fall along a cosine from its value at the start to 0 when `minutes` are over.

    It is set at the start of each epoch; the first epoch has a tenth of the rate, to warm up.
    """

    def __init__(self, rate, minutes):
        super().__init__()
        self.rate = rate
        self.seconds = 60.0 * minutes
        self.started = None

    def on_epoch_begin(self, epoch, logs=None):
        if self.started is None:
            self.started = time.monotonic()
            self.model.optimizer.learning_rate = self.rate / 10
            return
        progress = min(1.0, (time.monotonic() - self.started) / self.seconds)
        self.model.optimizer.learning_rate = self.rate * 0.5 * (1 + np.cos(np.pi * progress))


def run_schedule(model, train_set, val_set, stages, augmentation=None, minutes=None):
    """Train through `stages`: a list of (layers, learning rate, epochs, share of the time).

    Epochs and shares (0 to 1) count from the start, not from the end of the stage before. `minutes` bounds
    the whole: a stage ends when its epochs are done or its share of the minutes is used up, and a learning rate that
    is a number falls to 0 over that time.
    Stages whose epochs the model already has behind it are skipped. Returns {name: [value per epoch]}.
    """
    recorder, spent = LossRecorder(), 0.0
    for number, (layers, rate, epochs, share) in enumerate(stages, start=1):
        if epochs <= model.epoch:
            continue
        callbacks = [recorder]
        if minutes:
            left = minutes * share - spent
            if left <= 0:
                continue
            callbacks.append(TimeBudget(left))
            if isinstance(rate, int | float):
                callbacks.append(CosineOverTime(rate, left))
        print(f"Stage {number} of {len(stages)}: layers '{layers}' until epoch {epochs}, "
              f"learning rate {_rate_text(rate)}" + (f", at most {left:.1f} minutes" if minutes else ""))
        began = time.monotonic()
        model.train(train_set, val_set, learning_rate=rate, epochs=epochs, layers=layers,
                    augmentation=augmentation, custom_callbacks=callbacks)
        spent += (time.monotonic() - began) / 60
    return recorder.history


def warm_cosine(rate, steps):
    """A learning rate that rises to `rate` over a twentieth of the steps and then falls to 0 along a cosine."""
    warmup = max(1, steps // 20)
    return keras.optimizers.schedules.CosineDecay(
        rate / 100, max(1, steps - warmup), warmup_target=rate, warmup_steps=warmup)


def _rate_text(rate):
    return f"{rate:g}" if isinstance(rate, int | float) else f"schedule {type(rate).__name__}"


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


def fetch(url, path, chunk=1 << 20):
    """Download `url` to `path`; a download that was cut off goes on where it stopped.

    The bytes arrive in `path`.part, which becomes `path` when complete. Nothing happens if `path` exists.

    Raises:
        ConnectionError: the server cannot be reached or the transfer broke off.
    """
    path = Path(path)
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    try:
        _fetch_rest(url, part, chunk)
    except OSError as error:
        raise ConnectionError(
            f"Could not download {url}: {error}. Run the command again to go on from {part}, or download the "
            f"address yourself and save it as {path}.") from error
    part.replace(path)
    return path


def _fetch_rest(url, part, chunk):
    """Append to `part` what is missing of `url`, or start over where the server cannot resume."""
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        response = urllib.request.urlopen(request, timeout=60)
    except urllib.error.HTTPError as error:
        # 416: nothing lies behind the part's end. Either it is complete or it belongs to another file.
        if error.code != 416 or not have:
            raise
        if error.headers.get("Content-Range", "").endswith(f"/{have}"):
            return
        part.unlink()
        return _fetch_rest(url, part, chunk)
    with response:
        if response.status != 206:
            have = 0
        length = response.headers.get("Content-Length")
        total = have + int(length) if length else None
        with open(part, "ab" if have else "wb") as target:
            while block := response.read(chunk):
                target.write(block)
                have += len(block)
                print(f"\r{url} {have / 1e6:,.0f} MB" + (f" of {total / 1e6:,.0f}" if total else ""), end="",
                      flush=True)
    print()
    if total is not None and have != total:
        raise OSError(f"the transfer stopped after {have:,} of {total:,} bytes")
