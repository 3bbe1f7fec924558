"""Loaders of the formats that annotation tools write."""

from .coco import CocoDataset
from .via import ViaDataset

__all__ = ["CocoDataset", "ViaDataset"]
