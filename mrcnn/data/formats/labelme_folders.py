"""Folders that labelme's old command `labelme_json_to_dataset` wrote."""

import json
import re

from .base import LeftOut, folder_of, known_ids, require_images
from .label_images import LabelImageDataset


class LabelmeFolderDataset(LabelImageDataset):
    """Folders with `img.png`, `label.png` and the labels' names in `label_names.txt` or `info.yaml`.

        dataset = LabelmeFolderDataset()
        dataset.load_labelme_folders("labelme_json")
        dataset.prepare()

    Each label is one object. Its class is the label without a number at its end, as objects were told apart by
    calling them "cat1" and "cat2".
    """

    SOURCE = "labelme_folders"

    def load_labelme_folders(self, dataset_dir, class_names=None, image_ids=None):
        """Add the images of a folder of folders.

        Args:
            dataset_dir: folder that holds one folder for each image.
            class_names: names of the classes in the order of their class ids from 1 on; a label that is one of
                them keeps its number. Objects of other classes are left out. None means all found, sorted.
            image_ids: names of the folders to use; None means all.

        Raises:
            FileNotFoundError: the folder, or one of `image_ids`, is missing.
            ValueError: no image can be used. Single folders that cannot be used are logged in one line each.
        """
        root = folder_of(dataset_dir, "dataset_dir")
        folders = {path.name: path for path in sorted(root.iterdir()) if (path / "label.png").is_file()}
        if image_ids is not None:
            folders = {name: folders[name] for name in known_ids(image_ids, folders, root)}
        left_out, labels = LeftOut(), {}
        for name, folder in folders.items():
            try:
                labels[name] = [(_class_of(label, class_names or ()), value)
                                for value, label in enumerate(_label_names(folder)) if value > 0]
            except ValueError as error:
                left_out.add_file(folder, error)
        wanted = self.add_named_classes({label for found in labels.values() for label, _ in found}, class_names)
        before = len(self.image_info)
        for name, found in labels.items():
            classes = dict.fromkeys(value for _, value in found)
            classes |= {value: label for label, value in left_out.without_strangers(found, wanted)}
            try:
                self.add_labelled_image(name, folders[name] / "img.png", folders[name] / "label.png", classes)
            except (FileNotFoundError, ValueError) as error:
                left_out.add_file(folders[name], error)
        require_images(self, before, dataset_dir, left_out)


def _class_of(label, class_names):
    return label if label in class_names else re.sub(r"[\s_-]*\d+$", "", label) or label


def _label_names(folder):
    """Names of the numbers in label.png, from 0 on. Raises ValueError if they are not there."""
    for name, read in (("label_names.txt", str.splitlines), ("info.yaml", _yaml_list)):
        path = folder / name
        if path.is_file():
            return read(path.read_text(encoding="utf-8-sig"))
    raise ValueError("It has neither label_names.txt nor info.yaml. Export it again.")


def _yaml_list(text):
    """The one list of texts in `text`, as labelme wrote it: an item a line."""
    items = re.findall(r"^\s*- (.*?)\s*$", text, re.MULTILINE)
    return [json.loads(item) if item.startswith('"') else item.strip("'") for item in items]
