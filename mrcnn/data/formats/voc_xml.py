"""The XML files of Pascal VOC: one image's objects and their boxes."""

import xml.etree.ElementTree as ElementTree
from typing import NamedTuple

from ..regions import check_coordinates


class VocFile(NamedTuple):
    """What an XML file says.

    Attributes:
        filename: the image's name as the file has it, "" if it has none.
        size: (height, width) in pixels, None if the file does not say.
        objects: list of (class name, (y1, x1, y2, x2)): the file's own numbers, in pixels.
    """

    filename: str
    size: tuple | None
    objects: list


def read_voc_xml(path, leave_out):
    """Read one XML file.

    Args:
        path: the file.
        leave_out: function of (text that names an object, reason), called for each that cannot be used.

    Raises:
        ValueError: the file is no XML, or not of VOC; does not name it.
    """
    try:
        root = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError) as error:
        raise ValueError(f"It cannot be read as XML ({error}). Save it again.") from error
    if root.tag != "annotation":
        raise ValueError(f"Its outermost tag is <{root.tag}>, expected <annotation>, so it is not of Pascal VOC. Move "
                         "it to another folder.")
    objects = []
    for number, entry in enumerate(root.findall("object")):
        name = (entry.findtext("name") or "").strip()
        try:
            objects.append((_class_name(name), _box(entry.find("bndbox"))))
        except ValueError as error:
            leave_out(f"object {number} ({name!r})", str(error))
    return VocFile((root.findtext("filename") or "").strip(), _size(root), objects)


def _class_name(name):
    if not name:
        raise ValueError("it has no <name>")
    return name


def _box(entry):
    """(y1, x1, y2, x2) of a <bndbox>."""
    if entry is None:
        raise ValueError("it has no <bndbox>")
    texts = {name: (entry.findtext(name) or "").strip() for name in ("ymin", "xmin", "ymax", "xmax")}
    try:
        y1, x1, y2, x2 = box = tuple(float(text) for text in texts.values())
    except ValueError:
        raise ValueError(f"its <bndbox> has {texts}, expected numbers") from None
    check_coordinates(*box)
    if y2 <= y1 or x2 <= x1:
        raise ValueError(f"its <bndbox> {texts} has no area")
    return box


def _size(root):
    """(height, width) of <size>; some tools leave it out, or write zeros."""
    try:
        height, width = int(root.findtext("size/height")), int(root.findtext("size/width"))
    except (TypeError, ValueError):
        return None
    return (height, width) if height > 0 and width > 0 else None
