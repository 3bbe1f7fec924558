"""Matching rules of both stages for one image, in float64."""

import numpy as np

from .boxes import encode_deltas, iou_matrix
from .roi_align import crop_and_resize


def match_anchors(anchors, gt_class_ids, gt_boxes):
    """`(match [A] of 1, 0 and -1 for negative, gt index [A])` before sampling."""
    match, gt_ids = np.zeros(len(anchors), int), np.zeros(len(anchors), int)
    anchors, gt_boxes = anchors.astype("float64"), gt_boxes.astype("float64")
    objects = np.flatnonzero(gt_class_ids > 0)
    crowds = np.flatnonzero(gt_class_ids < 0)
    iou = iou_matrix(anchors, gt_boxes[objects])
    best = iou.max(axis=1, initial=0)
    crowd = iou_matrix(anchors, gt_boxes[crowds]).max(axis=1, initial=0)
    match[(best < 0.3) & (crowd < 0.001)] = -1
    for column in iou.T:
        if column.max() > 0:
            match[column >= column.max() * (1 - 1e-5)] = 1
    match[best >= 0.7] = 1
    if len(objects):
        gt_ids = objects[iou.argmax(axis=1)]
    return match, gt_ids


def anchor_deltas(anchor, gt_box, std_dev):
    """Target deltas of one anchor."""
    return encode_deltas(np.asarray(anchor, "float64"), np.asarray(gt_box, "float64")) / std_dev


def match_rois(rois, gt_class_ids, gt_boxes):
    """`(positive indices, negative indices, gt index [P])` before sampling; rows of zeros left out."""
    rois, gt_boxes = rois.astype("float64"), gt_boxes.astype("float64")
    objects, crowds = np.flatnonzero(gt_class_ids > 0), np.flatnonzero(gt_class_ids < 0)
    iou = iou_matrix(rois, gt_boxes[objects])
    crowd = iou_matrix(rois, gt_boxes[crowds]).max(axis=1, initial=0)
    best, real = iou.max(axis=1, initial=0), np.abs(rois).sum(axis=1) > 0
    gt_ids = objects[iou.argmax(axis=1)] if len(objects) else np.zeros(len(rois), int)
    return np.flatnonzero(real & (best >= 0.5)), np.flatnonzero(real & (best < 0.5) & (crowd < 0.001)), gt_ids


def mask_target(mask, roi, gt_box, shape, mini):
    """The 0/1 mask of one positive roi, out of the mask `[h, w]` of its object."""
    if mini:
        height, width = gt_box[2] - gt_box[0], gt_box[3] - gt_box[1]
        roi = (np.asarray(roi) - np.asarray(gt_box)[[0, 1, 0, 1]]) / np.array([height, width, height, width])
    return np.round(crop_and_resize(mask[..., None].astype("float64"), roi, shape)[..., 0])
