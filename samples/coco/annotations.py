"""COCO's annotation files: reading them, and finding what is wrong with them before training does."""

import json
import time

# Sum of a polygon's coordinates beyond which it is taken for garbage; it also catches infinities.
MAX_COORDINATES = 1e8


def read_annotations(path):
    """A COCO annotation file as a `pycocotools.coco.COCO` object, without what cannot be used.

    Annotations of unknown images or categories, and polygons with fewer than three points, are left out and
    counted in one printed line each.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the file is no JSON or lacks a field; a bad RLE, with the annotation's id.
    """
    from mrcnn.evaluation.ground_truth import coco_index

    began = time.monotonic()
    try:
        with open(path, encoding="utf-8") as source:
            content = json.load(source)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"Annotation file {path} does not exist. --dataset must name the folder that "
                                "holds 'annotations'; --download fetches the data.") from error
    except (OSError, ValueError) as error:
        raise ValueError(f"Annotation file {path} cannot be read as JSON: {error}") from error
    check_fields(content, path)
    content["annotations"] = clean_annotations(content, path)
    coco = coco_index(content)
    print(f"{path}: {len(coco.imgs)} images, {len(coco.anns)} annotations, {len(coco.cats)} categories "
          f"({time.monotonic() - began:.1f} s)")
    return coco


def check_fields(content, path):
    """Raise ValueError where `content` lacks a part or a field that is needed."""
    fields = {"images": ("id", "file_name", "height", "width"), "categories": ("id", "name"),
              "annotations": ("id", "image_id", "category_id", "segmentation", "bbox", "area")}
    if not isinstance(content, dict):
        raise ValueError(f"{path} must hold a JSON object, it holds a {type(content).__name__}.")
    for part, names in fields.items():
        if not isinstance(content.get(part), list):
            raise ValueError(f"{path} has no list '{part}': it is not a COCO instances file.")
        for position, entry in enumerate(content[part]):
            for name in names:
                if not isinstance(entry, dict) or name not in entry:
                    raise ValueError(f"{path}: {part}[{position}] has no '{name}': {str(entry)[:80]}")


def clean_annotations(content, path):
    """The annotations of `content` that can be used; see `read_annotations`."""
    images = {image["id"]: (image["height"], image["width"]) for image in content["images"]}
    categories = {category["id"] for category in content["categories"]}
    no_image, no_category = "annotations of images not in the file", "annotations of unknown categories"
    no_polygon, part_dropped = "annotations without a usable polygon", "bad polygons of usable annotations"
    kept, counts = [], dict.fromkeys((no_image, no_category, no_polygon, part_dropped), 0)
    for ann in content["annotations"]:
        if ann["image_id"] not in images:
            counts[no_image] += 1
        elif ann["category_id"] not in categories:
            counts[no_category] += 1
        elif isinstance(ann["segmentation"], dict):
            check_rle(ann, images[ann["image_id"]], path)
            kept.append(ann)
        else:
            parts = ann["segmentation"] if isinstance(ann["segmentation"], list) else []
            good = [part for part in parts if is_polygon(part)]
            if good:
                counts[part_dropped] += len(parts) - len(good)
                kept.append({**ann, "segmentation": good})
            else:
                counts[no_polygon] += 1
    for what, count in counts.items():
        if count:
            print(f"{path}: left out {count} {what}")
    return kept


def is_polygon(part):
    """Whether [x1, y1, x2, y2, ...] has three points or more and only finite, sensible numbers."""
    try:
        return len(part) >= 6 and len(part) % 2 == 0 and sum(map(abs, part)) < MAX_COORDINATES
    except TypeError:
        return False


def check_rle(ann, shape, path):
    """Raise ValueError, naming the annotation, unless its RLE is sound and covers the image `shape` (H, W).

    pycocotools decodes without looking: a wrong RLE would give a garbled mask, or none, hours later.
    """
    rle, size = ann["segmentation"], list(shape)
    where = f"{path}: annotation {ann['id']} of image {ann['image_id']} has a bad RLE"
    if rle.get("size") != size or not isinstance(rle.get("counts"), list | str):
        raise ValueError(f"{where}: expected 'counts' (list or text) and 'size' {size}, the image's height "
                         f"and width, got size {rle.get('size')}.")
    try:
        counts = rle["counts"] if isinstance(rle["counts"], list) else rle_counts(rle["counts"])
        total = sum(counts) if min(counts, default=0) >= 0 else -1
    except (IndexError, TypeError, ValueError) as error:
        raise ValueError(f"{where}: its counts cannot be decoded ({error}).") from error
    if total != size[0] * size[1]:
        raise ValueError(f"{where}: its run lengths must not be negative and add up to {size[0] * size[1]}.")


def rle_counts(text):
    """Run lengths of COCO's compressed form: six bits a character, from the fourth run on as differences."""
    counts, position = [], 0
    while position < len(text):
        value, shift, more = 0, 0, True
        while more:
            code = ord(text[position]) - 48
            if not 0 <= code < 64:
                raise ValueError(f"character {text[position]!r} at position {position}")
            value |= (code & 31) << shift
            shift, position, more = shift + 5, position + 1, bool(code & 32)
        if code & 16:
            value -= 1 << shift
        counts.append(value + counts[-2] if len(counts) > 2 else value)
    return counts
