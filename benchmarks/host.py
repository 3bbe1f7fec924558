"""What the processor does around the network: reading, resizing, masks, batches, pasting, importing."""

import itertools
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np

from mrcnn.config import Config
from mrcnn.data.formats import CocoDataset
from mrcnn.data.generator import DataGenerator
from mrcnn.data.load import load_image_gt
from mrcnn.data.masks import unmold_masks

from .pictures import ellipses, photograph

PASTED, PASTED_INTO = 100, (480, 640)
MADE_PICTURES, MADE_OBJECTS = 12, 7


class HostConfig(Config):
    """Matterport's settings for COCO."""

    NAME = "host"
    IMAGES_PER_GPU = 2
    NUM_CLASSES = 81


class Host:
    """The tasks of the host, on one thread but for the loader.

    Args:
        image_size: side of the molded images.
        images, annotations: folder and file of a data set in COCO's format; by default one is made.
    """

    def __init__(self, image_size, images=None, annotations=None):
        cv2.setNumThreads(1)
        self.config = HostConfig()
        self.config.IMAGE_MIN_DIM = min(self.config.IMAGE_MIN_DIM, image_size)
        self.config.IMAGE_MAX_DIM = image_size
        self.dataset = coco_dataset(images, annotations)
        self._ids = itertools.cycle(self.dataset.image_ids)
        self._random = np.random.RandomState(0)
        rng = np.random.default_rng(0)
        corners = rng.uniform(0, 0.7, (PASTED, 2)) * PASTED_INTO
        sides = rng.uniform(0.05, 0.3, (PASTED, 2)) * PASTED_INTO
        self._boxes = np.concatenate([corners, corners + sides], axis=1).astype(np.int32)
        self._masks = rng.uniform(size=(PASTED, 28, 28)).astype(np.float32)

    def sizes(self):
        """How many pictures and objects there are."""
        return len(self.dataset.image_ids), sum(len(info["annotations"]) for info in self.dataset.image_info)

    def load_image(self):
        self.dataset.load_image(next(self._ids))

    def load_mask(self):
        self.dataset.load_mask(next(self._ids))

    def load_image_gt(self):
        load_image_gt(self.dataset, self.config, next(self._ids), augmentation=flip_half, use_mini_mask=True,
                      rng=self._random)  # fmt: skip

    def load_image_gt_flipped_early(self):
        """The same without an augmenter: flipped where no large mask is needed."""
        load_image_gt(self.dataset, self.config, next(self._ids), use_mini_mask=True, rng=self._random)

    def batch(self):
        """One training batch, molded."""
        DataGenerator(self.dataset, self.config, shuffle=False, steps=1)[0]

    def paste(self):
        unmold_masks(self._masks, self._boxes, PASTED_INTO)

    def seconds_to_import(self, first, then):
        """Seconds that a new process takes to import the modules `then`, after `first`."""
        code = f"import time, {first}; began = time.perf_counter(); import {then}; print(time.perf_counter() - began)"
        return float(_run_python(code))


def flip_half(image, masks, rng=np.random):
    """Mirrors half of the images, as Matterport's COCO training."""
    return (image[:, ::-1], masks[:, ::-1]) if rng.randint(2) else (image, masks)


def coco_dataset(images=None, annotations=None):
    """The prepared data set of a folder of pictures and its file in COCO's format; without, of pictures made here."""
    dataset = CocoDataset()
    if images is None:
        # Removed with the data set.
        dataset.folder = tempfile.TemporaryDirectory()
        images, annotations = make_coco(Path(dataset.folder.name))
    dataset.load_coco_json(annotations, images)
    dataset.prepare()
    return dataset


def make_coco(folder):
    """Writes JPEG pictures of COCO's size with polygons, and the annotation file.

    Returns:
        the folder and the file.
    """
    content = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "thing"}]}
    for index in range(MADE_PICTURES):
        name = f"{index:012d}.jpg"
        cv2.imwrite(str(folder / name), photograph(480, 640, index), [cv2.IMWRITE_JPEG_QUALITY, 90])
        content["images"].append({"id": index + 1, "file_name": name, "width": 640, "height": 480})
        masks = ellipses(480, 640, MADE_OBJECTS, index)
        for number in range(MADE_OBJECTS):
            mask = masks[:, :, number].astype(np.uint8)
            outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
            points = outlines[0][:, 0].astype(float)
            low, high = points.min(0), points.max(0)
            content["annotations"].append({
                "id": len(content["annotations"]) + 1, "image_id": index + 1, "category_id": 1, "iscrowd": 0,
                "segmentation": [points.ravel().tolist()], "bbox": [*low, *(high - low)],
                "area": float(mask.sum()),
            })  # fmt: skip
    path = folder / "instances.json"
    path.write_text(json.dumps(content))
    return folder, path


def _run_python(code):
    """What it prints."""
    finished = subprocess.run(
        [sys.executable, "-c", code], check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    return finished.stdout
