"""Kernels for TensorFlow. The gains were measured on CPU, in compiled graphs without XLA."""

from contextlib import nullcontext

import tensorflow as tf

from ..roi_align import boxes_in_cells
from . import generic

# A layer that contains one of these tells Keras not to compile its model with XLA: it has no crop and no rows
# without a fixed number, and its version of the suppression is slower than the generic one and takes the later of
# equal scores first.
WITHOUT_XLA = ("crop_and_resize", "roi_align", "adaptive_roi_align", "nms", "on_used_rows")

# Keras feeds its models from a tf.data.Dataset, whose shapes it reads off the first two batches.
TRIES_OUT_BATCHES = True

# Feature dtypes that the native crop reads without a copy.
_NATIVE_CROP_DTYPES = (tf.float32, tf.float16)

# More samples a cell than any box of an image needs.
_MOST_SAMPLES = 1 << 15


def sharing_devices():
    """See `generic.sharing_devices`."""
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    return [device.name for device in devices]


def share_batches(devices):
    """See `generic.sharing_devices`. Each device runs the graph on its own part of the batch."""
    # Keras fits a model in the strategy it was built in. Within the scope a callback's predictions would be made on
    # every device.
    return tf.distribute.MirroredStrategy(devices).scope, nullcontext


def nms(boxes, scores, iou_threshold, max_outputs):
    """See `generic.nms`. 2 to 7 times faster (6,000 boxes to 1,000: 8 to 23 ms instead of 21 to 65)."""

    def one_image(inputs):
        image_boxes, image_scores = inputs
        # The native threshold is exclusive and padding scores -1, so a score of 0 stays eligible.
        selected = tf.raw_ops.NonMaxSuppressionV4(
            boxes=image_boxes,
            scores=image_scores,
            max_output_size=max_outputs,
            iou_threshold=iou_threshold,
            score_threshold=-0.5,
            pad_to_max_output_size=True,
        )
        return selected.selected_indices, selected.valid_outputs

    signature = (tf.TensorSpec((max_outputs,), tf.int32), tf.TensorSpec((), tf.int32))
    indices, counts = tf.map_fn(one_image, (boxes, scores), fn_output_signature=signature)
    valid = tf.range(max_outputs)[None] < counts[:, None]
    return tf.where(valid, indices, 0), valid


def scale_and_shift(x, scale, shift):
    """See `generic.scale_and_shift`. A normalisation with nothing to normalise is one pass over a map forwards and one
    backwards instead of six and more.
    """
    if len(x.shape) != 4 or x.dtype == tf.float64:
        return generic.scale_and_shift(x, scale, shift)
    mean, variance = tf.zeros_like(shift), tf.ones_like(shift)
    return tf.raw_ops.FusedBatchNormV3(
        x=x, scale=scale, offset=shift, mean=mean, variance=variance, epsilon=0.0, is_training=False
    ).y


def crop_and_resize(features, boxes, levels, pool_shape):
    """See `generic.crop_and_resize`. Faster, since no level is copied: each one is cropped for its own boxes."""

    def crop(level, feature, boxes, image):
        return _crop(_native_dtype(feature), boxes, image, pool_shape)

    return _level_by_level(crop, features, boxes, levels)


def roi_align(features, boxes_px, levels, strides, pool_shape, aligned, sampling_ratio):
    """See `generic.roi_align`. 3 times faster: the native crop takes the samples, a pooling averages them."""

    def align(level, feature, boxes, image):
        edges = boxes_in_cells(boxes, *strides[level], aligned)
        crops = _sampled(_bordered(feature), edges, image, pool_shape, (sampling_ratio, sampling_ratio))
        return tf.nn.avg_pool2d(crops, sampling_ratio, sampling_ratio, "VALID")

    return _level_by_level(align, features, boxes_px, levels)


