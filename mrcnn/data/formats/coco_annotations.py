"""COCO's annotation files: reading them, and finding what is wrong with them before training does."""

import json
from collections import Counter, defaultdict

from .coco_rle import check_rle

# Sum of a polygon's coordinates beyond which it is taken for garbage; it also catches infinities.
MAX_COORDINATES = 1e8

_IDS_SHOWN = 5

# What the masks need; evaluation with pycocotools needs more.
FIELDS = {"images": ("id", "file_name", "height", "width"), "categories": ("id", "name"),
          "annotations": ("id", "image_id", "category_id", "segmentation")}


def read_coco_json(path, annotation_fields=()):
    """A COCO annotation file without what cannot be used.

    Left out are annotations of unknown images or categories, and polygons with fewer than three points. Annotations
    that share an id are kept.

    Args:
        path: the JSON file.
        annotation_fields: fields that every annotation must have besides those that masks need.

    Returns:
        content: {"images", "categories", "annotations", ...} as in the file.
        remarks: list of sentences on what was left out or looks wrong, with the first ids.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the file is no JSON, lacks a field or gives an id twice; a bad RLE, with the annotation's id.
    """
    try:
        with open(path, encoding="utf-8-sig") as source:
            content = json.load(source)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"Annotation file {path} does not exist. Correct the path.") from error
    except (OSError, ValueError) as error:
        raise ValueError(f"Annotation file {path} cannot be read as JSON: {error}") from error
    check_fields(content, path, {**FIELDS, "annotations": FIELDS["annotations"] + tuple(annotation_fields)})
    content["annotations"], remarks = usable_annotations(content, path)
    return content, remarks + _repeated_ids(content["annotations"])


def check_fields(content, path, fields):
    """Raise ValueError where `content` lacks one of `fields` {part: names}, or gives an id twice."""
    if not isinstance(content, dict):
        raise ValueError(f"{path} must hold a JSON object, it holds a {type(content).__name__}.")
    for part, names in fields.items():
        if not isinstance(content.get(part), list):
            raise ValueError(f"{path} has no list '{part}': it is not a COCO instances file.")
        for position, entry in enumerate(content[part]):
            check_entry(entry, names, f"{path}: {part}[{position}]")
    for part in ("images", "categories"):
        counts = Counter(entry["id"] for entry in content[part])
        twice = [number for number, count in counts.items() if count > 1]
        if twice:
            raise ValueError(f"{path}: several {part} have the id {twice[0]!r}. Give each its own, and change the "
                             "annotations with it.")


def check_entry(entry, names, where):
    """Raise ValueError, beginning with `where`, unless `entry` has the fields `names`, with sound ids and sizes."""
    for name in names:
        if not isinstance(entry, dict) or name not in entry:
            raise ValueError(f"{where} has no '{name}': {str(entry)[:80]}")
        value = entry[name]
        if name.endswith("id") and not isinstance(value, int | str):
            raise ValueError(f"{where}: '{name}' must be a whole number or text, got {str(value)[:80]}.")
        if name == "file_name" and not isinstance(value, str):
            raise ValueError(f"{where}: 'file_name' must be text, got {str(value)[:80]}.")
        if name in ("height", "width") and not (isinstance(value, int) and value > 0):
            raise ValueError(f"{where}: '{name}' must be the image's {name}, a whole number of pixels above 0, got "
                             f"{str(value)[:80]}.")


def usable_annotations(content, path):
    """The annotations of `content` that can be used, and remarks on the others; see `read_coco_json`."""
    images = {image["id"]: (image["height"], image["width"]) for image in content["images"]}
    categories = {category["id"] for category in content["categories"]}
    kept, left_out = [], defaultdict(list)
    for annotation in content["annotations"]:
        segmentation = annotation["segmentation"]
        if annotation["image_id"] not in images:
            left_out["annotations of images not in the file"].append(annotation)
        elif annotation["category_id"] not in categories:
            left_out["annotations of unknown categories"].append(annotation)
        elif isinstance(segmentation, dict):
            check_rle(annotation, images[annotation["image_id"]], path)
            kept.append(annotation)
        else:
            parts = segmentation if isinstance(segmentation, list) else []
            good = [part for part in parts if is_polygon(part)]
            if good:
                left_out["bad polygons of usable annotations"] += [annotation] * (len(parts) - len(good))
                kept.append({**annotation, "segmentation": good})
            else:
                left_out["annotations without a usable polygon"].append(annotation)
    return kept, [f"left out {len(found)} {what} (ids {named_annotations(found)}). Correct the file if they should "
                  "count." for what, found in left_out.items() if found]


def _repeated_ids(annotations):
    """A list of one remark if ids are given more than once, else of none."""
    counts = Counter(annotation["id"] for annotation in annotations)
    repeated = [annotation for annotation in annotations if counts[annotation["id"]] > 1]
    if not repeated:
        return []
    return [f"{len(repeated)} annotations share their id with another one (ids {named_annotations(repeated)}). All "
            "are kept, but pycocotools sees only the last of an id: number them apart."]


def named_annotations(annotations):
    """Text that names the first of the annotations by their ids and images, for messages."""
    names = list(dict.fromkeys(f"{annotation['id']} of image {annotation['image_id']}" for annotation in annotations))
    return ", ".join(names[:_IDS_SHOWN]) + (", ..." if len(names) > _IDS_SHOWN else "")


def is_polygon(part):
    """Whether [x1, y1, x2, y2, ...] has three points or more and only finite, sensible numbers."""
    try:
        return len(part) >= 6 and len(part) % 2 == 0 and sum(map(abs, part)) < MAX_COORDINATES
    except TypeError:
        return False
