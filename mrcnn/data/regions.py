"""Shapes that annotation tools draw, as masks of pixels.

Pixel (0, 0) has its centre at x = 0, y = 0, as in `skimage.draw`. Every mask is a bool array
[H, W]; `shape` may have more entries behind these two. What lies outside the image is cut off, a
shape that encloses nothing gives an empty mask, and numbers that cannot be pixels (not finite, or
beyond `MAX_COORDINATE`) raise a ValueError.
"""

import numpy as np

from .polygon_fill import fill_polygon

# Far beyond any image, and small enough for the whole numbers that drawing libraries count in.
MAX_COORDINATE = 1e9
# Annotation tools place points on the image's very edge: within this many pixels nothing is amiss.
EDGE_TOLERANCE = 1.0


def polygon_mask(xs, ys, shape):
    """The inside of a polygon, its border included: the pixels of `skimage.draw.polygon`.

    Where the outline crosses itself, what is enclosed twice is outside.

    Args:
        xs, ys: [N] pixels, the corners in order; the last is joined to the first. Fewer than three
            enclose nothing.
        shape: (H, W, ...).
    """
    xs, ys = checked_points(xs, ys)
    return fill_polygon(xs, ys, shape[:2]) if len(xs) >= 3 else np.zeros(shape[:2], bool)


def rectangle_mask(x, y, width, height, shape):
    """An upright rectangle of `width` x `height` pixels whose upper left one is (x, y).

    Its edges are rounded to whole pixels, as in `skimage.draw.rectangle`. A side that is not above
    zero encloses nothing.
    """
    check_coordinates(x, y, width, height)
    mask = np.zeros(shape[:2], bool)
    # Python would count edges below zero from the other end.
    top, left, bottom, right = (max(round(edge), 0) for edge in (y, x, y + height, x + width))
    mask[top:bottom, left:right] = True
    return mask


def circle_mask(cx, cy, r, shape):
    """Pixels nearer to (cx, cy) than `r` pixels, as `skimage.draw.disk` has them."""
    return ellipse_mask(cx, cy, r, r, 0.0, shape)


def ellipse_mask(cx, cy, rx, ry, theta, shape):
    """The inside of an ellipse, as `skimage.draw.ellipse` has it.

    Args:
        cx, cy: centre in pixels.
        rx, ry: half axes in pixels, before the turn; one that is not above zero encloses nothing.
        theta: radians by which the ellipse is turned clockwise on the screen (from x towards y).
        shape: (H, W, ...).
    """
    from skimage.draw import ellipse

    check_coordinates(cx, cy, rx, ry, theta)
    mask = np.zeros(shape[:2], bool)
    if rx > 0 and ry > 0:
        mask[ellipse(cy, cx, ry, rx, mask.shape, rotation=-theta)] = True
    return mask


def polyline_mask(xs, ys, shape, thickness=1):
    """An open line through points, `thickness` pixels wide with round ends.

    Args:
        xs, ys: [N] pixels, rounded; fewer than two points are no line.
        shape: (H, W, ...).
        thickness: whole number of pixels, at least 1.
    """
    import cv2

    xs, ys = checked_points(xs, ys)
    height, width = shape[:2]
    # The margin lets the line end beyond the image; OpenCV's own thick lines are wider than they say.
    canvas = np.zeros((height + 2 * thickness, width + 2 * thickness), np.uint8)
    if len(xs) >= 2:
        points = np.rint(np.stack([xs, ys], axis=1)).astype(np.int32) + thickness
        cv2.polylines(canvas, [points], isClosed=False, color=1)
        canvas = cv2.dilate(canvas, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (thickness, thickness)))
    return canvas[thickness:-thickness, thickness:-thickness].astype(bool)


def point_mask(cx, cy, shape):
    """The one pixel nearest to (cx, cy); none if that lies outside the image."""
    check_coordinates(cx, cy)
    return rectangle_mask(round(cx), round(cy), 1, 1, shape)


def beyond_borders(boxes, shape):
    """Which of the boxes [N, (y1, x1, y2, x2)] in pixels reach out of an image of `shape` (H, W, ...): bool [N]."""
    outside = np.concatenate([-boxes[:, :2], boxes[:, 2:] - shape[:2]], axis=1)
    return outside.max(axis=1) > EDGE_TOLERANCE


def checked_points(xs, ys):
    """Both as float64 [N]. Raises ValueError where they differ in number, or are no pixels."""
    xs, ys = np.asarray(xs, np.float64).ravel(), np.asarray(ys, np.float64).ravel()
    if len(xs) != len(ys):
        raise ValueError(f"A shape has {len(xs)} x and {len(ys)} y coordinates; it needs as many of each.")
    check_coordinates(xs, ys)
    return xs, ys


def check_coordinates(*numbers):
    """Raise ValueError where a number, or one in an array, cannot be pixels; see the module."""
    for values in numbers:
        # Written so that a NaN fails too.
        if not np.all(np.abs(values) <= MAX_COORDINATE):
            raise ValueError(
                f"Coordinates must be finite numbers of pixels up to {MAX_COORDINATE:g}; got {values}."
            )
