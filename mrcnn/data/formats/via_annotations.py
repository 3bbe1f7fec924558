"""Files of the VGG Image Annotator, versions 1 and 2: their images, regions and classes, checked."""

import json
from contextlib import contextmanager
from typing import NamedTuple

from .via_shapes import Shape, read_attributes, read_shape

_PROBLEMS_SHOWN = 5


class Region(NamedTuple):
    """One annotated object.

    Attributes:
        label: 'region 3 of "a.jpg"', for errors.
        shape: `via_shapes.Shape`.
        attributes: {name: value} as in the file.
    """

    label: str
    shape: Shape
    attributes: dict


def read_via(path):
    """Read an exported JSON file, or a saved project, of VIA 1 or 2.

    Returns:
        list of (file name of an image, list of its `Region`s), in the order of the file.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the file is no JSON or not of VIA, or regions cannot be used; names images and regions.
    """
    try:
        # Files that were edited on Windows begin with a byte order mark.
        with open(path, encoding="utf-8-sig") as file:
            content = json.load(file)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"The annotation file {path} does not exist. Correct the path.") from error
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{path} cannot be read as JSON: {error}. Export the annotations from VIA as JSON, or save the project."
        ) from error
    entries = content.get("_via_img_metadata", content) if isinstance(content, dict) else content
    misfit = _misfit(entries)
    if misfit:
        raise ValueError(
            f"{path} is no annotation file of VIA 1 or 2 (VIA 3 has another format): expected a JSON object with a "
            f"'filename' and 'regions' for each image, but {misfit}. Export the annotations from VIA as JSON."
        )
    problems = Problems(path)
    images = [_read_entry(entry, problems) for entry in entries.values()]
    problems.raise_any()
    return images


def _misfit(entries):
    """What keeps `entries` from being those of images, None if nothing does."""
    if not isinstance(entries, dict):
        return f"it holds a {type(entries).__name__}"
    for key, entry in entries.items():
        if not isinstance(entry, dict):
            return f"{key!r} is a {type(entry).__name__}"
        missing = [name for name in ("filename", "regions") if name not in entry]
        if missing:
            return f"{key!r} lacks {' and '.join(missing)}"
        # VIA 1 numbers the regions of an image, VIA 2 lists them.
        if not isinstance(entry["regions"], dict | list):
            return f"the regions of {key!r} are a {type(entry['regions']).__name__}"
    return None


def _read_entry(entry, problems):
    name, regions = str(entry["filename"]), entry["regions"]
    found = []
    for number, region in regions.items() if isinstance(regions, dict) else enumerate(regions):
        label = f'region {number} of "{name}"'
        with problems.of(label):
            found.append(_read_region(label, region))
    return name, found


def _read_region(label, region):
    if not isinstance(region, dict) or "shape_attributes" not in region:
        raise ValueError("it has no shape_attributes")
    attributes = read_attributes(region.get("region_attributes", {}), "region_attributes")
    return Region(label, read_shape(region["shape_attributes"]), attributes)


def region_classes(path, regions, class_attribute, default_class, known=None):
    """The class name of each region, as a list.

    Args:
        path: names the file in errors.
        regions: list of `Region`s.
        class_attribute, default_class: as in `ViaDataset.load_via`.
        known: names that a class may have; None allows all.

    Raises:
        ValueError: no or several attributes to choose from, or regions without a class that counts.
    """
    attribute = _chosen_attribute(path, regions, class_attribute)
    problems, names = Problems(path), []
    for region in regions:
        with problems.of(region.label):
            name = default_class if attribute is None else _class_name(region.attributes.get(attribute), attribute)
            if known is not None and name not in known:
                raise ValueError(f"its class {name!r} is not one of {', '.join(known)}")
            names.append(name)
    problems.raise_any()
    return names


def _chosen_attribute(path, regions, class_attribute):
    """Name of the attribute that holds the class, None if none does."""
    found = {name for region in regions for name, value in region.attributes.items() if not _is_blank(value)}
    if not regions or class_attribute is False or (class_attribute is None and not found):
        return None
    if class_attribute is None and len(found) == 1:
        return next(iter(found))
    if class_attribute not in found:
        raise ValueError(
            f"{path}: class_attribute is {class_attribute!r}, but its regions have the attributes "
            f"{', '.join(sorted(found)) or '(none)'}. Name the one that holds the class, or pass False if none does."
        )
    return class_attribute


def _class_name(value, attribute):
    """The class that the value of an attribute names."""
    if _is_blank(value):
        raise ValueError(f"its attribute {attribute!r} is not set")
    if isinstance(value, dict):
        ticked = [str(name) for name, on in value.items() if on]
        if len(ticked) > 1:
            raise ValueError(f"its attribute {attribute!r} has {' and '.join(ticked)} ticked; an object has one class")
        return ticked[0]
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return str(value).strip()
    raise ValueError(f"its attribute {attribute!r} is {value!r}, expected a text or ticked boxes")


def _is_blank(value):
    if isinstance(value, dict):
        return not any(value.values())
    return value is None or (isinstance(value, str) and not value.strip())


class Problems:
    """What is wrong with regions of one file, collected so that all of it can be mended at once."""

    def __init__(self, path):
        self.path, self._found = path, []

    @contextmanager
    def of(self, label):
        """A context in which a ValueError is noted as one of the region `label`, and goes no further."""
        try:
            yield
        except ValueError as error:
            self._found.append(f"{label}: {error}")

    def raise_any(self):
        """Raise ValueError that names the first problems, if there are any."""
        if self._found:
            shown = "; ".join(self._found[:_PROBLEMS_SHOWN]) + ("; ..." if len(self._found) > _PROBLEMS_SHOWN else "")
            raise ValueError(
                f"{self.path}: {len(self._found)} regions cannot be used: {shown}. Correct them in VIA and save again."
            )
