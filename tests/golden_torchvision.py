"""Reading the cases of torchvision's and Detectron2's models: weights as a file, arrays, and how to compare."""

import importlib.util
import json

import numpy as np
import pytest

from mrcnn.architectures.faster_rcnn import FasterRCNN
from mrcnn.architectures.keypoint_rcnn import KeypointRCNN
from mrcnn.architectures.mask_rcnn import MaskRCNN
from mrcnn.configurations import (
    TorchvisionFasterRCNN,
    TorchvisionKeypointRCNN,
    TorchvisionMaskRCNN,
    TorchvisionMaskRCNNv2,
)

MODELS = {
    "maskrcnn_resnet50_fpn": (MaskRCNN, TorchvisionMaskRCNN),
    "maskrcnn_resnet50_fpn_v2": (MaskRCNN, TorchvisionMaskRCNNv2),
    "fasterrcnn_resnet50_fpn": (FasterRCNN, TorchvisionFasterRCNN),
    "keypointrcnn_resnet50_fpn": (KeypointRCNN, TorchvisionKeypointRCNN),
}
# (x1, y1, x2, y2) to (y1, x1, y2, x2), and back.
SWAPPED = [1, 0, 3, 2]


def _module(folder, name):
    spec = importlib.util.spec_from_file_location(name, folder / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def synth(folder):
    """The module that makes the cases' scenes."""
    return _module(folder, "synth")


def weight_file(folder, model, target):
    """Write the seeded weights of `model` as a `.safetensors` file; its path."""
    safetensors = pytest.importorskip("safetensors.numpy", reason="safetensors is not installed")
    path = target / f"{model}.safetensors"
    state = _module(folder, "weights_tv").state_dict(folder / f"layout_{model}.json", 0)
    safetensors.save_file({key: np.ascontiguousarray(value) for key, value in state.items()}, path)
    return path


def arrays(folder, name):
    """The arrays of `<name>.npz`, and what its `meta` says."""
    case = np.load(folder / f"{name}.npz")
    return case, json.loads(str(case["meta"]))


def metas_of(images, image_sizes, original_sizes, num_classes):
    """`[B, 12 + C]` float32 of images that begin at the upper left corner of their padding; all classes active."""
    rows = [
        [0, *original, 3, *image.shape, 0, 0, *size, 1, *np.ones(num_classes)]
        for image, size, original in zip(images, image_sizes, original_sizes, strict=True)
    ]
    return np.array(rows, np.float32)


def pixels(boxes, image_shape):
    """Normalised boxes in pixels of the padded image, as (x1, y1, x2, y2)."""
    height, width = image_shape[:2]
    return (boxes * [height - 1, width - 1, height - 1, width - 1] + [0, 0, 1, 1])[:, SWAPPED]


def normalised(boxes, image_shape):
    """The inverse of `pixels`, float32."""
    height, width = image_shape[:2]
    return ((boxes[:, SWAPPED] - [0, 0, 1, 1]) / [height - 1, width - 1, height - 1, width - 1]).astype("float32")


def deviation(values, expected):
    """The largest difference in units of the standard deviation of `expected`."""
    values, expected = np.asarray(values, np.float64), np.asarray(expected, np.float64)
    return np.abs(values - expected).max() / expected.std()


def share_found(expected, found, stable, *close):
    """Share of the stable boxes of `expected` that have one in `found` with an IoU above 0.99.

    `close` are triples of arrays and a tolerance in which both must agree too.
    """
    agree = _iou(expected, found) > 0.99
    for of_expected, of_found, tolerance in close:
        agree &= np.abs(of_expected[:, None].astype(float) - of_found[None]) <= tolerance
    return agree.any(axis=1)[stable].mean()


def _iou(a, b):
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    sides = np.minimum(a[:, None, 2:], b[None, :, 2:]) - np.maximum(a[:, None, :2], b[None, :, :2])
    both = np.prod(np.clip(sides, 0, None), axis=-1)
    areas = [np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) for boxes in (a, b)]
    return both / (areas[0][:, None] + areas[1][None] - both)


def masks_of(case, prefix, height, width):
    """The pasted masks `[N, height, width]` bool that a case keeps as run lengths in columns."""
    ends = np.cumsum(case[f"{prefix}mask_rle_len"])
    runs = np.split(case[f"{prefix}mask_rle_counts"], ends[:-1])
    planes = [np.repeat(np.arange(len(run)) % 2 == 1, run).reshape(width, height).T for run in runs]
    return np.stack(planes)
