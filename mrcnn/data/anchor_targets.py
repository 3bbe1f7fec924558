"""Which anchors the region proposal network should call an object, in numpy."""

import numpy as np

from .boxes import box_refinement, compute_overlaps

NEGATIVE_IOU = 0.3
POSITIVE_IOU = 0.7
# Anchors that touch a crowd by more than this are neither right nor wrong.
CROWD_IOU = 0.001


def build_rpn_targets(image_shape, anchors, gt_class_ids, gt_boxes, config, rng=None):
    """Match anchors to ground truth (Faster R-CNN, section 3.1.2) and draw a training sample.

    Positive: the best anchors of each object, and all with IoU of at least 0.7. Negative: best
    IoU below 0.3 and away from crowds (class id below 0). At most half of
    RPN_TRAIN_ANCHORS_PER_IMAGE are positive.

    Args:
        image_shape: not used; part of the known signature.
        anchors: [A, 4] pixels; gt_class_ids: [G]; gt_boxes: [G, 4] pixels.
        rng: numpy RandomState; None draws from numpy's global state.

    Returns:
        rpn_match int32 [A]: 1 positive, -1 negative, 0 not used.
        rpn_bbox float64 [RPN_TRAIN_ANCHORS_PER_IMAGE, 4]: deltas of the positive anchors in
        their order, divided by RPN_BBOX_STD_DEV, then rows of zeros.
    """
    del image_shape
    rng = np.random if rng is None else rng
    budget = config.RPN_TRAIN_ANCHORS_PER_IMAGE
    gt_class_ids, gt_boxes = np.asarray(gt_class_ids), np.asarray(gt_boxes).reshape(-1, 4)
    crowds, gt_boxes = gt_boxes[gt_class_ids < 0], gt_boxes[gt_class_ids > 0]

    match, best_gt = _match(anchors, gt_boxes, crowds)
    _drop_surplus(match, 1, budget // 2, rng)
    _drop_surplus(match, -1, budget - np.count_nonzero(match == 1), rng)

    deltas = np.zeros((budget, 4))
    positive = np.flatnonzero(match == 1)
    if len(positive):
        refinement = box_refinement(anchors[positive], gt_boxes[best_gt[positive]])
        deltas[: len(positive)] = refinement / np.asarray(config.RPN_BBOX_STD_DEV)
    return match, deltas


def _match(anchors, gt_boxes, crowds):
    """Labels int32 [A] before sampling, and each anchor's best object [A]."""
    match = np.zeros(len(anchors), dtype=np.int32)
    away_from_crowds = compute_overlaps(anchors, crowds).max(axis=1, initial=0) < CROWD_IOU
    if not len(gt_boxes):
        match[away_from_crowds] = -1
        return match, np.zeros(len(anchors), dtype=np.int64)
    overlaps = compute_overlaps(anchors, gt_boxes)
    best_gt = overlaps.argmax(axis=1)
    best_iou = overlaps.max(axis=1)
    match[(best_iou < NEGATIVE_IOU) & away_from_crowds] = -1
    # Every anchor that ties for the best of an object counts; an object that touches no anchor
    # would otherwise tie with all of them.
    best_of_object = overlaps.max(axis=0)
    is_best = (overlaps == best_of_object) & (best_of_object > 0)
    match[is_best.any(axis=1)] = 1
    match[best_iou >= POSITIVE_IOU] = 1
    return match, best_gt


def _drop_surplus(match, label, allowed, rng):
    chosen = np.flatnonzero(match == label)
    surplus = len(chosen) - allowed
    if surplus > 0:
        match[rng.choice(chosen, surplus, replace=False)] = 0
