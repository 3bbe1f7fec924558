"""Mask R-CNN on cell nuclei: the 2018 Data Science Bowl (https://www.kaggle.com/c/data-science-bowl-2018).

Layout of the data: `stage1_train/<id>/images/<id>.png` and one file a nucleus in `stage1_train/<id>/masks/`.

    python samples/nucleus/nucleus.py train --dataset /path/to/data --subset train --weights imagenet
    python samples/nucleus/nucleus.py train --dataset /path/to/data --subset train --weights last --minutes 30
    python samples/nucleus/nucleus.py evaluate --dataset /path/to/data --subset val --weights last
    python samples/nucleus/nucleus.py detect --dataset /path/to/data --subset stage1_test --weights last
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mrcnn.config import Config
from samples import common, schedules
from samples.nucleus.augmentation import augment
from samples.nucleus.dataset import VAL_IMAGE_IDS, NucleusDataset
from samples.nucleus.rle import mask_to_rle, rle_decode, rle_encode
from samples.nucleus.scoring import KaggleScoring

__all__ = ["VAL_IMAGE_IDS", "NucleusConfig", "NucleusDataset", "NucleusInferenceConfig", "augment", "mask_to_rle",
           "rle_decode", "rle_encode"]

COCO_WEIGHTS_PATH = str(common.COCO_WEIGHTS_PATH)
DEFAULT_LOGS_DIR = str(common.DEFAULT_LOGS_DIR)
RESULTS_DIR = common.ROOT_DIR / "results" / "nucleus"


class NucleusConfig(Config):
    """Training on random crops of enlarged images: nuclei are small and many."""

    NAME = "nucleus"
    BACKBONE = "resnet50"
    IMAGES_PER_GPU = 2
    NUM_CLASSES = 1 + 1
    IMAGE_RESIZE_MODE = "crop"
    IMAGE_MIN_DIM = 256
    IMAGE_MAX_DIM = 256
    IMAGE_MIN_SCALE = 2.0
    RPN_ANCHOR_SCALES = (8, 16, 32, 64, 128)
    RPN_NMS_THRESHOLD = 0.9
    RPN_TRAIN_ANCHORS_PER_IMAGE = 64
    POST_NMS_ROIS_TRAINING = 1000
    POST_NMS_ROIS_INFERENCE = 2000
    TRAIN_ROIS_PER_IMAGE = 128
    MAX_GT_INSTANCES = 200
    MEAN_PIXEL = np.array([43.53, 39.56, 48.22])
    USE_MINI_MASK = True
    MINI_MASK_SHAPE = (56, 56)
    DETECTION_MIN_CONFIDENCE = 0
    DETECTION_MAX_INSTANCES = 400


# What differs where nothing is pretrained: normalisation that needs no large batch and an optimizer that finds its
# own step sizes.
FROM_SCRATCH = {"NORM": "group", "OPTIMIZER": "adam", "LEARNING_RATE": 0.001, "RPN_TRAIN_ANCHORS_PER_IMAGE": 128}

# What differs with the light backbone: everything behind it is narrower too.
LIGHT = {
    **FROM_SCRATCH,
    "BACKBONE": "light",
    "IMAGES_PER_GPU": 4,
    "TOP_DOWN_PYRAMID_SIZE": 64,
    "FPN_CLASSIF_FC_LAYERS_SIZE": 256,
    "TRAIN_ROIS_PER_IMAGE": 64,
    "PRE_NMS_LIMIT": 2000,
    "POST_NMS_ROIS_TRAINING": 500,
    "POST_NMS_ROIS_INFERENCE": 1000,
}


class NucleusInferenceConfig(NucleusConfig):
    """Whole images one at a time, enlarged as in training and padded to multiples of 64."""

    GPU_COUNT = 1
    IMAGES_PER_GPU = 1
    IMAGE_RESIZE_MODE = "pad64"
    RPN_NMS_THRESHOLD = 0.7


def make_config(base, args):
    """`base` with the command line's wishes; whole images are padded, so the side concerns training only."""
    training = base is NucleusConfig
    light = args.backbone == "light"
    chosen = dict(LIGHT if light else FROM_SCRATCH if args.norm == "group" else {}) | {
        "BACKBONE": args.backbone, "STEPS_PER_EPOCH": args.steps,
        "IMAGE_MIN_DIM": args.image_size if training else None,
        "IMAGE_MAX_DIM": args.image_size if training else None}
    if not training or args.batch:
        chosen["IMAGES_PER_GPU"] = args.batch if training else 1
    return common.configure(base, **chosen)


def load_dataset(args, subset):
    """A prepared dataset of one subset."""
    dataset = NucleusDataset()
    dataset.load_nucleus(args.dataset, subset)
    dataset.prepare()
    print(f"{subset}: {len(dataset.image_ids)} images")
    return dataset


