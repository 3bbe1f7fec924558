"""The names of the classes that a weight file was trained on: kept beside checkpoints, found again on loading."""

import json
import logging
import os

from .atomic_file import write_atomically
from .class_transfer import match_classes
from .coco_classes import COCO_CLASS_NAMES, COCO_NAMES_BY_ID

logger = logging.getLogger(__name__)

FILE_NAME = "class_names.json"
# What a file without names has, by its number of classes.
_COCO = {len(names): names for names in (COCO_CLASS_NAMES, COCO_NAMES_BY_ID)}


def write_class_names(folder, names):
    """Keep the names of a run's classes in `folder`, atomically, as a JSON list; warn where others were kept there.

    Args:
        folder: folder of the run.
        names: names in order of class ids, the background first.

    Raises:
        CheckpointError: the file could not be written.
    """
    path = os.path.join(folder, FILE_NAME)
    content = json.dumps([str(name) for name in names], ensure_ascii=False, indent=1).encode("utf8")
    if os.path.exists(path):
        with open(path, "rb") as file:
            if file.read() != content:
                logger.warning("%s had other classes; earlier checkpoints in its folder belong to those.", path)
    write_atomically(path, content)


def match_file_classes(weights_path, counts, class_names, file_class_names=None):
    """Where the classes of a model are in a weight file.

    The file's names are `file_class_names`, else those in `class_names.json` beside it, else COCO's where it has 81
    (Matterport, Detectron2) or 91 (torchvision).

    Args:
        weights_path: path of the weight file.
        counts: numbers of classes of the model and of the file, with the background.
        class_names: the model's classes in order, the background first.
        file_class_names: the file's, likewise.

    Returns:
        `ClassMatch`.

    Raises:
        ValueError: the file's names are unknown, or a list does not fit its number of classes or lacks the
            background.
    """
    count, file_count = counts
    names = _checked(class_names, count, "class_names", "this model (NUM_CLASSES)")
    file_names, origin = _file_names(weights_path, file_count, file_class_names)
    return match_classes(names, _checked(file_names, file_count, origin, weights_path), origin)


def _file_names(weights_path, count, given):
    """The file's names and where they come from."""
    beside = os.path.join(os.path.dirname(weights_path), FILE_NAME)
    if given is not None:
        return given, "file_class_names"
    if os.path.exists(beside):
        return _read(beside), beside
    if count in _COCO:
        return _COCO[count], "COCO"
    raise ValueError(
        f"The names of the {count} classes of {weights_path} are unknown: {beside} is absent. Pass "
        'file_class_names=["BG", ...], the names it was trained with in the order of their class ids.'
    )


def _checked(names, count, what, where):
    if isinstance(names, str):
        raise ValueError(f'{what} is the text {names!r}; expected a list of names, ["BG", ...].')
    names = [str(name) for name in names]
    if len(names) != count:
        hint = 'the background "BG" comes first and is missing' if len(names) == count - 1 else '["BG", ...]'
        raise ValueError(
            f"{what} has {len(names)} names, {where} {count} classes: name each class once, in order of class ids "
            f"({hint})."
        )
    return names


def _read(path):
    try:
        with open(path, encoding="utf8") as file:
            names = json.load(file)
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise ValueError("it is not a list of texts")
    except (OSError, ValueError) as error:
        raise ValueError(
            f'{path} does not hold the names of classes: {error}. Expected a JSON list, ["BG", ...]: mend or remove '
            "it, or pass file_class_names."
        ) from error
    return names
