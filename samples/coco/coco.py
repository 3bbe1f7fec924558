"""Mask R-CNN on COCO (https://cocodataset.org), years 2014 and 2017.

Layout of the data: `annotations/instances_<subset><year>.json` and the image folders `<subset><year>`;
minival and valminusminival (2014) take their images from `val2014`.

    python samples/coco/coco.py train --dataset /path/to/coco --year 2017 --model imagenet --download
    python samples/coco/coco.py train --dataset /path/to/coco --year 2017 --model last
    python samples/coco/coco.py train --dataset /path/to/coco --year 2017 --model none --norm group
    python samples/coco/coco.py evaluate --dataset /path/to/coco --year 2017 --model coco --limit 500
    python samples/coco/coco.py detect --model coco --image picture.jpg
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mrcnn.config import Config
from samples import common, schedules
from samples.coco.dataset import CLASS_NAMES, DEFAULT_DATASET_YEAR, CocoDataset
from samples.coco.results import build_coco_results, evaluate_coco

__all__ = ["CLASS_NAMES", "DEFAULT_DATASET_YEAR", "CocoConfig", "CocoDataset", "CocoInferenceConfig",
           "build_coco_results", "evaluate_coco"]


COCO_MODEL_PATH = str(common.COCO_WEIGHTS_PATH)
DEFAULT_LOGS_DIR = str(common.DEFAULT_LOGS_DIR)


class CocoConfig(Config):
    """COCO's 80 classes at 1024 pixels; 12 GB of GPU memory hold two images."""

    NAME = "coco"
    IMAGES_PER_GPU = 2
    NUM_CLASSES = 1 + 80


class CocoInferenceConfig(CocoConfig):
    """One image at a time; all scores are kept because average precision counts them."""

    GPU_COUNT = 1
    IMAGES_PER_GPU = 1
    DETECTION_MIN_CONFIDENCE = 0


def make_config(base, args, dataset=None, **more):
    """`base` with the command line's wishes and the classes of `dataset`."""
    size = args.image_size
    if (args.norm or ("group" if args.backbone == "light" else "batch")) == "group":
        more |= {"NORM": "group", "OPTIMIZER": "adam"}
    return common.configure(
        base, NUM_CLASSES=dataset.num_classes if dataset else None, BACKBONE=args.backbone,
        IMAGE_MAX_DIM=size,
        IMAGE_MIN_DIM=size and round(size * CocoConfig.IMAGE_MIN_DIM / CocoConfig.IMAGE_MAX_DIM),
        STEPS_PER_EPOCH=args.steps,
        VALIDATION_STEPS=args.steps and min(args.steps, CocoConfig.VALIDATION_STEPS),
        IMAGES_PER_GPU=args.batch if base is CocoConfig else None, **more)


def has_coco_classes(config):
    """Whether all layers of such a model fit COCO's weights: it has as many classes."""
    return config.NUM_CLASSES == CocoConfig.NUM_CLASSES


def load_dataset(args, *subsets):
    """A prepared dataset of the year's subsets, and the COCO object of the last one."""
    dataset = CocoDataset()
    for subset in subsets:
        coco = dataset.load_coco(args.dataset, subset, args.year, return_coco=True,
                                 auto_download=args.download)
    dataset.prepare()
    return dataset, coco


def image_limit(args, default):
    """How many images to use: `--limit`, of which 0 stands for all, as None does here."""
    return default if args.limit is None else args.limit or None


def val_subset(args):
    """The subset to validate on: 5,000 images in both years."""
    return "val" if args.year == "2017" else "minival"


