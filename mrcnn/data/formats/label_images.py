"""Images whose objects lie in a second image: each number in it is one object."""

from ..image_header import read_header
from .base import (
    IMAGE_SUFFIXES,
    FormatDataset,
    LeftOut,
    files_by_stem,
    folder_of,
    known_ids,
    require_images,
    wanted_names,
)
from .label_files import object_masks, object_values, read_labels

LABEL_SUFFIXES = (".png", ".tif", ".tiff", ".bmp", ".gif")


class LabelImageDataset(FormatDataset):
    """Images with label images of the same name: 0 is background, each other number one object.

        dataset = LabelImageDataset()
        dataset.load_label_images("images", "labels", classes="cell")
        dataset.prepare()

    Label images are 8 or 16 bit PNG or TIFF, grey or with a palette; see `read_labels`.
    """

    SOURCE = "labels"

    def load_label_images(self, images_dir, labels_dir, classes="object", class_names=None, label_suffix="",
                          image_ids=None):
        """Add the images of a folder that have a label image.

        Args:
            images_dir, labels_dir: folders; may be the same if `label_suffix` tells the files apart.
            classes: which class an object is of. A text: all are of this class. A dictionary from number to
                name, where a name of None means that the number is no object. A function of (image's name,
                number) that returns the name or None.
            class_names: names in the order of their class ids from 1 on. None means those of `classes` in
                their order; needed if that is a function.
            label_suffix: what a label image's name has behind the image's, such as "_masks".
            image_ids: names of the images to use, without ending; None means all.

        Raises:
            FileNotFoundError: a folder, or one of `image_ids`, is missing.
            ValueError: no image can be used, or classes without names. Single files that cannot be used are
                logged in one line each.
        """
        names = _class_names(classes, class_names)
        labels = files_by_stem(folder_of(labels_dir, "labels_dir"), LABEL_SUFFIXES)
        images = files_by_stem(folder_of(images_dir, "images_dir"), IMAGE_SUFFIXES)
        if label_suffix:
            images = {stem: path for stem, path in images.items() if not stem.endswith(label_suffix)}
        if image_ids is not None:
            images = {stem: images[stem] for stem in known_ids(image_ids, images, images_dir)}
        self.add_named_classes([], names)
        before, left_out = len(self.image_info), LeftOut()
        for stem, path in images.items():
            label_path = labels.get(stem + label_suffix)
            if label_path is None:
                left_out.add_file(path, f"{labels_dir} has no label image {stem + label_suffix!r}. Add it, all zeros "
                                        "if the image has no objects.")
                continue
            try:
                self.add_labelled_image(stem, path, label_path, classes)
            except ValueError as error:
                left_out.add_file(path, error)
        require_images(self, before, images_dir, left_out)

    def add_labelled_image(self, name, path, label_path, classes):
        """Add one image; arguments as in `load_label_images`.

        Raises:
            ValueError: a file is no image, or the two differ in size.
        """
        header, labels = read_header(path, name), read_header(label_path, name)
        if (header.height, header.width) != (labels.height, labels.width):
            raise ValueError(f"It has {header.height} x {header.width} pixels (height x width), its label image "
                             f"{label_path} has {labels.height} x {labels.width}. Export the label image at the "
                             "size of the image.")
        self.add_image(self.SOURCE, image_id=name, path=str(path), height=header.height, width=header.width,
                       label_path=str(label_path), classes=classes)

    def objects(self, info, label):
        """See `FormatDataset.objects`."""
        labels = read_labels(info["label_path"], label)
        named = [(value, _class_of(info, value, label)) for value in object_values(labels)]
        named = [(value, name) for value, name in named if name is not None]
        return object_masks(labels, [value for value, _ in named]), [name for _, name in named]


def _class_names(classes, class_names):
    """Names in the order of their class ids; see `load_label_images`."""
    if callable(classes):
        if class_names is None:
            raise ValueError("classes is a function, whose names cannot be foreseen: pass them as class_names=[...].")
        return wanted_names(class_names)
    given = [classes] if isinstance(classes, str) else list(classes.values())
    given = list(dict.fromkeys(name for name in given if name is not None))
    if class_names is None:
        return given
    names = wanted_names(class_names)
    if not set(given) <= set(names):
        raise ValueError(f"classes has names that class_names lacks: {sorted(set(given) - set(names))}. Give numbers "
                         "that are no object the name None.")
    return names


def _class_of(info, value, label):
    """Name of the class of the object with this number, None if it is no object."""
    classes, label_path = info["classes"], info["label_path"]
    if isinstance(classes, str):
        return classes
    if isinstance(classes, dict):
        if value not in classes:
            raise ValueError(f"{label}: its label image {label_path!r} has the number {value}, which has no class; "
                             f"these have one: {list(classes)[:10]}. Add it to `classes`, with None if it is no "
                             "object.")
        return classes[value]
    return classes(info["id"], value)
