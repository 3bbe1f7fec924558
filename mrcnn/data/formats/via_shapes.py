"""Shapes as the VGG Image Annotator writes them: checked, drawn and measured."""

import json
from typing import NamedTuple

import numpy as np

from .. import regions

# VIA's name of a shape: the names of its numbers, and what draws them given in this order.
_SHAPES = {
    "polygon": (("all_points_x", "all_points_y"), regions.polygon_mask),
    "polyline": (("all_points_x", "all_points_y"), regions.polyline_mask),
    "rect": (("x", "y", "width", "height"), regions.rectangle_mask),
    "circle": (("cx", "cy", "r"), regions.circle_mask),
    "ellipse": (("cx", "cy", "rx", "ry", "theta"), regions.ellipse_mask),
    "point": (("cx", "cy"), regions.point_mask),
}
# Early versions of VIA could not turn ellipses.
_DEFAULTS = {"theta": 0.0}


class Shape(NamedTuple):
    """A shape in pixels of its image.

    Attributes:
        name: "polygon", "polyline", "rect", "circle", "ellipse" or "point".
        values: its numbers in the order of VIA's documentation; of the first two (xs, ys), float64 [N].
    """

    name: str
    values: tuple


def read_shape(attributes):
    """The `Shape` that a region's `shape_attributes` describe.

    Raises:
        ValueError: unknown shape, or numbers that are missing or no pixels; does not say where.
    """
    attributes = read_attributes(attributes, "shape_attributes")
    name = attributes.get("name")
    if not isinstance(name, str) or name not in _SHAPES:
        raise ValueError(f"its shape is {name!r}, expected one of {', '.join(_SHAPES)}")
    keys = _SHAPES[name][0]
    missing = [key for key in keys if key not in attributes and key not in _DEFAULTS]
    if missing:
        raise ValueError(f"its {name} lacks {', '.join(missing)}; it has {', '.join(attributes)}")
    values = [attributes.get(key, _DEFAULTS.get(key)) for key in keys]
    if name in ("polygon", "polyline"):
        return Shape(name, _points(values, name))
    try:
        values = tuple(float(value) for value in values)
    except (TypeError, ValueError):
        raise ValueError(f"its {name} has {dict(zip(keys, values, strict=True))}, expected numbers") from None
    regions.check_coordinates(*values)
    return Shape(name, values)


def _points(values, name):
    try:
        xs, ys = (np.asarray(value, np.float64) for value in values)
    except (TypeError, ValueError):
        raise ValueError(f"its {name} has coordinates that are no numbers") from None
    if xs.ndim != 1 or ys.ndim != 1 or not xs.size:
        raise ValueError(f"its {name} needs a list of x and one of y coordinates, got {values}")
    return regions.checked_points(xs, ys)


def read_attributes(attributes, what):
    """Attributes as a dict, also where they are JSON in a text, as in tables that VIA exports.

    Raises:
        ValueError: they are neither; `what` names them.
    """
    if isinstance(attributes, str):
        try:
            attributes = json.loads(attributes or "{}")
        except ValueError:
            raise ValueError(f"its {what} is the text {attributes!r}, expected names with values") from None
    if not isinstance(attributes, dict):
        raise ValueError(f"its {what} is {attributes!r}, expected names with values")
    return attributes


def shape_mask(shape, height, width):
    """Bool [height, width]: a `Shape` in an image of that size, lines one pixel wide, points one pixel."""
    return _SHAPES[shape.name][1](*shape.values, (height, width))


def shape_box(shape):
    """(y1, x1, y2, x2) in pixels around a `Shape`, as it was drawn, also beyond the image."""
    if shape.name in ("polygon", "polyline"):
        xs, ys = shape.values
        return ys.min(), xs.min(), ys.max(), xs.max()
    x, y, *size = shape.values
    if shape.name == "rect":
        return y, x, y + size[1], x + size[0]
    if shape.name == "ellipse":
        rx, ry, theta = size
        cos, sin = np.cos(theta), np.sin(theta)
        half_width, half_height = np.hypot(rx * cos, ry * sin), np.hypot(rx * sin, ry * cos)
    else:
        half_width = half_height = size[0] if size else 0.0
    return y - half_height, x - half_width, y + half_height, x + half_width