def train(args):
    """Train in Matterport's three stages, scaled to `--epochs`; then evaluate."""
    from mrcnn import visualize

    train_set, _ = load_dataset(args, *(("train",) if args.year == "2017" else ("train", "valminusminival")))
    val_set, coco = load_dataset(args, val_subset(args))
    config = make_config(CocoConfig, args, train_set)
    config.display()
    model = common.build_model("training", config, args.logs)
    weights = args.model or "imagenet"
    common.load_weights(model, weights, has_coco_classes(config))
    epochs, rate = args.epochs or 160, config.LEARNING_RATE
    scratch = weights.lower() == "none"
    # Random features must learn from the start; the names behind "4+" are ResNet's.
    middle = "4+" if not scratch and str(config.BACKBONE).startswith("resnet") else "all"
    stages = [("all" if scratch else "heads", rate, max(1, epochs // 4), 0.25),
              (middle, rate, max(1, epochs * 3 // 4), 0.75), ("all", rate / 10, epochs, 1.0)]
    began = time.monotonic()
    history = schedules.run_schedule(model, train_set, val_set, stages, flip_half, args.minutes)
    extra = {"train_seconds": time.monotonic() - began, "history": history, "start_weights": weights}
    folder = common.run_folder(args, model)
    if history:
        visualize.plot_training_curves(history, save_path=str(folder / "losses.png"))
    measure(args, val_set, coco, model.find_last(), folder, extra)


def flip_half(image, masks, rng=np.random):
    """Mirror every second image left to right: Matterport's only augmentation for COCO."""
    return (image[:, ::-1], masks[:, ::-1]) if rng.uniform() < 0.5 else (image, masks)


def evaluate(args):
    """Evaluate `--model` on the first `--limit` validation images."""
    measure(args, *load_dataset(args, val_subset(args)), args.model or "coco", None, {})


def measure(args, dataset, coco, weights, folder, extra):
    """COCO's twelve numbers for boxes and for masks of `weights`, printed and into metrics.json."""
    from mrcnn.evaluation import coco as coco_evaluation

    config = make_config(CocoInferenceConfig, args, dataset)
    model = common.build_model("inference", config, args.logs)
    path = common.load_weights(model, str(weights), has_coco_classes(config))
    folder = folder or common.run_folder(args, model)
    began = time.monotonic()
    numbers = coco_evaluation.evaluate(
        model, dataset, limit=image_limit(args, 500), max_detections=100, coco=coco)
    numbers["seconds"] = time.monotonic() - began
    common.write_metrics(folder, {**numbers, **extra, "seed": args.seed, "weights": path, "year": args.year})


def detect(args):
    """Write pictures of the detections in `--image`, or in the first `--limit` validation images."""
    dataset = None if args.image else load_dataset(args, val_subset(args))[0]
    config = make_config(CocoInferenceConfig, args, dataset, DETECTION_MIN_CONFIDENCE=0.7)
    model = common.build_model("inference", config, args.logs)
    common.load_weights(model, args.model or "coco", has_coco_classes(config))
    folder = common.run_folder(args, model)
    names = dataset.class_names if dataset else CLASS_NAMES
    paths = args.image or [dataset.image_info[i]["path"] for i in dataset.image_ids[:image_limit(args, 8)]]
    for path in paths:
        image = common.read_image(path)
        result = model.detect([image])[0]
        target = folder / f"{Path(path).stem}_detections.png"
        common.save_picture(image, result, names, target)
        print(f"{target}: " + (", ".join(names[i] for i in result["class_ids"]) or "nothing found"))


def parse(argv=None):
    """The command line as a namespace. Raises SystemExit when it makes no sense."""
    parser = argparse.ArgumentParser(description="Mask R-CNN on COCO.")
    parser.add_argument("command", choices=("train", "evaluate", "detect"))
    parser.add_argument("--dataset", metavar="DIR", help="folder with 'annotations' and the image folders")
    parser.add_argument("--year", choices=("2014", "2017"), default=DEFAULT_DATASET_YEAR)
    parser.add_argument("--model", help="weights: coco, imagenet, last, none or a path (default: imagenet to "
                        "train, else coco)")
    parser.add_argument("--limit", type=common.zero_or_more, help="images to evaluate (default: 500) or "
                        "detect (default: 8); 0 for all")
    parser.add_argument("--download", nargs="?", const=True, default=False, metavar="True",
                        type=lambda text: text.lower() in ("true", "yes", "1"), help="fetch missing data")
    parser.add_argument("--image", nargs="+", metavar="FILE", help="detect: picture files")
    args = common.add_run_arguments(parser).parse_args(argv)
    if not args.dataset and not (args.command == "detect" and args.image):
        parser.error(f"{args.command} needs --dataset" + (" or --image" if args.command == "detect" else ""))
    return args


def main(argv=None):
    """Run one command."""
    args = parse(argv)
    common.begin(args.seed)
    {"train": train, "evaluate": evaluate, "detect": detect}[args.command](args)


if __name__ == "__main__":
    main()
