"""Keypoint R-CNN on COCO's people, years 2014 and 2017.

Layout of the data: `annotations/person_keypoints_<subset><year>.json` and the image folders, as for `coco.py`.

    python samples/coco/keypoints.py train --dataset /path/to/coco --model imagenet
    python samples/coco/keypoints.py train --dataset /path/to/coco --model none --backbone light --image-size 320
    python samples/coco/keypoints.py evaluate --dataset /path/to/coco --model last
    python samples/coco/keypoints.py detect --model last --image picture.jpg
"""

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mrcnn import Config, KeypointRCNN
from samples import common, schedules
from samples.coco.dataset import CocoDataset

METRICS = ("box_ap", "box_ap50", "keypoint_ap", "keypoint_ap50", "keypoint_ap75", "keypoint_ap_medium",
           "keypoint_ap_large", "keypoint_ar")


class PeopleConfig(Config):
    """COCO's people and their 17 keypoints."""

    NAME = "people"
    BACKBONE = "resnet50"
    NUM_CLASSES = 1 + 1
    DETECTION_MIN_CONFIDENCE = 0.05
    DETECTION_NMS_THRESHOLD = 0.5
    # Regions must be placed exactly for their keypoints to be.
    ROI_ALIGN = "aligned"
    ROI_TARGETS = "fill"


def make_config(args):
    """The configuration with the command line's wishes."""
    more = {}
    if (args.norm or ("group" if args.backbone == "light" else "batch")) == "group":
        more |= {"NORM": "group", "OPTIMIZER": "adam"}
    size = args.image_size
    return common.configure(
        PeopleConfig, BACKBONE=args.backbone, IMAGE_MAX_DIM=size, IMAGE_MIN_DIM=size and round(size * 800 / 1024),
        STEPS_PER_EPOCH=args.steps, VALIDATION_STEPS=args.steps and min(args.steps, Config.VALIDATION_STEPS),
        IMAGES_PER_GPU=args.batch if args.command == "train" else 1, KEYPOINT_CHANNELS=args.channels, **more)


def load_people(args, subset):
    """A prepared dataset of a subset, and its COCO object."""
    if subset == "val" and args.year == "2014":
        subset = "minival"
    dataset = CocoDataset()
    coco = dataset.load_coco(args.dataset, subset, args.year, return_coco=True, keypoints=True,
                             auto_download=args.download)
    dataset.prepare()
    return dataset, coco


def train(args):
    """Train all layers at one rate, a tenth of it for the last quarter, half of the images mirrored; then evaluate."""
    from imgaug import augmenters

    (train_set, _), (val_set, coco) = load_people(args, "train"), load_people(args, "val")
    config = make_config(args)
    config.display()
    model = KeypointRCNN("training", config, args.logs)
    common.load_weights(model, args.model or "imagenet")
    flip = augmenters.Fliplr(0.5)
    epochs, rate, began = args.epochs or 40, config.LEARNING_RATE, time.monotonic()
    stages = [("all", rate, max(1, epochs * 3 // 4), 0.75), ("all", rate / 10, epochs, 1.0)]
    history = schedules.run_schedule(model, train_set, val_set, stages, flip, args.minutes)
    extra = {"train_seconds": time.monotonic() - began, "losses": history.get("loss", []),
             "start_weights": args.model or "imagenet"}
    folder = common.run_folder(args, model)
    measure(args, val_set, coco, model.find_last(), folder, extra)


def measure(args, dataset, coco, weights, folder, extra):
    """COCO's numbers of `weights` for boxes and keypoints, printed and into metrics.json."""
    from mrcnn.evaluation import evaluate

    model = KeypointRCNN("inference", make_config(args), args.logs)
    common.load_weights(model, str(weights))
    began = time.monotonic()
    numbers = evaluate(model, dataset, limit=args.limit, coco=coco)
    common.write_metrics(common.run_folder(args, model, folder), {
        **{name: numbers[name] for name in METRICS}, "images": numbers["images"],
        "seconds": time.monotonic() - began, "seed": args.seed, **extra})


def evaluate_command(args):
    """Evaluate `--model` on the first `--limit` validation images."""
    measure(args, *load_people(args, "val"), args.model or "last", None, {})


def detect(args):
    """Write a picture of what is found in each `--image`."""
    from skimage.io import imsave

    from mrcnn.visualize import draw_instances

    model = KeypointRCNN("inference", make_config(args), args.logs)
    common.load_weights(model, args.model or "last")
    folder = common.run_folder(args, model)
    for path in args.image:
        image = common.read_image(path)
        result = model.detect([image])[0]
        target = folder / f"{Path(path).stem}_keypoints.png"
        imsave(target, draw_instances(image, result, ["BG", "person"]), check_contrast=False)
        print(f"{target}: {len(result['rois'])} people")


def parse(argv=None):
    """The command line as a namespace. Raises SystemExit when it makes no sense."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=("train", "evaluate", "detect"))
    parser.add_argument("--dataset", metavar="DIR", help="folder with 'annotations' and the image folders")
    parser.add_argument("--year", choices=("2014", "2017"), default="2017")
    parser.add_argument("--download", action="store_true", help="fetch images and annotations that are missing")
    parser.add_argument("--model", help="weights: imagenet, last, none or a path (default: imagenet to train, else "
                        "last)")
    parser.add_argument("--limit", type=common.positive(int), help="images to evaluate (default: all)")
    parser.add_argument("--image", nargs="+", metavar="FILE", help="detect: picture files")
    parser.add_argument("--channels", type=common.positive(int), help="width of the keypoint head (default: 512)")
    args = common.add_run_arguments(parser).parse_args(argv)
    missing = "image" if args.command == "detect" else "dataset"
    if not getattr(args, missing):
        parser.error(f"{args.command} needs --{missing}")
    return args


def main(argv=None):
    """Run one command."""
    args = parse(argv)
    common.begin(args.seed)
    {"train": train, "evaluate": evaluate_command, "detect": detect}[args.command](args)


if __name__ == "__main__":
    main()
