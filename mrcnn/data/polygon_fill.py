"""Filling polygons: the pixels of `skimage.draw.polygon`, a row at a time.

skimage compares every pixel with every corner: half a second for a large object in a photograph,
each time its mask is loaded. Here the work grows with the length of the outline, and the same rule
at the same precision gives the same pixels.
"""

import numpy as np

# Distance in pixels within which a corner counts as lying on a pixel's centre.
CORNER_TOLERANCE = 1e-12


def fill_polygon(xs, ys, shape):
    """Pixels whose centre is inside a polygon or on its border.

    Args:
        xs, ys: float64 [N] pixels, N > 0, finite; the last corner is joined to the first.
        shape: (H, W).

    Returns:
        bool [H, W]. What the outline encloses an even number of times is outside.
    """
    mask = np.zeros(shape, bool)
    rows, columns = _span(ys, shape[0]), _span(xs, shape[1])
    # A pixel is outside when even numbers of edges lie to its right and to its left. An edge's upper
    # end belongs to it when one looks right and its lower end when one looks left, so that the two
    # numbers differ on a border.
    right = _odd_crossings(xs, ys, rows, columns, np.ceil, np.greater)
    left = _odd_crossings(xs, ys, rows, columns, lambda y: np.floor(y) + 1, np.greater_equal)
    mask[rows, columns] = right | left
    _set_corners(mask, xs, ys)
    return mask


def _span(values, length):
    """The slice of 0..length that values reach over."""
    first = int(np.clip(np.floor(values.min()), 0, length))
    return slice(first, int(np.clip(np.ceil(values.max()) + 1, first, length)))


def _odd_crossings(x0, y0, rows, columns, first_row, beyond):
    """Whether an odd number of edges crosses each pixel's row on one side of it: bool [h, w].

    Args:
        x0, y0: float64 [N], corners.
        rows, columns: slices of the image, h and w long.
        first_row: the first row that belongs to an edge, given its upper end.
        beyond: whether the pixel nearest to a crossing lies before it, given how far to the right of
            the pixel the crossing is, and 0.
    """
    x1, y1 = np.roll(x0, 1), np.roll(y0, 1)
    start = np.clip(first_row(np.minimum(y0, y1)), rows.start, rows.stop).astype(int)
    count = np.clip(first_row(np.maximum(y0, y1)), rows.start, rows.stop).astype(int) - start
    # One entry for each row that each edge crosses.
    edge = np.repeat(np.arange(len(x0)), count)
    row = np.arange(len(edge)) - np.repeat(np.cumsum(count) - count - start, count)
    x0, x1, y0, y1 = x0[edge], x1[edge], y0[edge] - row, y1[edge] - row
    # Only the pixel nearest to the crossing is in doubt; skimage's own formula decides there.
    nearest = np.rint(np.clip((x0 * y1 - x1 * y0) / (y1 - y0), columns.start - 1, columns.stop))
    offset = ((x0 - nearest) * y1 - (x1 - nearest) * y0) / (y1 - y0)
    column = np.clip(nearest + beyond(offset, 0), columns.start, columns.stop).astype(int)
    # A closed outline crosses a row an even number of times: odd to the right is odd to the left.
    changes = np.zeros((rows.stop - rows.start, columns.stop - columns.start + 1), bool)
    np.logical_xor.at(changes, (row - rows.start, column - columns.start), True)
    return np.logical_xor.accumulate(changes, axis=1)[:, :-1]


def _set_corners(mask, xs, ys):
    """Corners on a pixel's centre belong to the polygon, whatever the crossings say."""
    corners, pixels = np.stack([ys, xs], axis=1), np.rint(np.stack([ys, xs], axis=1))
    on_pixel = (np.abs(corners - pixels) < CORNER_TOLERANCE).all(axis=1)
    inside = ((pixels >= 0) & (pixels < mask.shape)).all(axis=1)
    mask[tuple(pixels[on_pixel & inside].astype(int).T)] = True
