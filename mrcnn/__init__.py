"""Mask R-CNN for Keras 3: every object in a picture, its class, its box and its pixels."""

from .architectures.mask_rcnn import MaskRCNN
from .config import Config
from .data.dataset import Dataset
from .data.imgaug_compat import install_numpy_aliases

install_numpy_aliases()

__version__ = "0.1.0"
__all__ = ["Config", "Dataset", "MaskRCNN"]
