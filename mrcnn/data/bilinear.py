"""Bilinear resizing of pixels on the host.

The numbers follow scikit-image's bilinear resize without smoothing: pixel centres are aligned
and what lies outside the image counts as black, so enlarged pictures fade at their border, down
to their darkest pixel.
OpenCV does the work where it is installed and repeats the border pixel instead; one factor for
each border row and column turns that into the same result.
"""

import functools
import math

import numpy as np


def bilinear(image, size):
    """Bilinear resize of [H, W] or [H, W, C] to `size`, black outside: float32 or float64.

    8 and 16 bit numbers come back as float32, which holds them exactly, others as float64.
    """
    exact_in_32_bits = image.dtype.itemsize <= 2 or image.dtype == np.float32
    image = np.ascontiguousarray(image, dtype=np.float32 if exact_in_32_bits else np.float64)
    height, width = size
    try:
        import cv2
    except ImportError:
        from skimage.transform import resize as skimage_resize

        return skimage_resize(
            image, size, order=1, mode="constant", cval=0, preserve_range=True, anti_aliasing=False
        )
    result = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
    result = result.reshape(height, width, *image.shape[2:])
    if height > image.shape[0] or width > image.shape[1]:
        limits = image.min(), image.max()
        _fade_border(result.T, image.shape[0], limits)
        _fade_border(result.swapaxes(1, -1), image.shape[1], limits)
    return result


def edge_bilinear(image, size):
    """Bilinear resize of [H, W] or [H, W, C] to `size` (height, width): float32, the border pixel repeated outside.

    Half-pixel centres and no smoothing when shrinking, as in PyTorch's `interpolate`.
    """
    import cv2

    result = cv2.resize(image.astype(np.float32), size[::-1], interpolation=cv2.INTER_LINEAR)
    return result.reshape(*size, *image.shape[2:])


def _fade_border(result, length, limits):
    """Darken, in place, the columns of `result` [..., W] that reach outside the `length` columns they came from.

    Everything stays within `limits`, the lowest and highest value of the source.
    """
    count, first, last = _border(result.shape[-1], length)
    low, high = limits
    for columns, shares in ((result[..., :count], first), (result[..., result.shape[-1] - count :], last)):
        np.multiply(columns, shares, out=columns)
        # Shares are 1 at most: only numbers above 0 can fall too low, and only those below 0 rise too high.
        if low > 0:
            np.maximum(columns, low, out=columns)
        if high < 0:
            np.minimum(columns, high, out=columns)


# Many masks are pasted at few sizes.
@functools.lru_cache(maxsize=4096)
def _border(width, length):
    """How many of `width` columns made from `length` reach outside on a side; shares from the source: first, last."""
    count = math.ceil(0.5 * width / length - 0.5)
    columns = np.arange(-count, count) % width
    # Where the columns' samples lie, in source columns whose centres are whole numbers.
    positions = (columns + 0.5) * (length / width) - 0.5
    shares = 1 - (np.abs(positions - (length - 1) / 2) - (length - 1) / 2)
    return count, shares[count:], shares[:count]
