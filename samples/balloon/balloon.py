"""Mask R-CNN on balloons, annotated with VIA, and a colour splash: everything but the balloons in grey.

Layout of the data: `train` and `val`, each with its images and `via_region_data.json` (VIA 1 or 2). Matterport's
pictures are https://github.com/matterport/Mask_RCNN/releases/download/v2.1/balloon_dataset.zip.

    python samples/balloon/balloon.py train --dataset /path/to/balloon --weights coco
    python samples/balloon/balloon.py train --dataset /path/to/balloon --weights last
    python samples/balloon/balloon.py train --dataset /path/to/balloon --weights none --backbone light
    python samples/balloon/balloon.py evaluate --dataset /path/to/balloon --weights last
    python samples/balloon/balloon.py splash --weights last --image picture.jpg
    python samples/balloon/balloon.py splash --weights last --video film.mp4
"""

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mrcnn.config import Config
from samples import common, schedules
from samples.balloon.dataset import BalloonDataset
from samples.balloon.splash import color_splash, detect_and_color_splash

__all__ = ["BalloonConfig", "BalloonDataset", "BalloonInferenceConfig", "color_splash", "detect_and_color_splash",
           "train"]

COCO_WEIGHTS_PATH = str(common.COCO_WEIGHTS_PATH)
DEFAULT_LOGS_DIR = str(common.DEFAULT_LOGS_DIR)

EPOCHS = 30


class BalloonConfig(Config):
    """One class in photographs; 12 GB of GPU memory hold two of them."""

    NAME = "balloon"
    IMAGES_PER_GPU = 2
    NUM_CLASSES = 1 + 1
    STEPS_PER_EPOCH = 100
    # All validation images, each once.
    VALIDATION_STEPS = None
    DETECTION_MIN_CONFIDENCE = 0.9


# What differs where nothing is pretrained: normalisation that needs no large batch and an optimizer that finds its
# own step sizes.
FROM_SCRATCH = {"NORM": "group", "OPTIMIZER": "adam"}

# What differs with the light backbone: everything behind it is narrower too.
LIGHT = {**FROM_SCRATCH, "TOP_DOWN_PYRAMID_SIZE": 64, "FPN_CLASSIF_FC_LAYERS_SIZE": 256, "TRAIN_ROIS_PER_IMAGE": 64,
         "POST_NMS_ROIS_TRAINING": 500, "POST_NMS_ROIS_INFERENCE": 500}


class BalloonInferenceConfig(BalloonConfig):
    """One image at a time."""

    GPU_COUNT = 1
    IMAGES_PER_GPU = 1


def make_config(base, args, **more):
    """`base` with the command line's wishes."""
    chosen = dict(LIGHT if args.backbone == "light" else FROM_SCRATCH if args.norm == "group" else {})
    if args.norm:
        chosen["NORM"] = args.norm
    return common.configure(base, **chosen, BACKBONE=args.backbone, IMAGE_MIN_DIM=args.image_size,
                            IMAGE_MAX_DIM=args.image_size, STEPS_PER_EPOCH=args.steps,
                            IMAGES_PER_GPU=args.batch if base is BalloonConfig else None, **more)


def load_dataset(args, subset):
    """A prepared dataset of one subset."""
    dataset = BalloonDataset()
    dataset.load_balloon(args.dataset, subset)
    dataset.prepare()
    print(f"{subset}: {len(dataset.image_ids)} images")
    return dataset


def train(model, train_set, val_set, epochs=EPOCHS, minutes=None):
    """Train the heads of a pretrained model, or the whole of one with group normalisation, which starts at random.

    Args:
        model: a `MaskRCNN` for training, its weights loaded.
        train_set, val_set: prepared datasets.
        epochs: total number of epochs.
        minutes: stop cleanly after this time; None sets no limit.

    Returns:
        {name of a loss: [value per epoch]}.
    """
    layers = "all" if model.config.NORM == "group" else "heads"
    stages = [(layers, model.config.LEARNING_RATE, epochs, 1.0)]
    return schedules.run_schedule(model, train_set, val_set, stages, minutes=minutes)


def train_and_evaluate(args):
    """Train on the training images, then evaluate on the validation images."""
    from mrcnn import visualize

    train_set, val_set = load_dataset(args, "train"), load_dataset(args, "val")
    config = make_config(BalloonConfig, args)
    config.display()
    model = common.build_model("training", config, args.logs)
    weights = args.weights or "coco"
    common.load_weights(model, weights)
    began = time.monotonic()
    history = train(model, train_set, val_set, args.epochs or EPOCHS, args.minutes)
    extra = {"train_seconds": time.monotonic() - began, "history": history, "start_weights": weights}
    folder = common.run_folder(args, model)
    if history:
        visualize.plot_training_curves(history, save_path=str(folder / "losses.png"))
    measure(args, val_set, model.find_last(), folder, extra)


def evaluate(args):
    """Evaluate `--weights` on the validation images."""
    measure(args, load_dataset(args, "val"), args.weights or "last", None, {})


def measure(args, dataset, weights, folder, extra):
    """COCO's average precision of `weights` on `dataset` into metrics.json."""
    from mrcnn.evaluation import coco as coco_evaluation

    # Average precision counts all scores.
    config = make_config(BalloonInferenceConfig, args, DETECTION_MIN_CONFIDENCE=0)
    model = common.build_model("inference", config, args.logs)
    path = common.load_weights(model, str(weights))
    folder = folder or common.run_folder(args, model)
    began = time.monotonic()
    numbers = coco_evaluation.evaluate(model, dataset)
    numbers["seconds"] = time.monotonic() - began
    common.write_metrics(folder, {**numbers, **extra, "seed": args.seed, "weights": path})


def splash(args):
    """Write the colour splash of `--image` or `--video`."""
    model = common.build_model("inference", make_config(BalloonInferenceConfig, args), args.logs)
    common.load_weights(model, args.weights or "last")
    detect_and_color_splash(model, args.image, args.video, common.run_folder(args, model))


def parse(argv=None):
    """The command line as a namespace. Raises SystemExit when it makes no sense."""
    parser = argparse.ArgumentParser(description="Mask R-CNN on balloons, and a colour splash.")
    parser.add_argument("command", choices=("train", "evaluate", "splash"))
    parser.add_argument("--dataset", metavar="DIR", help="folder that holds train and val")
    parser.add_argument("--weights", help="coco, imagenet, last, none or a path (default: coco to train, else last)")
    parser.add_argument("--image", metavar="FILE", help="splash: picture file or address")
    parser.add_argument("--video", metavar="FILE", help="splash: video file or address")
    args = common.add_run_arguments(parser).parse_args(argv)
    if args.command == "splash" and bool(args.image) == bool(args.video):
        parser.error("splash needs either --image or --video")
    if args.command != "splash" and not args.dataset:
        parser.error(f"{args.command} needs --dataset")
    if args.command == "train" and args.weights == "none" and args.backbone != "light" and args.norm != "group":
        parser.error("--weights none needs --norm group or --backbone light: batch normalisation stays as loaded")
    return args


def main(argv=None):
    """Run one command."""
    args = parse(argv)
    common.begin(args.seed)
    {"train": train_and_evaluate, "evaluate": evaluate, "splash": splash}[args.command](args)


if __name__ == "__main__":
    main()
