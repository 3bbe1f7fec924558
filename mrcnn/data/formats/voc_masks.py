"""Which object of a Pascal VOC file each number of its mask images belongs to."""

import numpy as np

from ..boxes import compute_overlaps
from ..masks import extract_bboxes
from .label_files import object_masks, object_values

VOC_CLASSES = (
    "aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse motorbike person pottedplant sheep "
    "sofa train tvmonitor"
).split()

# The border between objects, which belongs to none: in a palette or grey, and as the colour of that palette.
_VOID = (255, 224 << 16 | 224 << 8 | 192)
_SAME_OBJECT = 0.5


def object_masks_of(labels):
    """Masks bool [H, W, N] of the objects in a SegmentationObject image [H, W], and their numbers, a list of N."""
    values = [value for value in object_values(labels) if value not in _VOID]
    return object_masks(labels, values), values


def classes_by_box(masks, values, objects):
    """The class of each mask by the box it fills.

    VOC numbers the objects as the XML file lists them; where the box of that place is another one, as other tools
    number otherwise, the box that fits best decides.

    Args:
        masks: bool [H, W, N].
        values: N numbers of the masks.
        objects: list of (class name, (y1, x1, y2, x2) in pixels).

    Returns:
        list of N class names, None where no box fits.
    """
    if not objects or not values:
        return [None] * len(values)
    boxes = np.array([box for _, box in objects], np.float64)
    overlaps = compute_overlaps(extract_bboxes(masks).astype(np.float64), boxes)
    names = []
    for value, row in zip(values, overlaps, strict=True):
        same = value - 1 if value <= len(objects) and row[value - 1] >= _SAME_OBJECT else int(row.argmax())
        names.append(objects[same][0] if row[same] >= _SAME_OBJECT else None)
    return names


def classes_by_pixels(masks, class_labels, class_numbers):
    """The class of each mask by the number that most of its pixels have in the SegmentationClass image.

    Args:
        masks: bool [H, W, N].
        class_labels: integers [H, W], see `read_labels`.
        class_numbers: {number: class name}.

    Returns:
        list of N class names, None for a number without a name.
    """
    names = []
    for index in range(masks.shape[2]):
        values, counts = np.unique(class_labels[masks[:, :, index]], return_counts=True)
        names.append(class_numbers.get(int(values[counts.argmax()])))
    return names


def masks_in_boxes(class_labels, objects, class_numbers):
    """Masks bool [H, W, N]: in each object's box the pixels of its class in the SegmentationClass image.

    Arguments as above.
    """
    masks = np.zeros((len(objects), *class_labels.shape), bool)
    for mask, (name, box) in zip(masks, objects, strict=True):
        y1, x1, y2, x2 = (max(round(edge), 0) for edge in box)
        numbers = [number for number, other in class_numbers.items() if other == name]
        mask[y1:y2, x1:x2] = np.isin(class_labels[y1:y2, x1:x2], numbers)
    return np.moveaxis(masks, 0, -1)


def read_class_numbers(folder):
    """Which number or colour stands for which class in SegmentationClass images: {number: class name}.

    From `labelmap.txt` (CVAT: "name:red,green,blue::" a line) or `class_names.txt` (labelme: a name a line), in
    which the background comes first, else VOC's own classes. Colours are numbers as in `read_labels`.
    """
    labelmap, names = folder / "labelmap.txt", folder / "class_names.txt"
    if labelmap.is_file():
        return _read_labelmap(labelmap)
    if names.is_file():
        lines = names.read_text(encoding="utf-8-sig").splitlines()
        return {number: line.strip() for number, line in enumerate(lines) if number > 0 and line.strip()}
    return dict(enumerate(VOC_CLASSES, start=1))


def _read_labelmap(path):
    lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    names, numbers = [], {}
    for line in lines:
        name, colour = (line.split(":") + [""])[:2]
        if not name or line.startswith("#"):
            continue
        names.append(name)
        for number in _colour_numbers(colour, f"{path} has the line {line!r}"):
            numbers[number] = name
    background = numbers.get(0, names[0] if names else None)
    return {number: name for number, name in (dict(enumerate(names)) | numbers).items() if name != background}


def _colour_numbers(text, where):
    """Numbers that `read_labels` may give for the colour "red,green,blue"; none for ""."""
    parts = text.split(",")
    if not text:
        return []
    if len(parts) != 3 or not all(part.strip().isdigit() for part in parts):
        raise ValueError(f"{where}, expected 'name:red,green,blue::'. Export it again.")
    red, green, blue = map(int, parts)
    return [red << 16 | green << 8 | blue] + [red] * (red == green == blue)
