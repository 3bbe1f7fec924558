"""Choosing rows with static shapes: stable top-k, batched gather, random picks."""

import keras
from keras import ops

from .backend import kernel


def top_k(values, k):
    """The `k` largest values of each row, largest first; among equals the earlier index comes first.

    Args:
        values: `[..., N]` with N >= k.
        k: number of picks.

    Returns:
        `(values [..., k], indices [..., k] int32)`.
    """
    return kernel("top_k")(ops.convert_to_tensor(values), k)


def argmax(values):
    """Index of the largest value along the last axis, the earliest of equals: `[..., N]` -> `[...]` int32.

    `keras.ops.argmax` looks at single bits on TensorFlow, which no other runtime knows.
    """
    largest = ops.max(values, axis=-1, keepdims=True)
    last = values.shape[-1] - 1
    return ops.min(ops.where(values == largest, ops.arange(last + 1, dtype="int32"), last), axis=-1)


def gather_rows(rows, indices):
    """`rows[b, indices[b, k]]` for every b and k.

    Args:
        rows: `[B, N]` or `[B, N, ...]`.
        indices: `[B, K]` integers in 0..N-1.

    Returns:
        `[B, K]` or `[B, K, ...]`, dtype of `rows`.
    """
    shape = ops.shape(rows)
    batch, count = shape[0], shape[1]
    flat = ops.reshape(rows, (-1, *shape[2:]))
    indices = ops.cast(indices, "int32")
    return ops.take(flat, indices + (ops.arange(batch, dtype="int32") * count)[:, None], axis=0)


def random_priority(shape, seed):
    """Uniform float32 draws in 0..1: picking the highest of them is a draw without replacement."""
    return keras.random.uniform(shape, seed=seed)


def pick(candidates, priority, k):
    """The up to `k` candidates of highest priority.

    Args:
        candidates: `[B, N]` bool with N >= k.
        priority: `[B, N]` float32, 0 or above.
        k: number of slots.

    Returns:
        `(indices [B, k] int32, picked [B, k] bool)`; the picked ones come first, by falling priority.
    """
    keys, indices = top_k(ops.where(candidates, priority, -1.0), k)
    return indices, keys >= 0


def merge_positives_first(positives, negatives, size):
    """Line up two picks, each with its real rows first, without a gap between them.

    Args:
        positives: `(indices [B, S1], picked [B, S1])`.
        negatives: `(indices [B, S2], picked [B, S2])`.
        size: length S of the result, at least S1.

    Returns:
        `(indices [B, S] int32, labels [B, S] int32)`: 1 at positives, then 0 at as many negatives as there
        is room for, then -1 (index 0) at padding.
    """
    positive_count = ops.sum(ops.cast(positives[1], "int32"), axis=1)[:, None]
    negative_count = ops.sum(ops.cast(negatives[1], "int32"), axis=1)[:, None]
    slots_1, slots_2 = positives[0].shape[1], negatives[0].shape[1]
    slot = ops.arange(size, dtype="int32")[None]
    is_positive = slot < positive_count
    is_negative = ~is_positive & (slot < positive_count + negative_count)
    source = ops.where(is_positive, slot, ops.minimum(slots_1 + slot - positive_count, slots_1 + slots_2 - 1))
    pool = ops.concatenate([ops.cast(positives[0], "int32"), ops.cast(negatives[0], "int32")], axis=1)
    indices = ops.where(is_positive | is_negative, gather_rows(pool, source), 0)
    return indices, ops.where(is_positive, 1, ops.where(is_negative, 0, -1))


def pad_rows(rows, size, value=0):
    """Append rows of `value` along axis 1 until there are at least `size`: `[B, max(N, size), ...]`.

    An N unknown while the graph is built gets `size` rows more, which keeps top-k possible for any N.
    """
    count = rows.shape[1]
    missing = size if count is None else size - count
    if missing <= 0:
        return rows
    padding = [[0, 0], [0, missing]] + [[0, 0]] * (len(rows.shape) - 2)
    return ops.pad(rows, padding, constant_values=value)


def on_used_rows(function, rows, used):
    """`function(rows)` where only some of the rows matter.

    Args:
        function: maps `[n, ...]` to `[n, ...]` row by row.
        rows: `[N, ...]`.
        used: `[N]` bool.

    Returns:
        `[N, ...]`: results of the used rows. The others hold anything finite; where the backend has no need of static
        shapes they are zeros, and were not computed.
    """
    return kernel("on_used_rows")(function, rows, used)
