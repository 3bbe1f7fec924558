"""Random regions of interest, and the second stage's targets for given regions, in numpy.

For studying the heads without the region proposal network (USE_RPN_ROIS = False).
"""

import numpy as np

from .bilinear import bilinear
from .boxes import box_refinement, compute_overlaps
from .masks import expand_mask

POSITIVE_IOU = 0.5


def generate_random_rois(image_shape, count, gt_class_ids, gt_boxes, rng=None):
    """Random boxes, nine of ten near the objects.

    Args:
        image_shape: (height, width, ...); count: number of boxes.
        gt_class_ids: [G], not used; part of the known signature. gt_boxes: [G, 4] pixels.
        rng: numpy RandomState; None draws from numpy's global state.

    Returns:
        int32 [count, (y1, x1, y2, x2)] in pixels, all with an area.
    """
    del gt_class_ids
    rng = np.random if rng is None else rng
    height, width = image_shape[:2]
    per_object = int(0.9 * count / len(gt_boxes)) if len(gt_boxes) else 0
    rois = []
    for y1, x1, y2, x2 in gt_boxes:
        tall, wide = y2 - y1, x2 - x1
        y_range = max(y1 - tall, 0), min(y2 + tall, height)
        x_range = max(x1 - wide, 0), min(x2 + wide, width)
        rois.append(_random_boxes(y_range, x_range, per_object, rng))
    rois.append(_random_boxes((0, height), (0, width), count - per_object * len(gt_boxes), rng))
    return np.concatenate(rois).astype(np.int32)


def _random_boxes(y_range, x_range, count, rng):
    """`count` boxes with corners in the half-open ranges; twice as many are drawn, empty ones dropped."""
    while True:
        ys = rng.randint(*y_range, (count * 2, 2))
        xs = rng.randint(*x_range, (count * 2, 2))
        ys = np.sort(ys[ys[:, 0] != ys[:, 1]][:count], axis=1)
        xs = np.sort(xs[xs[:, 0] != xs[:, 1]][:count], axis=1)
        if len(ys) == count and len(xs) == count:
            return np.stack([ys[:, 0], xs[:, 0], ys[:, 1], xs[:, 1]], axis=1)


def build_detection_targets(rpn_rois, gt_class_ids, gt_boxes, gt_masks, config, rng=None):
    """Sample regions and give each its class, box and mask target (Mask R-CNN, section 3.1).

    Args:
        rpn_rois: [N, 4] pixels; gt_class_ids: [G]; gt_boxes: int [G, 4] pixels.
        gt_masks: [H, W, G], or mini masks if USE_MINI_MASK.
        rng: numpy RandomState; None draws from numpy's global state.

    Returns, with R = TRAIN_ROIS_PER_IMAGE, C = NUM_CLASSES:
        rois [R, 4], positives first; class_ids int32 [R], 0 for background;
        bboxes float32 [R, C, 4]: deltas in the row of the class, divided by BBOX_STD_DEV;
        masks float32 [R, MASK_SHAPE, C] in [0, 1], in the plane of the class.

    Raises:
        ValueError: no objects, or no region to sample from.
    """
    rng = np.random if rng is None else rng
    objects = np.flatnonzero(np.asarray(gt_class_ids) > 0)
    if not len(objects):
        raise ValueError("The image has no objects; detection targets need at least one positive class id.")
    gt_class_ids, gt_boxes, gt_masks = gt_class_ids[objects], gt_boxes[objects], gt_masks[:, :, objects]
    overlaps = compute_overlaps(rpn_rois, gt_boxes)
    best_gt = overlaps.argmax(axis=1)
    positives, negatives = _sample(overlaps.max(axis=1), config, rng)

    keep = np.concatenate([positives, negatives])
    rois, assigned = rpn_rois[keep], best_gt[keep]
    count = len(positives)
    class_ids = gt_class_ids[assigned].astype(np.int32)
    class_ids[count:] = 0
    bboxes = np.zeros((len(keep), config.NUM_CLASSES, 4), dtype=np.float32)
    deltas = box_refinement(rois[:count], gt_boxes[assigned[:count]]) / np.asarray(config.BBOX_STD_DEV)
    bboxes[np.arange(count), class_ids[:count]] = deltas
    masks = np.zeros((len(keep), *config.MASK_SHAPE, config.NUM_CLASSES), dtype=np.float32)
    # Mini masks know nothing of the image's size; what lies beyond all regions and objects is not looked at.
    extent = np.ceil(np.concatenate([rois, gt_boxes]).max(axis=0)[2:]).astype(int)
    for row in range(count):
        whole = _whole_mask(gt_boxes, gt_masks, assigned[row], extent, config)
        y1, x1, y2, x2 = rois[row].astype(np.int32)
        masks[row, :, :, class_ids[row]] = bilinear(whole[y1:y2, x1:x2], tuple(config.MASK_SHAPE))
    return rois, class_ids, bboxes, masks


def _sample(best_iou, config, rng):
    """Positions of the positive and of the negative regions, TRAIN_ROIS_PER_IMAGE together."""
    total = config.TRAIN_ROIS_PER_IMAGE
    positives = _at_most(np.flatnonzero(best_iou > POSITIVE_IOU), int(total * config.ROI_POSITIVE_RATIO), rng)
    negatives = _at_most(np.flatnonzero(best_iou < POSITIVE_IOU), total - len(positives), rng)
    missing = total - len(positives) - len(negatives)
    if missing:
        if not len(negatives):
            raise ValueError(
                "No region overlaps the objects by less than half, so there is no background to train on; "
                "give more regions."
            )
        # Too few to choose from: background is repeated.
        negatives = np.concatenate([negatives, rng.choice(negatives, missing, replace=True)])
    return positives, negatives


def _at_most(positions, count, rng):
    return rng.choice(positions, count, replace=False) if len(positions) > count else positions


def _whole_mask(gt_boxes, gt_masks, index, extent, config):
    """bool [H, W] of one object, at least as large as `extent`."""
    if not config.USE_MINI_MASK:
        return gt_masks[:, :, index]
    one = slice(index, index + 1)
    return expand_mask(gt_boxes[one], gt_masks[:, :, one], extent)[:, :, 0]
