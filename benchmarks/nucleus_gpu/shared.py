"""What both parts of the comparison on nuclei share: the data, the measure, the file that a part's numbers go to."""

import json
import subprocess
import sys
import time

import numpy as np

from mrcnn.data.generator import DataGenerator
from mrcnn.evaluation.coco import evaluate
from samples import common
from samples.nucleus import nucleus
from samples.nucleus.scoring import KaggleScoring

# Steps before the clock of a step starts, and steps that it takes.
TIMING, SMOKE_TIMING = (5, 50), (1, 2)


def measure(model, args):
    """COCO's average precision and Kaggle's score on the validation images, as a dict."""
    dataset = nucleus.load_dataset(args, "val")
    image_ids = list(dataset.image_ids[:2 if args.smoke else None])
    began = time.monotonic()
    scored = KaggleScoring(model, dataset, image_ids)
    numbers = evaluate(scored, dataset, image_ids=image_ids, max_detections=model.config.DETECTION_MAX_INSTANCES)
    numbers["evaluated_images"] = numbers.pop("images")
    return numbers | {"kaggle_score": float(np.mean(scored.scores)), "evaluate_seconds": time.monotonic() - began}


def training_config(args, train_set, full_masks=False):
    """The nucleus sample's configuration for random weights, of the command line's size."""
    config = nucleus.make_config(nucleus.NucleusConfig, args)
    config.STEPS_PER_EPOCH = args.steps or max(1, len(train_set.image_ids) // config.BATCH_SIZE)
    config.WORKERS = args.workers
    config.USE_MINI_MASK = not full_masks
    return config


def data_generator(dataset, config, args):
    """Batches that follow from the seed, the epoch and the place in it alone."""
    return DataGenerator(dataset, config, augmentation=nucleus.augment, seed=args.seed, steps=config.STEPS_PER_EPOCH)


def speed(steps, batch_size, began, first, ended):
    """What training took: the first step, which compiles, is left out of the images a second."""
    row = {"images": steps * batch_size, "steps": steps, "batch": batch_size, "train_seconds": ended - began,
           "first_step_seconds": first - began}
    return row | ({"images_per_second": (steps - 1) * batch_size / (ended - first)} if steps > 1 else {})


def gpu_name():
    """Name of the first NVIDIA GPU, or "none"."""
    try:
        found = subprocess.run(["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"], capture_output=True,
                               text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "none"
    return next(iter(found.stdout.strip().splitlines()), "none")


def write_row(args, part, row):
    """Write a part's numbers to `<part>.json`."""
    args.out.mkdir(parents=True, exist_ok=True)
    row = {"part": part, "gpu": gpu_name(), "seed": args.seed, "image_size": args.image_size, **row}
    text = json.dumps({**row, "versions": common.versions() | row.get("versions", {}), "command": " ".join(sys.argv)},
                      indent=2)
    (args.out / f"{part}.json").write_text(text + "\n", encoding="utf-8")


def read_row(args, part):
    """A part's numbers, or None if it has not run."""
    path = args.out / f"{part}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
