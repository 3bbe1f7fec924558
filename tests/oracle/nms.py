"""Greedy non-maximum suppression, one box at a time."""

import numpy as np

from .boxes import iou


def non_max_suppression(boxes, scores, iou_threshold, max_outputs, group_ids=None):
    """Indices of the boxes taken, for one image. Negative scores are padding."""
    boxes = np.asarray(boxes, "float32")
    taken = []
    for index in np.argsort(-scores, kind="stable"):
        rivals = [i for i in taken if group_ids is None or group_ids[i] == group_ids[index]]
        hidden = any(iou(boxes[index], boxes[i]) > np.float32(iou_threshold) for i in rivals)
        if scores[index] >= 0 and not hidden and len(taken) < max_outputs:
            taken.append(int(index))
    return taken
