"""Pooling regions out of a feature pyramid.

Both samplings here are separable: the value of an output cell is a sum over a few rows and columns ("taps")
of one pyramid level, `sum_y sum_x weight_y * weight_x * feature[y, x]`. A tap is a pair of tensors,
the index and the weight, each `[B, R, cells]`.
"""

import math

from keras import ops

from .backend import kernel
from .boxes import box_area


def assign_levels(boxes, image_area_px, min_level=2, max_level=5):
    """Pyramid level of each box as Matterport has it: `4 + log2(sqrt(area) / 224)`, rounded and clipped.

    The paper (FPN, equation 1) rounds down, see `assign_levels_px`.

    Args:
        boxes: `[B, R, 4]` normalised.
        image_area_px: area of the image in pixels, a number or `[B]`.
        min_level: lowest level, the one of empty boxes and of those that are not numbers.
        max_level: highest level.

    Returns:
        `[B, R]` int32.
    """
    boxes = ops.cast(boxes, "float32")
    area = (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])
    # 224 pixels in normalised units, one per image.
    canonical = 224.0 / ops.sqrt(ops.cast(image_area_px, "float32"))[..., None]
    # Not `maximum`, which lets pass what is not a number: every box needs a level.
    size = ops.sqrt(ops.where(area > 1e-30, area, 1e-30))
    level = 4.0 + ops.log(size / canonical) / math.log(2.0)
    return ops.cast(ops.clip(ops.round(level), min_level, max_level), "int32")


def assign_levels_px(boxes_px, min_level=2, max_level=5):
    """Pyramid level of each box (FPN, equation 1): `floor(4 + log2(sqrt(area) / 224))`, clipped.

    A box a millionth smaller than a power of two counts as that power, as in torchvision.

    Args:
        boxes_px: `[..., 4]` in pixels.
        min_level: lowest level, the one of empty boxes and of those that are not numbers.
        max_level: highest level.

    Returns:
        `[...]` int32.
    """
    area = box_area(ops.cast(boxes_px, "float32"))
    size = ops.sqrt(ops.where(area > 1e-30, area, 1e-30))
    level = ops.floor(4.0 + ops.log(size / 224.0) / math.log(2.0) + 1e-6)
    return ops.cast(ops.clip(level, min_level, max_level), "int32")


def crop_and_resize(features, boxes, levels, pool_shape):
    """Matterport's RoIAlign: one bilinear sample a cell, the corner cells on the corners of the box.

    The sampling is that of TensorFlow's `crop_and_resize` with extrapolation value 0. It is not the
    RoIAlign of the paper, see `roi_align`. As there, a sample that rounding puts a hair outside of the map
    is 0: it happens in the last row or column of some 7 % of the boxes that end on the border.

    Args:
        features: list of L levels `[B, h_l, w_l, C]`, one floating dtype.
        boxes: `[B, R, 4]` normalised; they get no gradient.
        levels: `[B, R]` integers, index into `features`.
        pool_shape: `(height, width)` of the result.

    Returns:
        `[B, R, height, width, C]`, dtype of the features. Interpolated in float32.
    """
    boxes = ops.stop_gradient(ops.cast(boxes, "float32"))
    return kernel("crop_and_resize")(list(features), boxes, ops.cast(levels, "int32"), tuple(pool_shape))


