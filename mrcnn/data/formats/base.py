"""What the loaders of annotation formats share: finding files, numbering classes, saying what was left out."""

import os
from collections import Counter
from pathlib import Path

import numpy as np

from ..dataset import Dataset
from ..regions import beyond_borders
from ..report import image_info_of, image_label, logger

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".gif", ".webp")
_FILES_SHOWN = 20
_PARTS_SHOWN = 3


class FormatDataset(Dataset):
    """A dataset whose classes are known by name; the base of the loaders.

    A subclass sets `SOURCE`, overrides `objects`, and has a method that calls `add_named_classes` and
    `add_image` with height and width (pixels, as `load_image` gives them). Images of other sources go to
    `Dataset`.
    """

    SOURCE = ""

    def add_named_classes(self, found, class_names=None):
        """Add classes whose ids in the source are their names.

        Args:
            found: names that the annotations have.
            class_names: names in the order of their class ids from 1 on, to be used instead; a leading "BG"
                is passed over, so that another dataset's `class_names` fits. None means all that were found,
                sorted.

        Returns:
            the set of names that count.
        """
        names = sorted(found) if class_names is None else wanted_names(class_names)
        for name in names:
            self.add_class(self.SOURCE, name, name)
        return set(names)

    def objects(self, info, label):
        """An image's objects; to be overridden.

        Args:
            info: entry of `image_info`.
            label: names the image in errors.

        Returns:
            masks: list of N bool arrays [H, W], or one [H, W, N].
            names: list of N class names.
        """
        raise NotImplementedError(f"{type(self).__name__} must define objects(info, label).")

    def load_mask(self, image_id):
        """Masks bool [H, W, N] and class ids int32 [N] of an image's objects."""
        info = image_info_of(self, image_id)
        if info["source"] != self.SOURCE:
            return super().load_mask(image_id)
        label = image_label(self, image_id)
        masks, names = self.objects(info, label)
        strangers = {f"{self.SOURCE}.{name}" for name in names} - set(self.class_from_source_map)
        if strangers:
            raise ValueError(f"{label} has an object of class {min(strangers)!r}, which was never added; the classes "
                             f"are {', '.join(self.class_names[1:])}. Add it to class_names.")
        if not names:
            return np.zeros((info["height"], info["width"], 0), bool), np.zeros(0, np.int32)
        class_ids = [self.map_source_class_id(f"{self.SOURCE}.{name}") for name in names]
        return masks if isinstance(masks, np.ndarray) else np.stack(masks, axis=-1), np.array(class_ids, np.int32)

    def image_reference(self, image_id):
        """The image's file."""
        info = image_info_of(self, image_id)
        return str(info["path"]) if info["source"] == self.SOURCE else super().image_reference(image_id)


class LeftOut:
    """What a loader does not use: whole files, parts of files, and classes. Logged in one line a file."""

    def __init__(self):
        self._files, self._parts, self._classes = {}, {}, Counter()

    def add_file(self, path, reason):
        """Note that the whole file was left out; `reason` is a sentence with what to do."""
        self._files[str(path)] = str(reason)

    def add_part(self, path, part, reason):
        """Note that `part` of a file (text such as 'shape 3 ("cat")') was left out, and why."""
        self._parts.setdefault(str(path), []).append(f"{part}: {reason}")

    def without_strangers(self, objects, wanted):
        """Those of `objects`, tuples that begin with a class name, whose class is `wanted`; notes the others."""
        self._classes.update(name for name, *_ in objects if name not in wanted)
        return [entry for entry in objects if entry[0] in wanted]

    def lines(self):
        """One line a file."""
        for path, reason in self._files.items():
            yield f"{path}: left out. {reason}"
        for path, parts in self._parts.items():
            shown = "; ".join(parts[:_PARTS_SHOWN]) + ("; ..." if len(parts) > _PARTS_SHOWN else "")
            yield f"{path}: left out {len(parts)} of its annotations: {shown}. Correct them in the file."

    def log(self):
        """Warn of everything; of many files the first are named."""
        lines = list(self.lines())
        for line in lines[:_FILES_SHOWN]:
            logger.warning(line)
        if len(lines) > _FILES_SHOWN:
            logger.warning(f"... and {len(lines) - _FILES_SHOWN} more files with something left out.")
        if self._classes:
            named = ", ".join(f"{name} ({count})" for name, count in sorted(self._classes.items()))
            logger.warning(f"Left out the objects of classes that class_names does not have: {named}.")


