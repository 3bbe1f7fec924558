"""Instance masks: their boxes, their small form inside the box, and the way back."""

import numpy as np

from .bilinear import bilinear


def binary_masks(masks):
    """Annotated masks of any dtype as bool: every value but zero belongs to the object, and NaN does not."""
    if masks.dtype == bool:
        return masks
    binary = masks != 0
    return binary & (masks == masks) if masks.dtype.kind == "f" else binary


def extract_bboxes(mask):
    """Smallest boxes around masks.

    Args:
        mask: [H, W, N], any dtype, see `binary_masks`.

    Returns:
        int32 [N, (y1, x1, y2, x2)] in pixels, y2 and x2 just outside; zeros for an empty mask.
    """
    return resized_bboxes(mask, np.arange(mask.shape[0]), np.arange(mask.shape[1]))


def resized_bboxes(mask, rows, columns):
    """Boxes of masks that are resized in thought only.

    Args:
        mask: [H, W, N], the mask as it was loaded.
        rows, columns: int [h], [w]: which row and column of `mask` the resized mask shows there,
            -1 in the padding.

    Returns:
        int32 [N, 4] in pixels of the resized mask, as from `extract_bboxes`.
    """
    mask, rows = _only_used(mask, rows, axis=0)
    mask, columns = _only_used(mask, columns, axis=1)
    occupied_rows, occupied_columns = _occupied(mask)
    y1, y2 = _first_and_last(occupied_rows[rows] & (rows >= 0)[:, None])
    x1, x2 = _first_and_last(occupied_columns[columns] & (columns >= 0)[:, None])
    return np.stack([y1, x1, y2, x2], axis=1).astype(np.int32)


def _only_used(mask, rows, axis):
    """The mask without the lines that `rows` never shows, and `rows` pointing into that."""
    used = np.unique(rows[rows >= 0])
    if len(used) == mask.shape[axis]:
        return mask, rows
    return mask.take(used, axis=axis), np.where(rows >= 0, np.searchsorted(used, rows), -1)


def _occupied(mask):
    """Which rows [H, N] and columns [W, N] hold a pixel of each mask [H, W, N]."""
    mask = binary_masks(np.asarray(mask))
    height, width, count = mask.shape
    columns = mask.reshape(height, width * count).any(axis=0).reshape(width, count)
    # Halving the width keeps the inner loops long; numpy's own reduction over the middle axis
    # runs over the few instances instead and is many times slower.
    rows = mask
    while rows.shape[1] > 1:
        half = rows.shape[1] // 2
        rows, odd = rows[:, :half] | rows[:, half : 2 * half], rows[:, 2 * half :]
        if odd.shape[1]:
            rows[:, :1] |= odd
    return rows.any(axis=1), columns


def _first_and_last(occupied):
    """First set index and one past the last one [N] along axis 0 of [L, N]; zeros if none is."""
    if not occupied.size:
        return np.zeros((2, occupied.shape[1]), dtype=np.int64)
    some = occupied.any(axis=0)
    first = occupied.argmax(axis=0)
    last = len(occupied) - occupied[::-1].argmax(axis=0)
    return np.where(some, first, 0), np.where(some, last, 0)


def minimize_mask(bbox, mask, mini_shape):
    """Store only what is inside each box, at a small size.

    Args:
        bbox: [N, (y1, x1, y2, x2)] whole pixels.
        mask: [H, W, N].
        mini_shape: (height, width) of the small masks.

    Returns:
        bool [height, width, N].

    Raises:
        ValueError: a box has no area.
    """
    rows, columns = np.arange(mask.shape[0]), np.arange(mask.shape[1])
    return sample_mini_masks(mask, np.asarray(bbox)[:, :4], mini_shape, rows, columns)