def roi_align(features, boxes_px, levels, strides, pool_shape, sampling_ratio=2, aligned=True):
    """RoIAlign (Mask R-CNN, section 3), each cell the mean of a grid of bilinear samples.

    Args:
        features: list of L levels `[B, h_l, w_l, C]`, one floating dtype.
        boxes_px: `[B, R, 4]` in pixels; they get no gradient.
        levels: `[B, R]` integers, index into `features`.
        strides: for each level the pixels between two cells, a number or a `(y, x)` pair of numbers or
            scalar tensors.
        pool_shape: `(height, width)` of the result.
        sampling_ratio: samples a cell along each axis; 0 takes as many as a cell has pixels of the level, which
            Detectron2's weights were trained with.
        aligned: whether pixel 0 has its centre at 0.5, as Detectron2 has it. False is the first RoIAlign, which
            torchvision's weights were trained with: the centre at 0, and boxes at least one cell high and wide.

    Returns:
        `[B, R, height, width, C]`, dtype of the features. Interpolated in float32.

    Raises:
        ValueError: a negative `sampling_ratio`.
    """
    if sampling_ratio < 0:
        raise ValueError(f"sampling_ratio is {sampling_ratio}, expected 0 or more (the usual value is 2).")
    boxes_px = ops.stop_gradient(ops.cast(boxes_px, "float32"))
    pairs = [stride if isinstance(stride, tuple | list) else (stride, stride) for stride in strides]
    pairs = [[ops.stop_gradient(ops.cast(stride, "float32")) for stride in pair] for pair in pairs]
    levels = ops.cast(levels, "int32")
    arguments = list(features), boxes_px, levels, pairs, tuple(pool_shape), aligned
    if sampling_ratio == 0:
        return kernel("adaptive_roi_align")(*arguments)
    return kernel("roi_align")(*arguments, sampling_ratio)


def boxes_in_cells(boxes_px, stride_y, stride_x, aligned):
    """Where boxes `[..., 4]` lie in a feature map, in units of its cells whose centres are whole numbers."""
    cells = boxes_px / ops.stack([stride_y, stride_x, stride_y, stride_x], axis=-1)
    if aligned:
        return cells - 0.5
    start = cells[..., :2]
    return ops.concatenate([start, start + ops.maximum(cells[..., 2:] - start, 1.0)], axis=-1)


def level_geometry(features, levels):
    """Where the level of each box lies in the flattened pyramid.

    Returns:
        `(base, height, width)`, each `[B, R]` int32: row of the level's first cell in `flatten_levels`, and
        the level's shape.
    """
    shapes = [ops.shape(level)[:3] for level in features]
    heights = ops.stack([ops.cast(shape[1], "int32") for shape in shapes])
    widths = ops.stack([ops.cast(shape[2], "int32") for shape in shapes])
    cells = heights * widths
    starts = ops.cumsum(cells) - cells
    image = ops.arange(shapes[0][0], dtype="int32")[:, None] * ops.sum(cells)
    return (
        image + ops.take(starts, levels, axis=0),
        ops.take(heights, levels, axis=0),
        ops.take(widths, levels, axis=0),
    )


def flatten_levels(features):
    """All cells of all levels, image by image: `[B * sum(h * w), C]`."""
    channels = features[0].shape[-1]
    flat = [ops.reshape(level, (ops.shape(level)[0], -1, channels)) for level in features]
    return ops.reshape(ops.concatenate(flat, axis=1), (-1, channels))


def corner_taps(start, stop, size, cells):
    """Taps of `crop_and_resize` along one axis.

    Args:
        start: `[B, R]` float32, first edge, normalised.
        stop: `[B, R]` float32, last edge, normalised.
        size: `[B, R]` int32, or an integer: extent of the feature map.
        cells: number of output cells.

    Returns:
        Two taps. Weights are 0 where the sample lies outside the map.
    """
    last = ops.cast(size, "float32") - 1.0
    if cells > 1:
        # XLA makes a division by a constant a product with its reciprocal. Rounded that way, the last sample
        # of a whole-image box would fall off the map; a divisor that looks variable is divided by exactly.
        step = (stop - start) * last / ops.where(start == start, float(cells - 1), 1.0)
        steps = ops.arange(cells, dtype="float32") * step[..., None]
        position = _rounded(start * last)[..., None] + _rounded(steps)
    else:
        position = (0.5 * (start + stop) * last)[..., None]
    last = ops.broadcast_to(last, ops.shape(start))[..., None]
    inside = (position >= 0) & (position <= last)
    return _linear_taps(ops.where(inside, position, 0.0), last, ops.cast(inside, "float32"))


