"""One folder an image, with one mask file an object: the layout of the Data Science Bowl 2018."""

import re

import numpy as np

from ..image_header import read_header
from .base import IMAGE_SUFFIXES, FormatDataset, LeftOut, folder_of, known_ids, require_images
from .label_files import read_labels

MASK_SUFFIXES = (".png", ".tif", ".tiff", ".bmp", ".gif")


class MaskFolderDataset(FormatDataset):
    """Images in `<name>/images/`, each object's mask a file in `<name>/masks/`, white on black.

        dataset = MaskFolderDataset()
        dataset.load_mask_folders("stage1_train", class_name="nucleus")
        dataset.prepare()
    """

    SOURCE = "masks"

    def load_mask_folders(self, dataset_dir, class_name="object", class_pattern=None, class_names=None,
                          image_ids=None):
        """Add the images of a folder of folders.

        Args:
            dataset_dir: folder that holds one folder for each image.
            class_name: the class of all objects.
            class_pattern: regular expression whose first group finds the class in the name (without ending) of
                a mask file, such as "^([a-z]+)_" for "cat_1.png"; to be used instead of `class_name`.
            class_names: with `class_pattern`, names in the order of their class ids from 1 on; mask files of
                other classes are left out. None means all that were found, sorted.
            image_ids: names of the folders to use; None means all.

        Raises:
            FileNotFoundError: the folder, or one of `image_ids`, is missing.
            ValueError: no image can be used. Single folders and files that cannot be used are logged in one line
                each.
        """
        _check_pattern(class_pattern)
        root = folder_of(dataset_dir, "dataset_dir")
        folders = {path.name: path for path in sorted(root.iterdir()) if path.is_dir() and path.name[0] != "."}
        if image_ids is not None:
            folders = {name: folders[name] for name in known_ids(image_ids, folders, root)}
        left_out, found = LeftOut(), []
        for folder in folders.values():
            try:
                image = _only_image(folder)
                masks = _mask_files(folder)
                header = read_header(image, folder.name)
            except ValueError as error:
                left_out.add_file(folder, error)
                continue
            found.append((folder.name, image, header, _named(masks, class_name, class_pattern, left_out)))
        wanted = self.add_named_classes(
            {name for *_, named in found for name, _ in named}, class_names if class_pattern else [class_name])
        before = len(self.image_info)
        for image_id, image, header, named in found:
            self.add_image(self.SOURCE, image_id=image_id, path=str(image), height=header.height, width=header.width,
                           masks=left_out.without_strangers(named, wanted))
        require_images(self, before, root, left_out)

    def objects(self, info, label):
        """See `FormatDataset.objects`."""
        size = (info["height"], info["width"])
        masks = np.zeros((len(info["masks"]), *size), bool)
        for mask, (_, path) in zip(masks, info["masks"], strict=True):
            pixels = read_labels(path, label)
            if pixels.shape != size:
                raise ValueError(f"{label} has (height, width) = {size}, its mask file {path!r} {pixels.shape}. Export "
                                 "the mask at the size of the image.")
            mask[:] = pixels != 0
        return np.moveaxis(masks, 0, -1), [name for name, _ in info["masks"]]


def _only_image(folder):
    """The one image file in `folder`/images. Raises ValueError if there is none, or several."""
    files = _files(folder / "images", IMAGE_SUFFIXES)
    if len(files) != 1:
        raise ValueError(f"Its folder 'images' has {len(files)} image files, expected one. Add it, or give each image "
                         "a folder of its own.")
    return files[0]


def _mask_files(folder):
    """The files in `folder`/masks. Raises ValueError if there is no such folder, or JPEG in it."""
    if not (folder / "masks").is_dir():
        raise ValueError("It has no folder 'masks'. Add it, empty if the image has no objects.")
    blurred = _files(folder / "masks", (".jpg", ".jpeg"))
    if blurred:
        raise ValueError(f"Its mask {blurred[0].name} is a JPEG, which blurs masks. Export PNG or TIFF.")
    return _files(folder / "masks", MASK_SUFFIXES)


def _files(folder, suffixes):
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in suffixes and path.name[0] != ".")


def _named(paths, class_name, pattern, left_out):
    """(class, path) of each mask file; those without a class in their name go to `left_out`."""
    if pattern is None:
        return [(class_name, str(path)) for path in paths]
    found = [(re.search(pattern, path.stem), path) for path in paths]
    for match, path in found:
        if match is None or not match.group(1):
            left_out.add_part(path.parent, path.name, "class_pattern finds no class in its name")
    return [(match.group(1), str(path)) for match, path in found if match and match.group(1)]


def _check_pattern(pattern):
    """Raise ValueError unless `pattern` is None or a regular expression with a group."""
    try:
        groups = pattern is None or re.compile(pattern).groups
    except re.error as error:
        raise ValueError(f"class_pattern = {pattern!r} is no regular expression: {error}.") from error
    if not groups:
        raise ValueError(f"class_pattern = {pattern!r} has no group: put what is the class in parentheses, as in "
                         "'^([a-z]+)_'.")
