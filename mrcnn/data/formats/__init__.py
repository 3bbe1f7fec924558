"""Loaders of the formats that annotation tools write."""

from .coco import CocoDataset

__all__ = ["CocoDataset"]