def adaptive_roi_align(features, boxes_px, levels, strides, pool_shape, aligned):
    """See `generic.adaptive_roi_align`. Boxes that need the same numbers of samples are cropped together, so each
    costs what it needs; and it has a gradient.
    """
    cells = tf.constant(pool_shape)

    def align(level, feature, boxes, image):
        edges = boxes_in_cells(boxes, *strides[level], aligned)
        size = (edges[:, 2:] - edges[:, :2]) / tf.cast(cells, tf.float32)
        counts = tf.cast(tf.maximum(tf.math.ceil(size), 1.0), tf.int32)
        kinds, kind_of_box = tf.unique(counts[:, 0] * _MOST_SAMPLES + counts[:, 1])
        bordered, channels = _bordered(feature), feature.shape[-1]

        def pool_kind(kind, pooled):
            here = tf.where(kind_of_box == kind)
            samples = tf.stack([kinds[kind] // _MOST_SAMPLES, kinds[kind] % _MOST_SAMPLES])
            crops = _sampled(bordered, tf.gather_nd(edges, here), tf.gather_nd(image, here), cells, samples)
            shape = [-1, pool_shape[0], samples[0], pool_shape[1], samples[1], channels]
            means = tf.reduce_mean(tf.reshape(crops, shape), axis=(2, 4))
            return kind + 1, tf.tensor_scatter_nd_update(pooled, here, means)

        start = tf.zeros((tf.shape(boxes)[0], *pool_shape, channels), bordered.dtype)
        return tf.while_loop(lambda kind, _: kind < tf.size(kinds), pool_kind, (0, start))[1]

    return _level_by_level(align, features, boxes_px, levels)


def _bordered(feature):
    """The crop is 0 outside the map, where the RoIAlign takes the border's value for one cell more."""
    return tf.pad(_native_dtype(feature), [[0, 0], [1, 1], [1, 1], [0, 0]], "SYMMETRIC")


def _sampled(bordered, edges, image, cells, samples):
    """`[n, cells * samples, ..., C]`: the samples of boxes `[n, 4]` given in cells of the map without its border."""
    grid = tf.convert_to_tensor(cells) * tf.convert_to_tensor(samples)
    half_step = (edges[:, 2:] - edges[:, :2]) / (2.0 * tf.cast(grid, tf.float32))
    # The crop spans from the first to the last sample, in units of the bordered map.
    last = tf.cast(tf.shape(bordered)[1:3], tf.float32) - 1.0
    corners = tf.concat([(edges[:, :2] + half_step + 1.0) / last, (edges[:, 2:] - half_step + 1.0) / last], axis=1)
    return _crop(bordered, corners, image, grid)


def _crop(feature, boxes, image, cells):
    """`tf.image.crop_and_resize` of `[n, 4]` boxes, with a gradient of its own.

    TensorFlow's adds up the boxes in several threads without a lock on a CPU: where they overlap it loses some, another
    part each time. This one is exact and takes about twice its time, a hundredth of a training step.
    """

    @tf.custom_gradient
    def crop(feature):
        def gradient(upstream):
            return tf.cast(_crop_gradient(upstream, tf.shape(feature), boxes, image), feature.dtype)

        return tf.image.crop_and_resize(feature, boxes, image, cells), gradient

    return crop(feature)


def _crop_gradient(upstream, shape, boxes, image):
    """The product of the gradient `[n, y, x, C]` of crops with the weights of the four neighbours of each sample."""
    count, rows, columns, channels = tf.unstack(tf.shape(upstream))
    batch, height, width, _ = tf.unstack(shape)
    y, y_weight = _neighbours(boxes[:, 0], boxes[:, 2], height, rows)
    x, x_weight = _neighbours(boxes[:, 1], boxes[:, 3], width, columns)
    # [n, y, x, neighbour in y, neighbour in x]
    y, y_weight = y[:, :, None, :, None], y_weight[:, :, None, :, None]
    x, x_weight = x[:, None, :, None, :], x_weight[:, None, :, None, :]
    cells = (image[:, None, None, None, None] * height + y) * width + x
    samples = tf.repeat(tf.range(count * rows * columns), 4)
    total = tf.raw_ops.SparseTensorDenseMatMul(
        a_indices=tf.cast(tf.stack([tf.reshape(cells, (-1,)), samples], axis=-1), tf.int64),
        a_values=tf.reshape(y_weight * x_weight, (-1,)),
        a_shape=tf.cast(tf.stack([batch * height * width, count * rows * columns]), tf.int64),
        b=tf.reshape(upstream, (-1, channels)),
    )
    return tf.reshape(total, shape)


def _neighbours(start, stop, length, cells):
    """The pixels before and after each of a crop's samples along an axis `[n, cells, 2]`, and their weights."""
    last, steps = tf.cast(length, tf.float32) - 1.0, tf.cast(cells, tf.float32) - 1.0
    scale = (stop - start) * last / tf.maximum(steps, 1.0)
    # A single sample lies in the middle.
    first = tf.where(cells > 1, start * last, 0.5 * (start + stop) * last)
    position = first[:, None] + tf.range(steps + 1.0) * scale[:, None]
    before = tf.floor(position)
    weights = tf.stack([1.0 - (position - before), position - before], axis=-1)
    inside = (position >= 0.0) & (position <= last)
    pixels = tf.clip_by_value(tf.stack([before, before + 1.0], axis=-1), 0.0, last)
    return tf.cast(pixels, tf.int32), tf.where(inside[..., None], weights, 0.0)


def _native_dtype(feature):
    return feature if feature.dtype in _NATIVE_CROP_DTYPES else tf.cast(feature, tf.float32)


def _level_by_level(pool, features, boxes, levels):
    """`pool(level, feature, boxes [n, 4], image numbers [n])` for the boxes of each level, as `[B, R, ...]`."""
    batch, count = tf.shape(boxes)[0], tf.shape(boxes)[1]
    every, levels = batch * count, tf.reshape(levels, (-1,))
    # A level without boxes pools one that nobody asked for, behind all others: OpenVINO refuses to pool nothing.
    boxes = tf.pad(tf.reshape(boxes, (-1, 4)), [[0, 1], [0, 0]])
    image = tf.pad(tf.repeat(tf.range(batch), count), [[0, 1]])
    rows, pooled = [], []
    for level, feature in enumerate(features):
        here = tf.cast(tf.reshape(tf.where(levels == level), (-1,)), tf.int32)
        here = tf.concat([here, tf.fill([tf.cast(tf.size(here) == 0, tf.int32)], every)], axis=0)
        rows.append(here)
        pooled.append(tf.cast(pool(level, feature, tf.gather(boxes, here), tf.gather(image, here)), feature.dtype))
    together = tf.dynamic_stitch(rows, pooled)[:every]
    return tf.reshape(together, (batch, count, *pooled[0].shape[1:]))


def on_used_rows(function, rows, used):
    """See `generic.on_used_rows`. What is left out is saved: a mask head has 100 slots, a picture some ten objects."""
    where = tf.where(used)
    count = tf.shape(where)[0]
    # Where none is used, one is computed and dropped: oneDNN's convolution of no rows keeps the number of channels of
    # its input.
    spare = tf.zeros([tf.cast(count == 0, tf.int32)], tf.int64)
    found = function(tf.gather(rows, tf.concat([where[:, 0], spare], axis=0)))[:count]
    shape = tf.concat([tf.shape(used, tf.int64), tf.shape(found, tf.int64)[1:]], axis=0)
    return tf.ensure_shape(tf.scatter_nd(where, found, shape), [used.shape[0], *found.shape[1:]])
