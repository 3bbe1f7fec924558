"""COCO's annotation files for pycocotools."""

import time
from pathlib import Path

from mrcnn.data.formats.coco_annotations import read_coco_json
from mrcnn.evaluation.ground_truth import coco_index

# Evaluation needs them.
FIELDS = ("bbox", "area")


def read_annotations(path):
    """A COCO annotation file as a `pycocotools.coco.COCO` object, without what cannot be used.

    The remarks of `read_coco_json` are printed.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the file is no JSON or lacks a field; a bad RLE, with the annotation's id.
    """
    began = time.monotonic()
    if not Path(path).is_file():
        raise FileNotFoundError(f"Annotation file {path} does not exist. --dataset must name the folder that "
                                "holds 'annotations'; coco.py and keypoints.py fetch the data with --download.")
    content, remarks = read_coco_json(path, FIELDS)
    for remark in remarks:
        print(f"{path}: {remark}")
    coco = coco_index(content)
    print(f"{path}: {len(coco.imgs)} images, {len(coco.anns)} annotations, {len(coco.cats)} categories "
          f"({time.monotonic() - began:.1f} s)")
    return coco
