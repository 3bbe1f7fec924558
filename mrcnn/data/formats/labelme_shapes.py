"""Shapes as labelme writes them: checked, joined to objects, drawn and measured."""

import base64
import io
from typing import NamedTuple

import numpy as np

from .. import regions

# Width and radius in pixels that labelme itself gives to lines and points when it makes masks of them.
LINE_WIDTH = 10
POINT_RADIUS = 5

# Fewest and most points of each type.
_COUNTS = {
    "polygon": (3, None),
    "rectangle": (2, 4),
    "oriented_rectangle": (4, 4),
    "rotation": (4, 4),
    "circle": (2, 2),
    "line": (2, 2),
    "linestrip": (2, None),
    "point": (1, 1),
    "points": (1, None),
    "mask": (2, 2),
}
# Labels that mark no object.
_NO_OBJECT = ("_background_", "__ignore__")


class Shape(NamedTuple):
    """One shape in pixels of its image.

    Attributes:
        kind: labelme's `shape_type`.
        points: float64 [N, (x, y)].
        pixels: of a "mask" bool [height, width], from the first point on; else None.
    """

    kind: str
    points: np.ndarray
    pixels: np.ndarray | None = None


def read_objects(entries, leave_out):
    """The objects of one file.

    Args:
        entries: labelme's list `shapes`.
        leave_out: function of (text that names a shape, reason), called for each that cannot be used.

    Returns:
        list of (name, list of `Shape`s): shapes of the same label and group_id are one object.
    """
    objects, groups = [], {}
    for number, entry in enumerate(entries):
        try:
            name, group, shape = _read_shape(entry)
        except ValueError as error:
            label = entry.get("label") if isinstance(entry, dict) else entry
            leave_out(f"shape {number} ({str(label)[:40]!r})", str(error))
            continue
        if name in _NO_OBJECT:
            continue
        if group is None:
            objects.append((name, [shape]))
        elif (name, group) in groups:
            groups[name, group].append(shape)
        else:
            groups[name, group] = [shape]
            objects.append((name, groups[name, group]))
    return objects


def _read_shape(entry):
    """Label, group and `Shape` of an entry. Raises ValueError, which does not say where."""
    if not isinstance(entry, dict) or not isinstance(entry.get("label"), str) or not entry["label"].strip():
        raise ValueError("it has no label")
    group = entry.get("group_id")
    if not isinstance(group, int | str | None):
        raise ValueError(f"its group_id is {group!r}, expected a number")
    kind = entry.get("shape_type") or "polygon"
    if not isinstance(kind, str) or kind not in _COUNTS:
        raise ValueError(f"its shape_type is {kind!r}, expected one of {', '.join(_COUNTS)}")
    try:
        points = np.asarray(entry.get("points"), np.float64)
    except (TypeError, ValueError):
        raise ValueError("its points are no numbers") from None
    if points.ndim != 2 or points.shape[1] != 2:
        raise ValueError("its points are no list of pairs (x, y)")
    least, most = _COUNTS[kind]
    if len(points) < least or most and len(points) > most:
        expected = f"{least} or more" if most is None else f"{least}" if most == least else f"{least} to {most}"
        raise ValueError(f"a {kind} has {expected} points, it has {len(points)}")
    regions.check_coordinates(points)
    pixels = _read_pixels(entry.get("mask"), points) if kind == "mask" else None
    return entry["label"].strip(), group, Shape(kind, points, pixels)


def _read_pixels(text, points):
    """The bitmap bool [height, width] of a "mask": a PNG in base64 that fills its two points, both included."""
    try:
        pixels = decode_image(text)
    except Exception as error:
        # Base64, the codec and a text that is none have each their own exceptions.
        raise ValueError(f"its mask is no PNG in base64 ({type(error).__name__})") from error
    pixels = (pixels if pixels.ndim == 2 else pixels[:, :, 0]) != 0
    (x1, y1), (x2, y2) = points.astype(int)
    size = (int(y2 - y1 + 1), int(x2 - x1 + 1))
    if pixels.shape != size:
        raise ValueError(f"its mask has (height, width) {pixels.shape}, its points ask for {size}")
    return pixels


def decode_image(text):
    """An image file in base64 as an array [H, W] or [H, W, C]. Raises whatever the codecs raise."""
    from PIL import Image

    with Image.open(io.BytesIO(base64.b64decode(text))) as image:
        return np.array(image.convert("RGB") if image.mode == "P" else image)


def object_mask(shapes, height, width):
    """Bool [height, width]: all shapes of one object together, cut off at the border of the image."""
    return np.logical_or.reduce([_mask(shape, (height, width)) for shape in shapes])


def _mask(shape, size):
    xs, ys = shape.points.T
    if shape.kind == "mask":
        return _pasted(shape, size)
    if shape.kind == "circle":
        return regions.circle_mask(xs[0], ys[0], np.hypot(xs[1] - xs[0], ys[1] - ys[0]), size)
    if shape.kind in ("line", "linestrip"):
        return regions.polyline_mask(xs, ys, size, LINE_WIDTH)
    if shape.kind in ("point", "points"):
        return np.logical_or.reduce([regions.circle_mask(x, y, POINT_RADIUS, size) for x, y in shape.points])
    if len(shape.points) == 2:
        return regions.rectangle_mask(xs.min(), ys.min(), np.ptp(xs), np.ptp(ys), size)
    return regions.polygon_mask(xs, ys, size)


def _pasted(shape, size):
    mask = np.zeros(size, bool)
    x, y = shape.points[0].astype(int)
    top, left = max(y, 0), max(x, 0)
    seen = shape.pixels[top - y : max(size[0] - y, 0), left - x : max(size[1] - x, 0)]
    mask[top : top + seen.shape[0], left : left + seen.shape[1]] = seen
    return mask


def object_box(shapes):
    """(y1, x1, y2, x2) in pixels around an object's points, as they were drawn, also beyond the image."""
    boxes = np.array([_box(shape) for shape in shapes])
    return [*boxes[:, :2].min(axis=0), *boxes[:, 2:].max(axis=0)]


def _box(shape):
    points = shape.points[:, ::-1]
    if shape.kind == "circle":
        radius = np.hypot(*(points[1] - points[0]))
        return [*(points[0] - radius), *(points[0] + radius)]
    return [*points.min(axis=0), *points.max(axis=0)]