def wanted_names(class_names):
    """`class_names` as a list without a leading "BG". Raises ValueError for a text or a name given twice."""
    if isinstance(class_names, str):
        raise ValueError(f"class_names must be a list of names, got the text {class_names!r}: write "
                         f"[{class_names!r}].")
    names = list(class_names)
    names = names[1:] if names[:1] == ["BG"] else names
    if len(set(names)) < len(names):
        raise ValueError(f"class_names has a name twice: {names}. Leave one out.")
    return names


def require_images(dataset, before, where, left_out):
    """Log what was left out; raise ValueError if the dataset still has no more than `before` images."""
    left_out.log()
    if len(dataset.image_info) == before:
        first = next(left_out.lines(), "there are none.")
        raise ValueError(f"{where} gave no image that can be used. {first}")


def warn_of_cuts(dataset, before, where):
    """Log in one line which objects of the images from position `before` on reach out of their image."""
    cut = []
    for image_id, info in enumerate(dataset.image_info[before:], start=before):
        over = beyond_borders(dataset.annotated_boxes(image_id), (info["height"], info["width"]))
        cut += [f"object {number} of {image_label(dataset, image_id)}" for number in np.flatnonzero(over)]
    if cut:
        logger.warning(f"{where}: {len(cut)} objects reach out of their image, first {cut[0]}. What is outside is cut "
                       "off, and what lies wholly outside is left out. validate() names all such images.")


def folder_of(path, what):
    """`path` as a `Path`. Raises FileNotFoundError, naming it as `what`, unless it is a folder."""
    path = Path(path)
    if not path.is_dir():
        raise FileNotFoundError(f"The folder {what} = {str(path)!r} does not exist. Correct the path.")
    return path


def files_by_stem(folder, suffixes, image_ids=None):
    """Files of a folder by name without suffix, sorted: {stem: Path}.

    Args:
        folder: `Path`.
        suffixes: in lower case, with the dot, the preferred one first.
        image_ids: stems that must be there; None means all that are.

    Raises:
        FileNotFoundError: one of `image_ids`, or any file at all, is missing.
    """
    ranks = {suffix: rank for rank, suffix in enumerate(suffixes)}
    found = [path for path in folder.iterdir() if path.suffix.lower() in ranks and not path.name.startswith(".")]
    found.sort(key=lambda path: (path.stem, -ranks[path.suffix.lower()]))
    files = {path.stem: path for path in found}
    if not files:
        raise FileNotFoundError(f"{folder} has no file that ends in {', '.join(suffixes)}. Correct the path.")
    if image_ids is None:
        return files
    return {stem: files[stem] for stem in known_ids(image_ids, files, folder)}


def known_ids(image_ids, found, folder):
    """`image_ids` as a list of texts. Raises FileNotFoundError unless all of them are in `found`."""
    wanted = list(dict.fromkeys(str(image_id) for image_id in image_ids))
    missing = [image_id for image_id in wanted if image_id not in found]
    if missing:
        raise FileNotFoundError(f"{folder} has nothing for {len(missing)} of the {len(wanted)} image_ids, first "
                                f"{missing[0]!r}. It has {', '.join(list(found)[:3])}, ...: give names without "
                                "the ending.")
    return wanted


def find_image(folder, names):
    """Path of the first of `names` that lies in `folder`, with or without the folders it names; None if none.

    Annotations travel between machines: backslashes count as slashes, and a folder that does not exist here
    is left off.
    """
    for name in names:
        name = str(name).replace("\\", "/")
        for candidate in (folder / name, folder / name.rsplit("/", 1)[-1]):
            if candidate.is_file():
                return candidate
    return None


def image_paths(folder, names, path):
    """Paths of the files `names` of the annotation file `path`, as a list of text.

    Raises:
        FileNotFoundError: the folder or some of the files do not exist.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"Image folder {folder} does not exist: correct images_dir.")
    # One look at the folder is much faster than one at each of its files.
    present = {entry.name for entry in os.scandir(folder)}
    paths = [folder / name if name in present else find_image(folder, [name]) for name in names]
    missing = [name for name, found in zip(names, paths, strict=True) if found is None]
    if missing:
        raise FileNotFoundError(f"{len(missing)} of the {len(names)} images in {path} are not in {folder}, "
                                f"first {missing[0]}: complete the folder or take them out of the file.")
    return [str(found) for found in paths]
