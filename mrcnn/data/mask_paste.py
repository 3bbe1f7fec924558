"""From a small predicted mask to one of the image's size, as torchvision and Detectron2 do it.

`masks.unmold_masks` is Matterport's way, for boxes of whole pixels. These take boxes as the network gave them.
"""

import numpy as np

from .bilinear import edge_bilinear


def paste_padded(masks, boxes, image_shape):
    """torchvision's way: a border of zeros around mask and box, the box cut down to whole pixels, then enlarged.

    Args:
        masks: float [N, M, M] in [0, 1]; boxes: float [N, (y1, x1, y2, x2)] in pixels; image_shape: (H, W, ...).

    Returns:
        bool [H, W, N], True where the enlarged mask is above 0.5; what reaches outside the image is cut off.
    """
    masks = np.pad(np.asarray(masks, np.float32), [(0, 0), (1, 1), (1, 1)])
    corners = _grown(np.asarray(boxes, np.float32), masks.shape[1] / (masks.shape[1] - 2)).astype(np.int64)
    full = np.zeros((len(masks), *image_shape[:2]), dtype=bool)
    for canvas, mask, (y1, x1, y2, x2) in zip(full, masks, corners, strict=True):
        # Both edges count: the box covers the pixel that its far edge lies in.
        part = edge_bilinear(mask, (int(max(y2 - y1 + 1, 1)), int(max(x2 - x1 + 1, 1))))
        _put(canvas, part > 0.5, y1, x1)
    return np.moveaxis(full, 0, -1)


def paste_centers(masks, boxes, image_shape):
    """Detectron2's way: the mask, spread over the box as it is, is read at the centres of the pixels.

    Args:
        masks: float [N, M, M] in [0, 1]; boxes: float [N, (y1, x1, y2, x2)] in pixels; image_shape: (H, W, ...).

    Returns:
        bool [H, W, N], True where the mask is 0.5 or more; beyond the mask it counts as 0.
    """
    full = np.zeros((len(masks), *image_shape[:2]), dtype=bool)
    for canvas, mask, box in zip(full, np.asarray(masks, np.float32), np.asarray(boxes, np.float32), strict=True):
        if box[2] > box[0] and box[3] > box[1]:
            (top, rows), (left, columns) = (
                _reading(box[axis], box[axis + 2], canvas.shape[axis], mask.shape[axis]) for axis in range(2)
            )
            _put(canvas, rows @ mask @ columns.T >= 0.5, top, left)
    return np.moveaxis(full, 0, -1)


def _grown(boxes, factor):
    """Boxes [N, 4] `factor` times as large around their centres."""
    center = (boxes[:, 2:] + boxes[:, :2]) * np.float32(0.5)
    half = (boxes[:, 2:] - boxes[:, :2]) * np.float32(0.5) * np.float32(factor)
    return np.concatenate([center - half, center + half], axis=1)


def _reading(start, stop, length, cells):
    """The first pixel that a box reaches along one axis, and how its pixels mix the mask's cells: float32 [n, M]."""
    first, last = max(int(np.floor(start)) - 1, 0), min(int(np.ceil(stop)) + 1, length)
    centers = np.arange(first, last, dtype=np.float32) + np.float32(0.5)
    positions = (centers - start) / (stop - start) * cells - np.float32(0.5)
    return first, np.maximum(1 - np.abs(positions[:, None] - np.arange(cells, dtype=np.float32)), 0)


def _put(canvas, part, top, left):
    """Write the part that lies inside the canvas."""
    rows = slice(max(top, 0), min(top + part.shape[0], canvas.shape[0]))
    columns = slice(max(left, 0), min(left + part.shape[1], canvas.shape[1]))
    if rows.start < rows.stop and columns.start < columns.stop:
        inside = part[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
        canvas[rows, columns] = inside
