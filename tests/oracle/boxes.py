"""Box arithmetic, one box at a time."""

import numpy as np


def iou(a, b):
    """Intersection over union of two boxes, in the float type they come in; 0 for empty boxes."""
    height = max(min(a[2], b[2]) - max(a[0], b[0]), a.dtype.type(0))
    width = max(min(a[3], b[3]) - max(a[1], b[1]), a.dtype.type(0))
    intersection = height * width
    if intersection <= 0:
        return a.dtype.type(0)
    return intersection / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - intersection)


def iou_matrix(boxes_a, boxes_b):
    """`[N, M]`."""
    return np.array([[iou(a, b) for b in boxes_b] for a in boxes_a]).reshape(len(boxes_a), len(boxes_b))


def encode_deltas(box, gt_box):
    """`(dy, dx, log dh, log dw)` that carry one box onto another."""
    height, width = box[2] - box[0], box[3] - box[1]
    gt_height, gt_width = gt_box[2] - gt_box[0], gt_box[3] - gt_box[1]
    dy = (gt_box[0] + gt_box[2] - box[0] - box[2]) / 2 / height
    dx = (gt_box[1] + gt_box[3] - box[1] - box[3]) / 2 / width
    return np.array([dy, dx, np.log(gt_height / height), np.log(gt_width / width)])
