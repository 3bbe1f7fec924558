"""Bilinear resizing as matrix products: the numbers of `data/resize.py` inside a graph, for sizes known late.

A matrix product does in every runtime the same, which their own resizing operations do not.
"""

import numpy as np
from keras import ops

PAD_MULTIPLE = 64
# As of `data.resize`.
LEAST_SIDE = 2


def plan_resize(height, width, min_dim, max_dim, min_scale, mode):
    """What `data.resize.plan_resize` says of an image whose size is a tensor.

    Args:
        height, width: scalar int32 tensors, pixels.
        min_dim, max_dim, min_scale: as of `data.resize.resize_image`.
        mode: "square", "pad64" or "none".

    Returns:
        `(size, padded, scale)`: two pairs of int32, the size after scaling and the one with padding, pixels; and the
        factor float32. In mode "square" `padded` are integers.
    """
    if mode == "none":
        return (height, width), (height, width), 1.0
    sides = [ops.cast(side, "float32") for side in (height, width)]
    shortest, longest = ops.minimum(*sides), ops.maximum(*sides)
    scale = ops.maximum(1.0, (min_dim or 0.0) / shortest)
    if min_scale:
        scale = ops.maximum(scale, float(min_scale))
    if max_dim and mode == "square":
        scale = ops.where(ops.round(longest * scale) > max_dim, max_dim / longest, scale)
    size = [ops.cast(ops.maximum(ops.round(side * scale), float(LEAST_SIDE)), "int32") for side in sides]
    if mode == "square":
        return size, (max_dim, max_dim), scale
    return size, [(side + PAD_MULTIPLE - 1) // PAD_MULTIPLE * PAD_MULTIPLE for side in size], scale


def linear_weights(start, size, length, cells, repeat_edge=False):
    """A bilinear resize along one axis, as a matrix.

    `length` source cells become the `size` cells from `start` on, of `cells`; cell centres are aligned and what lies
    outside the source counts as 0, or as its outermost cell with `repeat_edge`. Cells outside of these are 0.

    Args:
        start, size: `[...]` int32.
        length, cells: integers or scalar int32 tensors.

    Returns:
        `(weights [..., cells, length] float32, inside [..., cells] bool)`.
    """
    # `expand_dims` and not an index with None: of a number, some exporters take the former only.
    start, size = (ops.expand_dims(ops.convert_to_tensor(part, dtype="int32"), -1) for part in (start, size))
    cell = ops.arange(cells, dtype="int32") - start
    inside = (cell >= 0) & (cell < size)
    # One division of whole numbers that float32 holds: OpenCV's position, to the bit.
    doubled = ops.cast((2 * cell + 1) * length - size, "float32")
    position = doubled / ops.cast(2 * ops.maximum(size, 1), "float32")
    if repeat_edge:
        position = ops.clip(position, 0.0, ops.cast(length, "float32") - 1.0)
    distance = ops.abs(ops.expand_dims(position, -1) - ops.arange(length, dtype="float32"))
    return ops.where(ops.expand_dims(inside, -1), ops.maximum(1.0 - distance, 0.0), 0.0), inside


def resize_and_pad(images, size, start, padded):
    """Scale images as `data.resize.apply_plan` does and put them into zeros.

    Args:
        images: `[B, H, W, channels]` uint8.
        size: `(height, width)` after scaling; start: `(top, left)` in the result; padded: `(height, width)` of the
            result. Integers or scalar int32 tensors.

    Returns:
        `[B, *padded, channels]` float32, whole numbers from 0 to 255.
    """
    height, width = ops.shape(images)[1:3]
    rows, rows_inside = linear_weights(start[0], size[0], height, padded[0])
    columns, columns_inside = linear_weights(start[1], size[1], width, padded[1])
    planes = ops.transpose(ops.cast(images, "float32"), (0, 3, 1, 2))
    low, high = (limit(planes, axis=(1, 2, 3), keepdims=True) for limit in (ops.min, ops.max))
    scaled = ops.matmul(rows, ops.matmul(planes, ops.transpose(columns)))
    # Enlarged pictures fade at their border, but not below their darkest pixel.
    scaled = ops.floor(ops.maximum(ops.minimum(scaled, high), low))
    inside = ops.expand_dims(rows_inside, 1) & ops.expand_dims(columns_inside, 0)
    return ops.transpose(ops.where(inside, scaled, 0.0), (0, 2, 3, 1))


def smooth_weights(size, length):
    """A bilinear resize from `length` to `size` cells, smoothed when shrinking, in the whole numbers that Pillow takes.

    The triangle over each new cell reaches one source cell to either side, or one new cell where that is more. Its
    weights are multiples of 2^-22.

    Returns:
        `(coarse, fine)`, each `[size, length]` float32: a weight is `(2^11 coarse + fine) / 2^22`.
    """
    scale = length / size
    centres = (np.arange(size) + 0.5) * scale
    weights = np.maximum(1.0 - np.abs(np.arange(length) + 0.5 - centres[:, None]) / max(scale, 1.0), 0.0)
    weights = np.floor(weights / weights.sum(axis=1, keepdims=True) * 2**22 + 0.5)
    return tuple(part.astype("float32") for part in np.divmod(weights, 2**11))


def _smoothed(planes, size):
    """The last axis of whole numbers, resized with `smooth_weights` and rounded; float32 holds every sum exactly."""
    coarse, fine = (ops.matmul(planes, part.T) for part in smooth_weights(size, planes.shape[-1]))
    return ops.floor((coarse + ops.floor(fine / 2**11) + 2**10) / 2**11)


def resize_exactly(images, size, mode):
    """Scale images as `data.resize.resize_exactly` does.

    Args:
        images: `[B, H, W, channels]` uint8, of a known size.
        size: `(height, width)`, integers.
        mode: "pad32" or "pad32_smooth".

    Returns:
        `[B, *size, channels]` float32, 0 to 255; whole numbers in the mode "pad32_smooth", which are Pillow's where it
        resizes rows before columns, and else at most one grey level off.
    """
    planes = ops.transpose(ops.cast(images, "float32"), (0, 3, 1, 2))
    sides = list(zip(size, images.shape[1:3], strict=True))
    if mode == "pad32":
        rows, columns = (linear_weights(0, side, length, side, repeat_edge=True)[0] for side, length in sides)
        scaled = ops.matmul(rows, ops.matmul(planes, ops.transpose(columns)))
    else:
        # Pillow keeps whole numbers between the two steps, and leaves out one that changes nothing.
        scaled = planes
        for side, length in reversed(sides):
            scaled = ops.swapaxes(_smoothed(scaled, side) if side != length else scaled, 2, 3)
    return ops.transpose(scaled, (0, 2, 3, 1))
