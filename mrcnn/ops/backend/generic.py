"""Every kernel in pure `keras.ops`: runs on all backends, compiles with XLA, defines the right answer."""

import keras
from keras import ops

from ..boxes import iou_matrix
from ..roi_align import (
    border_taps,
    boxes_in_cells,
    corner_taps,
    flatten_levels,
    gather_taps,
    level_geometry,
    mean_taps,
    sample_counts,
    sample_positions,
    spread_taps,
)
from ..sampling import gather_rows
from ..sampling import top_k as stable_top_k

# Boxes examined together. Wide enough to keep vector units busy, small enough that the [B, tile, M] overlaps
# of one step stay a few megabytes.
NMS_TILE = 256


def sharing_devices():
    """Names of the devices that can share a training batch: the accelerators here, the CPUs where there is none.

    None at all where the backend trains on one device; the module of a backend that names some has `share_batches`:

    Args:
        devices: two or more of the names.

    Returns:
        Two functions that make context managers: one to build and compile the model in, one to fit it in.
    """
    return []


def top_k(values, k):
    """See `ops.sampling.top_k`."""
    values, indices = ops.top_k(values, k)
    return values, ops.cast(indices, "int32")


def nms(boxes, scores, iou_threshold, max_outputs):
    """See `ops.nms.non_max_suppression`; near corners come first, scores of padding are -1."""
    return grouped_nms(boxes, scores, None, iou_threshold, max_outputs)


def grouped_nms(boxes, scores, group_ids, iou_threshold, max_outputs):
    """As `nms`; boxes of different groups do not see each other.

    The boxes, sorted by score, are examined a tile at a time: against those taken so far (never more than
    `max_outputs`), then among themselves. It stops when every image has its boxes, so the overlaps of all
    pairs are never held and in general not computed.
    """
    tile = min(NMS_TILE, boxes.shape[1])
    scores, order = stable_top_k(scores, boxes.shape[1])
    rows = [gather_rows(part, order) for part in (boxes, group_ids) if part is not None]
    score_tiles, row_tiles = _tiles(scores, tile, -1.0), [_tiles(part, tile, 0) for part in rows]
    last = score_tiles.shape[0] - 1

    def unfinished(index, slots, taken):
        best = ops.take(score_tiles, ops.minimum(index, last), axis=0)[:, 0]
        return (index <= last) & ops.any((taken < max_outputs) & (best >= 0))

    def step(index, slots, taken):
        new = [ops.take(part, index, axis=0) for part in row_tiles]
        old = [gather_rows(part, slots[:, :max_outputs]) for part in rows]
        hidden = _hides(new, old, iou_threshold) & _first(taken, max_outputs)[:, None, :]
        alive = (ops.take(score_tiles, index, axis=0) >= 0) & ~ops.any(hidden, axis=2)
        keep = _greedy_within(_hides(new, new, iou_threshold), alive)
        return index + 1, *_append(slots, taken, keep, index * tile)

    # One slot more than asked for: whatever finds no place is written there.
    slots = ops.zeros((ops.shape(boxes)[0], max_outputs + 1), dtype="int32")
    start = ops.convert_to_tensor(0, dtype="int32")
    _, slots, taken = ops.while_loop(unfinished, step, (start, slots, slots[:, 0]))
    valid = _first(taken, max_outputs)
    return ops.where(valid, gather_rows(order, slots[:, :max_outputs]), 0), valid


def _first(counts, size):
    """`[B, size]` bool, true in the first `counts[b]` columns."""
    return ops.arange(size, dtype="int32")[None] < counts[:, None]


