"""Kaggle's run lengths: masks as text, for the submission file."""

import numpy as np


def rle_encode(mask):
    """A mask [H, W] as Kaggle's run text: "start length start length ...", by columns, from 1."""
    pixels = np.concatenate([[0], np.asarray(mask).T.reshape(-1).astype(bool).astype(np.int8), [0]])
    runs = np.flatnonzero(np.diff(pixels)) + 1
    runs[1::2] -= runs[::2]
    return " ".join(map(str, runs))


def rle_decode(rle, shape):
    """Run text back to a mask bool [H, W].

    Raises:
        ValueError: the text is no list of pairs, a run is empty, or runs overlap or leave the image.
    """
    try:
        numbers = np.array(rle.split(), np.int64)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"Run lengths must be whole numbers, got {rle[:60]!r}.") from error
    if len(numbers) % 2:
        raise ValueError(f"Run lengths must be pairs of start and length, got {len(numbers)} numbers.")
    starts, lengths = numbers[::2] - 1, numbers[1::2]
    ends = starts + lengths
    size = shape[0] * shape[1]
    bounds = np.concatenate([[0], np.stack([starts, ends], axis=1).reshape(-1), [size]])
    if (lengths < 1).any() or (np.diff(bounds) < 0).any():
        raise ValueError(f"Run lengths {rle[:60]!r} are empty, out of order, overlapping or outside an "
                         f"image of {shape[0]}x{shape[1]} pixels (positions 1 to {size}).")
    change = np.zeros(size + 1, np.int8)
    np.add.at(change, starts, 1)
    np.add.at(change, ends, -1)
    return np.cumsum(change[:-1], dtype=np.int8).astype(bool).reshape(shape[1], shape[0]).T


def mask_to_rle(image_id, mask, scores):
    """Masks [H, W, N] of one image as lines of the submission file, "image_id, runs".

    Kaggle forbids overlap: a pixel goes to the mask with the highest score. Masks of which nothing remains
    are left out; an image without masks is one line without runs.
    """
    free = np.ones(mask.shape[:2], bool)
    lines = []
    for i in np.argsort(-np.asarray(scores), kind="stable"):
        own = mask[:, :, i].astype(bool) & free
        free &= ~own
        if own.any():
            lines.append(f"{image_id}, {rle_encode(own)}")
    return "\n".join(lines) if lines else f"{image_id},"