def sample_mini_masks(mask, boxes, mini_shape, rows, columns):
    """Mini masks of a mask that is resized in thought only.

    Args:
        mask: [H, W, N], the mask as it was loaded.
        boxes: int [N, 4] in pixels of the resized mask.
        rows, columns: int [h], [w]: which row and column of `mask` the resized mask shows there;
            boxes must not reach where they are -1.

    Returns:
        bool [height, width, N]: the same as resizing, cutting out and shrinking one by one.
    """
    height, width = (int(side) for side in mini_shape)
    empty = np.flatnonzero((boxes[:, 2] <= boxes[:, 0]) | (boxes[:, 3] <= boxes[:, 1]))
    if len(empty):
        raise ValueError(
            f"Invalid bounding box with area of zero: box {empty[0]} is {boxes[empty[0]].tolist()}. "
            "Drop empty masks before minimize_mask()."
        )
    ys, y_weights = _taps(boxes[:, 0], boxes[:, 2], height, rows)
    xs, x_weights = _taps(boxes[:, 1], boxes[:, 3], width, columns)
    mask = np.ascontiguousarray(binary_masks(mask))
    count = mask.shape[2]
    flat = mask.reshape(-1)
    base = ys[..., None, :] * mask.shape[1]
    instance = np.arange(count)
    total = np.zeros((height, width, count))
    all_set = np.ones(count, dtype=bool)
    for i in range(2):
        for j in range(2):
            values = flat.take((base[i] + xs[j][None]) * count + instance)
            total += values * (y_weights[i][:, None] * x_weights[j][None])
            all_set &= values.all(axis=(0, 1))
    # A tie goes to the background, as numpy's round half to even has it.
    mini = total > 0.5
    # A full box stays full: resizing never leaves the range of its input.
    for index in np.flatnonzero(all_set):
        mini[:, :, index] |= _is_full(mask[:, :, index], boxes[index], rows, columns)
    return mini


def _is_full(mask, box, rows, columns):
    y1, x1, y2, x2 = box
    return mask[rows[y1:y2]][:, columns[x1:x2]].all()


def _taps(start, stop, count, rows):
    """The two pixels each of `count` samples between start and stop mixes, and their weights.

    Args:
        start, stop: int [N], the box's edges; rows: int [h], source row of each pixel.

    Returns:
        source rows int [2, count, N] and weights float64 [2, count, N], 0 outside the box.
    """
    length = stop - start
    positions = (np.arange(count)[:, None] + 0.5) * (length / count) - 0.5
    low = np.floor(positions).astype(np.int64)
    fraction = positions - low
    taps = np.stack([low, low + 1])
    weights = np.stack([1 - fraction, fraction])
    weights[(taps < 0) | (taps >= length)] = 0
    return rows[start + np.clip(taps, 0, length - 1)], weights


def expand_mask(bbox, mini_mask, image_shape):
    """Paste mini masks back into their boxes; the inverse of `minimize_mask`, up to resolution.

    Args:
        bbox: [N, 4] whole pixels; mini_mask: [h, w, N]; image_shape: (H, W, ...).

    Returns:
        bool [H, W, N], stored so that each object's mask is contiguous.
    """
    return _paste_all(np.moveaxis(mini_mask, -1, 0), [box[:4] for box in bbox], image_shape, np.greater)


def unmold_mask(mask, bbox, image_shape):
    """Turn a predicted mask into one of the image's size.

    Args:
        mask: float [h, w] in [0, 1]; bbox: (y1, x1, y2, x2) whole pixels; image_shape: (H, W, ...).

    Returns:
        bool [H, W], True where the enlarged mask is 0.5 or more. A box without area gives an
        empty mask; what reaches outside the image is cut off.
    """
    return unmold_masks([mask], [bbox], image_shape)[:, :, 0]


def unmold_masks(masks, boxes, image_shape):
    """`unmold_mask` for several objects.

    Args:
        masks: float [N, h, w] in [0, 1]; boxes: [N, 4] whole pixels; image_shape: (H, W, ...).

    Returns:
        bool [H, W, N], stored so that each object's mask is contiguous.
    """
    return _paste_all(masks, boxes, image_shape, np.greater_equal)


def _paste_all(masks, boxes, image_shape, compare):
    """bool [H, W, N] of masks [N, h, w], each `_paste`d into its own plane."""
    full = np.zeros((len(masks), *image_shape[:2]), dtype=bool)
    for canvas, mask, box in zip(full, masks, boxes, strict=True):
        _paste(canvas, mask, box, compare)
    return np.moveaxis(full, 0, -1)


def _paste(canvas, mask, box, compare):
    """Write into `canvas` bool [H, W] where `mask` [h, w], resized to the box, stands in this relation to 0.5."""
    y1, x1, y2, x2 = (int(edge) for edge in box)
    top, left = max(y1, 0), max(x1, 0)
    bottom, right = min(y2, canvas.shape[0]), min(x2, canvas.shape[1])
    if top >= bottom or left >= right:
        return
    resized = bilinear(mask, (y2 - y1, x2 - x1))[top - y1 : bottom - y1, left - x1 : right - x1]
    compare(resized, 0.5, out=canvas[top:bottom, left:right])


def mold_mask(mask, config):
    """Masks [H, W, N] in the form that training takes: mini masks if USE_MINI_MASK says so."""
    if config.USE_MINI_MASK:
        return minimize_mask(extract_bboxes(mask), mask, config.MINI_MASK_SHAPE)
    return binary_masks(mask)
