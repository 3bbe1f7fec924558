"""Matterport's import path of the data set class and of everything on boxes, masks, images and scores."""

# Users' scripts say `import xml.etree` and then use this submodule.
import xml.etree.ElementTree  # noqa: F401

from .data.anchors import generate_anchors, generate_pyramid_anchors
from .data.boxes import (
    apply_box_deltas,
    box_refinement,
    compute_iou,
    compute_overlaps,
    compute_overlaps_masks,
    denorm_boxes,
    non_max_suppression,
    norm_boxes,
    trim_zeros,
)
from .data.dataset import Dataset
from .data.masks import expand_mask, extract_bboxes, minimize_mask, mold_mask, unmold_mask
from .data.resize import resize, resize_image, resize_mask
from .engine.downloads import COCO_MODEL_URL, download_trained_weights
from .engine.matterport_graphs import batch_slice
from .evaluation.ap import compute_ap, compute_ap_range, compute_matches, compute_recall
from .evaluation.confusion import gt_pred_lists
from .ops.boxes import encode_deltas as box_refinement_graph
from .visualize.matrices import plot_confusion_matrix_from_data

__all__ = [
    "COCO_MODEL_URL",
    "Dataset",
    "apply_box_deltas",
    "batch_slice",
    "box_refinement",
    "box_refinement_graph",
    "compute_ap",
    "compute_ap_range",
    "compute_iou",
    "compute_matches",
    "compute_overlaps",
    "compute_overlaps_masks",
    "compute_recall",
    "denorm_boxes",
    "download_trained_weights",
    "expand_mask",
    "extract_bboxes",
    "generate_anchors",
    "generate_pyramid_anchors",
    "minimize_mask",
    "gt_pred_lists",
    "mold_mask",
    "non_max_suppression",
    "norm_boxes",
    "plot_confusion_matrix_from_data",
    "resize",
    "resize_image",
    "resize_mask",
    "trim_zeros",
    "unmold_mask",
]
