"""What is wrong with one image of a dataset, with all of it rather than the first."""

import os
import re

import numpy as np

from .checks import DataError, all_masks, checked_image, checked_keypoints, grey_level_problem, have_pixels
from .image_header import read_header
from .load import active_class_ids
from .regions import beyond_borders
from .report import image_label


def look_at_image(dataset, config, image_id):
    """Load an image and its masks and look for problems.

    Args:
        dataset: a prepared `Dataset`.
        config: NUM_CLASSES, IMAGE_CHANNEL_COUNT and MEAN_PIXEL are read.
        image_id: number of the image in the dataset.

    Returns:
        problems: list of (problem, text that names the image and the cure). The first is the same for all images.
        class_ids: int32 [N] of its objects, None where they could not be loaded.
    """
    problems, class_ids = [], None
    label = image_label(dataset, image_id)
    try:
        active_class_ids(dataset, config, image_id)
    except DataError as error:
        problems.append((error.problem, str(error)))
    image, problem = _attempt(checked_image, (dataset, config, image_id), label, "image unreadable")
    if problem:
        return [*problems, problem], None
    if odd := grey_level_problem(image, config):
        problems.append(("values are no grey levels", f"{label} {odd}"))
    loaded, problem = _attempt(all_masks, (dataset, config, image_id, image.shape), label, "masks unreadable")
    problems += [problem] if problem else []
    if loaded:
        masks, class_ids = loaded
        problems += _in_objects(label, masks, class_ids)
        if dataset.keypoint_names:
            expected = (len(class_ids), len(dataset.keypoint_names), 3)
            _, problem = _attempt(checked_keypoints, (dataset, image_id, expected), label, "keypoints unreadable")
            problems += [problem] if problem else []
    problems += _in_orientation(dataset.image_info[image_id], label, image.shape)
    problems += _beyond_borders(dataset.annotated_boxes(image_id), label, image.shape)
    return problems, class_ids


def _attempt(load, arguments, label, unreadable):
    """What `load(*arguments)` returns and None, or None and (problem, text)."""
    try:
        return load(*arguments), None
    except DataError as error:
        return None, (error.problem, str(error))
    except Exception as error:
        # Users' own load_image and load_mask may raise anything.
        text = str(error) if str(error).startswith(label) else f"{label}: {type(error).__name__}: {error}"
        if isinstance(error, FileNotFoundError):
            return None, ("file missing", text)
        if isinstance(error, IndexError) and re.search("out of bounds for axis", text):
            return None, ("objects outside the image", f"{text}. Where load_mask() draws a polygon, pass "
                          "shape=mask.shape[:2] to skimage.draw.polygon(), or correct the annotation.")
        return None, (unreadable, text)


def _in_objects(label, masks, class_ids):
    if not len(class_ids):
        yield ("no objects", f"{label} has no objects. Training passes over it unless KEEP_EMPTY_IMAGES is set.")
        return
    empty = np.flatnonzero(~have_pixels(masks))
    if len(empty):
        yield ("empty masks", f"{label}: the masks of the objects {empty[:5].tolist()} have no pixel. Training leaves "
                              "them out. Correct their annotation.")
    background = np.flatnonzero(class_ids == 0)
    if len(background):
        yield ("objects of class 0", f"{label}: the objects {background[:5].tolist()} are of class 0, the background. "
                                     "Training leaves them out. Number classes from 1.")


def _in_orientation(info, label, shape):
    path = info.get("path")
    # Loaders that turn images themselves note the tag.
    if "orientation" in info or not isinstance(path, str | os.PathLike):
        return
    try:
        header = read_header(path, label)
    except (OSError, ValueError):
        # Not a file of pixels: the dataset's own load_image knows better.
        return
    if header.orientation > 1 and shape[:2] == (header.height, header.width):
        yield ("EXIF rotation not applied",
               f"{label} has a camera's orientation tag ({header.orientation}), but is used as stored. Where its masks "
               "were drawn on the turned picture they do not fit: turn the file itself with PIL.ImageOps."
               "exif_transpose().")


def _beyond_borders(boxes, label, shape):
    if boxes is None:
        return
    over = beyond_borders(boxes, shape)
    if over.any():
        first = int(np.flatnonzero(over)[0])
        yield ("objects outside the image",
               f"{label} has {shape[0]} x {shape[1]} pixels (height x width), but its object {first} lies within (y1, "
               f"x1, y2, x2) = {np.round(boxes[first], 1).tolist()}. What is outside is cut off. Correct the "
               "annotation if it should not be.")