def mean_taps(start, stop, size, cells, samples):
    """Taps of the aligned RoIAlign along one axis: `samples` evenly spread positions in each cell, averaged.

    Args:
        start: `[B, R]` float32, first edge in feature cells.
        stop: `[B, R]` float32, last edge in feature cells.
        size: `[B, R]` int32, extent of the feature map.
        cells: number of output cells.
        samples: positions a cell.

    Returns:
        `2 * samples` taps. A position up to one cell outside the map takes the border's value, beyond that 0.
    """
    last = ops.cast(size, "float32")[..., None] - 1.0
    taps = []
    for sample in range(samples):
        position = sample_positions(start, stop, cells, sample, float(samples))
        taps += border_taps(position, last, 1.0 / samples)
    return taps


def sample_positions(start, stop, cells, sample, samples):
    """Where the sample number `sample` of `samples` lies in each cell: `[B, R, cells]` float32."""
    offset = ops.arange(cells, dtype="float32") + (sample + 0.5) / samples
    return start[..., None] + offset * ((stop - start) / cells)[..., None]


def border_taps(position, last, weight):
    """The two taps of samples that take the border's value up to one cell outside the map, and 0 beyond."""
    inside = (position >= -1.0) & (position <= last + 1.0)
    position = ops.where(inside, ops.clip(position, 0.0, last), 0.0)
    return _linear_taps(position, last, ops.cast(inside, "float32") * weight)


def sample_counts(start, stop, cells):
    """How many samples a cell the adaptive RoIAlign takes along one axis: `[B, R]` float32, at least 1."""
    return ops.maximum(ops.ceil((stop - start) / cells), 1.0)


def _rounded(product):
    """The product as float32 has it: XLA would add to it before rounding, and put other samples off the map."""
    return ops.maximum(product, -1e30)


def _linear_taps(position, last, weight):
    low = ops.floor(position)
    fraction = position - low
    high = ops.minimum(low + 1.0, last)
    return [
        (ops.cast(low, "int32"), (1.0 - fraction) * weight),
        (ops.cast(high, "int32"), fraction * weight),
    ]


def gather_taps(flat, base, width, y_taps, x_taps):
    """The weighted sum of taps. Each pair of taps is its own gather, so only one is held at a time.

    Args:
        flat: `[cells, C]`.
        base: `[B, R]` int32, first row of the map that a box looks at.
        width: `[B, R]` int32, row length of that map.
        y_taps: list of `(index, weight)`, each `[B, R, height]`.
        x_taps: list of `(index, weight)`, each `[B, R, width]`.

    Returns:
        `[B, R, height, width, C]`, dtype of `flat`.
    """
    total = 0.0
    for y, y_weight in y_taps:
        row_start = (base[..., None] + y * width[..., None])[..., :, None]
        row = 0.0
        for x, x_weight in x_taps:
            cells = ops.cast(ops.take(flat, row_start + x[..., None, :], axis=0), "float32")
            row = row + x_weight[..., None, :, None] * cells
        total = total + y_weight[..., :, None, None] * row
    return ops.cast(total, flat.dtype)


def spread_taps(pull, count, base, width, y_taps, x_taps):
    """The other way round: what a gradient `pull [B, R, height, width, C]` of the result of `gather_taps` gives each of
    the `count` cells, `[count, C]`, its dtype. The other arguments are those of `gather_taps`.
    """
    total = 0.0
    for y, y_weight in y_taps:
        row_start = (base[..., None] + y * width[..., None])[..., :, None]
        for x, x_weight in x_taps:
            shares = (y_weight[..., :, None] * x_weight[..., None, :])[..., None] * pull
            cells = ops.reshape(row_start + x[..., None, :], (-1,))
            total = total + ops.segment_sum(ops.reshape(shares, (-1, pull.shape[-1])), cells, count)
    return total
