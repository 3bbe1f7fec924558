"""Mask R-CNN for Keras 3: every object in a picture, its class, its box and its pixels."""

# ruff: noqa: E402
import os
import sys

# Scripts append a Path: Python passes over it, and TensorFlow cannot be imported beside it.
sys.path[:] = [os.fspath(entry) if isinstance(entry, os.PathLike) else entry for entry in sys.path]

# Scripts write `import mrcnn` and then `mrcnn.model.MaskRCNN`.
from . import model, utils, visualize  # noqa: F401
from .architectures.faster_rcnn import FasterRCNN
from .architectures.keypoint_rcnn import KeypointRCNN
from .architectures.mask_rcnn import MaskRCNN
from .config import Config
from .data.dataset import Dataset
from .data.imgaug_compat import install_numpy_aliases
from .engine.keras_model import let_model_checkpoint_write_h5

install_numpy_aliases()
let_model_checkpoint_write_h5()

__version__ = "0.1.0"
__all__ = ["Config", "Dataset", "FasterRCNN", "KeypointRCNN", "MaskRCNN"]