def train(args):
    """Train (heads first when the weights are pretrained), then evaluate on the validation images."""
    from mrcnn import visualize

    train_set, val_set = load_dataset(args, args.subset or "train"), load_dataset(args, "val")
    config = make_config(NucleusConfig, args)
    if not args.steps:
        config.STEPS_PER_EPOCH = max(1, len(train_set.image_ids) // config.BATCH_SIZE)
    config.VALIDATION_STEPS = max(1, len(val_set.image_ids) // config.BATCH_SIZE)
    config.display()
    model = common.build_model("training", config, args.logs)
    weights = args.weights or "imagenet"
    common.load_weights(model, weights)
    epochs, rate = args.epochs or (1000 if args.minutes else 40), args.learning_rate or config.LEARNING_RATE
    stages = [("all", rate, epochs, 1.0)]
    if weights.lower() in ("coco", "imagenet"):
        # Fresh heads would wreck the pretrained features: they learn alone first.
        stages.insert(0, ("heads", rate, epochs // 2, 0.2))
    began = time.monotonic()
    history = schedules.run_schedule(model, train_set, val_set, stages, augment, args.minutes)
    extra = {"train_seconds": time.monotonic() - began, "history": history, "start_weights": weights}
    folder = common.run_folder(args, model)
    if history:
        visualize.plot_training_curves(history, save_path=str(folder / "losses.png"))
    measure(args, val_set, model.find_last(), folder, extra)


def evaluate(args):
    """Evaluate `--weights` on the images of `--subset`."""
    measure(args, load_dataset(args, args.subset or "val"), args.weights or "last", None, {})


def measure(args, dataset, weights, folder, extra):
    """COCO's average precision and Kaggle's score of `weights` on `dataset` into metrics.json."""
    from mrcnn.evaluation import coco as coco_evaluation

    config = make_config(NucleusInferenceConfig, args)
    model = common.build_model("inference", config, args.logs)
    path = common.load_weights(model, str(weights))
    folder = folder or common.run_folder(args, model)
    image_ids = dataset.image_ids[:args.limit]
    began = time.monotonic()
    scored = KaggleScoring(model, dataset, image_ids)
    numbers = coco_evaluation.evaluate(scored, dataset, image_ids=image_ids,
                                       max_detections=config.DETECTION_MAX_INSTANCES)
    numbers |= {"kaggle_score": float(np.mean(scored.scores)), "seconds": time.monotonic() - began}
    common.write_metrics(folder, {**numbers, **extra, "seed": args.seed, "weights": path})


def detect(args):
    """Write the submission file and a picture of each image of `--subset`."""
    model = common.build_model("inference", make_config(NucleusInferenceConfig, args), args.logs)
    common.load_weights(model, args.weights or "last")
    dataset = load_dataset(args, args.subset or "stage1_test")
    folder = common.run_folder(args, model, RESULTS_DIR / f"submit_{time.strftime('%Y%m%dT%H%M%S')}")
    lines = ["ImageId,EncodedPixels"]
    for image_id in dataset.image_ids[:args.limit]:
        image, source_id = dataset.load_image(image_id), dataset.image_info[image_id]["id"]
        result = model.detect([image])[0]
        lines.append(mask_to_rle(source_id, result["masks"], result["scores"]))
        common.save_picture(image, result, dataset.class_names, folder / f"{source_id}.png", show_bbox=False,
                            captions=[""] * len(result["scores"]))
        print(f"{source_id}: {len(result['scores'])} nuclei")
    (folder / "submit.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"Submission: {folder / 'submit.csv'}")


def parse(argv=None):
    """The command line as a namespace."""
    parser = argparse.ArgumentParser(description="Mask R-CNN on cell nuclei.")
    parser.add_argument("command", choices=("train", "evaluate", "detect"))
    parser.add_argument("--dataset", required=True, metavar="DIR", help="folder that holds stage1_train")
    parser.add_argument("--weights", help="coco, imagenet, last, none or a path (default: imagenet to train, "
                        "else last)")
    parser.add_argument("--subset", help="train, val or a folder such as stage1_train (default: train to "
                        "train, val to evaluate, stage1_test to detect)")
    parser.add_argument("--limit", type=common.positive(int), help="images to evaluate or detect")
    parser.add_argument("--learning-rate", type=common.positive(float))
    return common.add_run_arguments(parser).parse_args(argv)


def main(argv=None):
    """Run one command."""
    args = parse(argv)
    common.begin(args.seed)
    {"train": train, "evaluate": evaluate, "detect": detect}[args.command](args)


if __name__ == "__main__":
    main()
