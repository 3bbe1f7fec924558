"""Convolution and pooling over windows that are centred on their pixel, in float64."""

import numpy as np


def convolve(x, kernel, stride=1, groups=1):
    """`x [B, H, W, groups * c]` with zeros around it, and `kernel [k, k, c, F]` whose filters are split into groups."""
    windows = _windows(x, kernel.shape[0], stride, 0.0)
    inputs, filters = np.split(windows, groups, axis=3), np.split(kernel.astype("float64"), groups, axis=3)
    results = [np.einsum("bhwcij,ijcf->bhwf", *pair) for pair in zip(inputs, filters, strict=True)]
    return np.concatenate(results, axis=-1)


def max_pool(x, size, stride):
    """The highest value of each window of `x [B, H, W, c]`; what lies outside is no value."""
    return _windows(x, size, stride, -np.inf).max(axis=(4, 5))


def _windows(x, size, stride, outside):
    """`[B, h, w, c, size, size]`."""
    margin = size // 2
    x = np.pad(x.astype("float64"), [(0, 0), (margin, margin), (margin, margin), (0, 0)], constant_values=outside)
    return np.lib.stride_tricks.sliding_window_view(x, (size, size), axis=(1, 2))[:, ::stride, ::stride]
