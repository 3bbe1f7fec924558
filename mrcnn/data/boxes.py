"""Boxes and their overlaps in numpy. Boxes are (y1, x1, y2, x2); y2 and x2 lie just outside."""

import numpy as np


def norm_boxes(boxes, shape):
    """Pixel boxes to normalised ones.

    Args:
        boxes: [N, 4] in pixels.
        shape: (height, width, ...) of the image.

    Returns:
        float32 [N, 4]. The far edge moves back by one pixel, then y is divided by height - 1
        and x by width - 1, so the whole image is (0, 0, 1, 1).
    """
    scale, shift = _scale_and_shift(shape)
    return ((np.asarray(boxes) - shift) / scale).astype(np.float32)


def denorm_boxes(boxes, shape):
    """Normalised boxes [N, 4] to int32 pixels, rounded; the inverse of `norm_boxes`."""
    scale, shift = _scale_and_shift(shape)
    return np.around(np.asarray(boxes) * scale + shift).astype(np.int32)


def _scale_and_shift(shape):
    height, width = shape[:2]
    return np.array([height - 1, width - 1, height - 1, width - 1]), np.array([0, 0, 1, 1])


def box_areas(boxes):
    """Areas [N] of boxes [N, 4]."""
    boxes = np.asarray(boxes)
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def compute_iou(box, boxes, box_area, boxes_area):
    """Intersection over union of one box with many.

    Args:
        box: [4]; boxes: [N, 4]; box_area: number; boxes_area: [N]. Areas are arguments so that
            they are computed once for many calls.

    Returns:
        float [N] in [0, 1]; 0 where both areas are 0.
    """
    top = np.maximum(box[0], boxes[:, 0])
    left = np.maximum(box[1], boxes[:, 1])
    bottom = np.minimum(box[2], boxes[:, 2])
    right = np.minimum(box[3], boxes[:, 3])
    intersection = np.maximum(bottom - top, 0) * np.maximum(right - left, 0)
    union = box_area + boxes_area - intersection
    return intersection / np.where(union > 0, union, 1)


def compute_overlaps(boxes1, boxes2):
    """Intersection over union of every pair: boxes [N, 4] and [M, 4] -> float64 [N, M]."""
    boxes1, boxes2 = np.asarray(boxes1), np.asarray(boxes2)
    if len(boxes1) < len(boxes2):
        return compute_overlaps(boxes2, boxes1).T
    areas1, areas2 = box_areas(boxes1), box_areas(boxes2)
    overlaps = np.zeros((len(boxes1), len(boxes2)))
    # One column a pass of the shorter list: memory stays at a few arrays of the longer one.
    for column, (box, area) in enumerate(zip(boxes2, areas2, strict=True)):
        overlaps[:, column] = compute_iou(box, boxes1, area, areas1)
    return overlaps


def compute_overlaps_masks(masks1, masks2):
    """Intersection over union of masks [H, W, N] and [H, W, M] -> float32 [N, M].

    Soft masks count where above 0.5. Two empty masks overlap by 0.
    """
    count1, count2 = masks1.shape[-1], masks2.shape[-1]
    if count1 == 0 or count2 == 0:
        return np.zeros((count1, count2), dtype=np.float32)
    if masks1.shape[:2] != masks2.shape[:2]:
        raise ValueError(
            f"Masks to compare have sizes {masks1.shape[:2]} and {masks2.shape[:2]}; they must be equal. "
            "Pass use_mini_mask=False to load_image_gt() to get masks of the image's size."
        )
    flat1 = (masks1 > 0.5).reshape(-1, count1).astype(np.float32)
    flat2 = (masks2 > 0.5).reshape(-1, count2).astype(np.float32)
    intersection = flat1.T @ flat2
    union = flat1.sum(axis=0)[:, None] + flat2.sum(axis=0)[None, :] - intersection
    return intersection / np.where(union > 0, union, 1)


def non_max_suppression(boxes, scores, threshold):
    """Indices of boxes that no better one overlaps by more than `threshold`.

    Args:
        boxes: [N, 4]; scores: [N]; threshold: IoU in [0, 1].

    Returns:
        int32 indices, best score first.
    """
    boxes = np.asarray(boxes, dtype=np.float32)
    areas = box_areas(boxes)
    order = np.asarray(scores).argsort()[::-1]
    keep = []
    while len(order):
        best, order = order[0], order[1:]
        keep.append(best)
        overlap = compute_iou(boxes[best], boxes[order], areas[best], areas[order])
        order = order[overlap <= threshold]
    return np.array(keep, dtype=np.int32)


def apply_box_deltas(boxes, deltas):
    """Move boxes [N, 4] by deltas [N, (dy, dx, log dh, log dw)] -> float32 [N, 4].

    dy and dx are fractions of the height and width (Faster R-CNN, section 3.1.2). Deltas are
    as encoded, not divided by a standard deviation.
    """
    boxes = np.asarray(boxes).astype(np.float32)
    deltas = np.asarray(deltas)
    size = boxes[:, 2:] - boxes[:, :2]
    center = boxes[:, :2] + 0.5 * size + deltas[:, :2] * size
    size = size * np.exp(deltas[:, 2:])
    top_left = center - 0.5 * size
    return np.concatenate([top_left, top_left + size], axis=1).astype(np.float32)


def box_refinement(box, gt_box):
    """Deltas float32 [N, (dy, dx, log dh, log dw)] that move `box` [N, 4] to `gt_box` [N, 4]."""
    box = np.asarray(box).astype(np.float32)
    gt_box = np.asarray(gt_box).astype(np.float32)
    size, gt_size = box[:, 2:] - box[:, :2], gt_box[:, 2:] - gt_box[:, :2]
    center, gt_center = box[:, :2] + 0.5 * size, gt_box[:, :2] + 0.5 * gt_size
    return np.concatenate([(gt_center - center) / size, np.log(gt_size / size)], axis=1)


def trim_zeros(x):
    """Rows of x [N, K] that are not all zero."""
    return x[~np.all(x == 0, axis=1)]
