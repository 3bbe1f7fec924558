"""Matterport's import path. Training over several devices needs no wrapper here."""

from .architectures.mask_rcnn import MaskRCNN as ParallelModel

__all__ = ["ParallelModel"]