def _tiles(rows, tile, value):
    """`[B, N, ...]` padded with `value` and cut into `[N / tile, B, tile, ...]`."""
    tail = rows.shape[2:]
    missing = -rows.shape[1] % tile
    rows = ops.pad(rows, [[0, 0], [0, missing]] + [[0, 0]] * len(tail), constant_values=value)
    rows = ops.reshape(rows, (-1, rows.shape[1] // tile, tile, *tail))
    return ops.moveaxis(rows, 1, 0)


def _hides(rows, others, iou_threshold):
    """`[B, N, M]` bool: whether two boxes are too close. `rows` is boxes `[B, N, 4]`, or boxes and groups."""
    close = iou_matrix(rows[0], others[0]) > iou_threshold
    if len(rows) == 1:
        return close
    return close & (rows[1][:, :, None] == others[1][:, None, :])


def _greedy_within(overlaps, alive):
    """Greedy choice among boxes sorted by score.

    Repeats "alive, and hidden by no earlier box that is kept" until nothing changes. The answer is the only
    fixed point, since whether a box is kept depends on earlier boxes alone; it takes as many rounds as the
    longest chain of boxes hiding each other.

    Args:
        overlaps: `[B, T, T]` bool, symmetric.
        alive: `[B, T]` bool.

    Returns:
        `[B, T]` bool.
    """
    rank = ops.arange(overlaps.shape[1], dtype="int32")
    hides = overlaps & (rank[None, :] < rank[:, None])

    def changed(keep, before):
        return ops.any(keep != before)

    def again(keep, before):
        return alive & ~ops.any(hides & keep[:, None, :], axis=2), keep

    return ops.while_loop(changed, again, (alive, ops.zeros_like(alive)))[0]


def _append(slots, taken, keep, offset):
    """Write the positions of the kept boxes of a tile that begins at `offset` behind those already taken."""
    limit = slots.shape[1] - 1
    batch, tile = ops.shape(keep)[0], keep.shape[1]
    place = taken[:, None] + ops.cumsum(ops.cast(keep, "int32"), axis=1) - 1
    place = ops.where(keep, ops.minimum(place, limit), limit)
    place = place + (ops.arange(batch, dtype="int32") * (limit + 1))[:, None]
    position = ops.broadcast_to((offset + ops.arange(tile, dtype="int32"))[None], ops.shape(keep))
    flat = ops.scatter_update(
        ops.reshape(slots, (-1,)), ops.reshape(place, (-1, 1)), ops.reshape(position, (-1,))
    )
    taken = ops.minimum(taken + ops.sum(ops.cast(keep, "int32"), axis=1), limit)
    return ops.reshape(flat, (-1, limit + 1)), taken


def scale_and_shift(x, scale, shift):
    """`x * scale + shift` of `x [..., C]` with `[C]` float32, computed in float32 at least and returned as `x` is."""
    wide = ops.cast(x, keras.backend.result_type(x.dtype, "float32"))
    return ops.cast(wide * scale + shift, x.dtype)


def grouped_conv(x, kernel, strides, padding, groups):
    """Convolution of `x [B, H, W, groups * c]` with `kernel [h, w, c, F]`, each group of channels with its own share of
    the filters. One convolution a group: no runtime lacks those, and on a CPU they are the faster.
    """
    pairs = zip(ops.split(x, groups, axis=-1), ops.split(kernel, groups, axis=-1), strict=True)
    parts = [ops.conv(part, of_part, strides, padding, data_format="channels_last") for part, of_part in pairs]
    return ops.concatenate(parts, axis=-1)


def crop_and_resize(features, boxes, levels, pool_shape):
    """See `ops.roi_align.crop_and_resize`. One gather over all levels per corner of the sampled cells."""
    base, height, width = level_geometry(features, levels)
    y_taps = corner_taps(boxes[..., 0], boxes[..., 2], height, pool_shape[0])
    x_taps = corner_taps(boxes[..., 1], boxes[..., 3], width, pool_shape[1])
    return gather_taps(flatten_levels(features), base, width, y_taps, x_taps)


def roi_align(features, boxes_px, levels, strides, pool_shape, aligned, sampling_ratio):
    """See `ops.roi_align.roi_align`; `strides` are pairs of tensors. One gather over all levels per tap."""
    base, height, width = level_geometry(features, levels)
    boxes = _boxes_on_their_level(boxes_px, levels, strides, aligned)
    y_taps = mean_taps(boxes[..., 0], boxes[..., 2], height, pool_shape[0], sampling_ratio)
    x_taps = mean_taps(boxes[..., 1], boxes[..., 3], width, pool_shape[1], sampling_ratio)
    return gather_taps(flatten_levels(features), base, width, y_taps, x_taps)


def adaptive_roi_align(features, boxes_px, levels, strides, pool_shape, aligned):
    """See `ops.roi_align.roi_align`. A loop over the samples of a cell, as many as the largest box needs; boxes that
    need fewer leave the rest out. Its gradient is the same loop: not every backend can turn one of unknown length.
    """
    base, height, width = level_geometry(features, levels)
    boxes = _boxes_on_their_level(boxes_px, levels, strides, aligned)
    axes = []
    for axis, size in enumerate((height, width)):
        start, stop = boxes[..., axis], boxes[..., 2 + axis]
        axes.append((start, stop, sample_counts(start, stop, pool_shape[axis]), ops.cast(size, "float32") - 1.0))
    rows, columns = (ops.cast(ops.max(counts), "int32") for _, _, counts, _ in axes)

    def taps(number):
        for sample, cells, (start, stop, counts, last) in zip(
            (number // columns, number % columns), pool_shape, axes, strict=True
        ):
            sample = ops.cast(sample, "float32")
            position = sample_positions(start, stop, cells, sample, counts[..., None])
            weight = ops.where(sample < counts, 1.0 / counts, 0.0)[..., None]
            yield border_taps(position, last[..., None], weight)

    def over_all_samples(add, zeros):
        start = ops.convert_to_tensor(0, dtype="int32"), zeros
        return ops.while_loop(
            lambda number, _: number < rows * columns, lambda number, total: (number + 1, total + add(number)), start
        )[1]

    @ops.custom_gradient
    def pool(flat):
        def gradient(*args, upstream=None):
            pull = ops.cast(args[0] if upstream is None else upstream, "float32")
            spread = over_all_samples(
                lambda number: spread_taps(pull, ops.shape(flat)[0], base, width, *taps(number)),
                ops.zeros(ops.shape(flat), "float32"),
            )
            return ops.cast(spread, flat.dtype)

        pooled = over_all_samples(
            lambda number: ops.cast(gather_taps(flat, base, width, *taps(number)), "float32"),
            ops.zeros((*ops.shape(base), *pool_shape, flat.shape[-1]), "float32"),
        )
        return ops.cast(pooled, flat.dtype), gradient

    return pool(flatten_levels(features))


def _boxes_on_their_level(boxes_px, levels, strides, aligned):
    stride_y, stride_x = (ops.take(ops.stack([pair[axis] for pair in strides]), levels, axis=0) for axis in range(2))
    return boxes_in_cells(boxes_px, stride_y, stride_x, aligned)


def on_used_rows(function, rows, used):
    """See `ops.sampling.on_used_rows`."""
    return function(rows)
