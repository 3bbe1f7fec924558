"""Annotations of labelme."""

import json

import numpy as np

from ..image_header import read_header, upright
from ..read_image import as_three_channels
from ..report import image_info_of
from .base import (
    IMAGE_SUFFIXES,
    FormatDataset,
    LeftOut,
    files_by_stem,
    find_image,
    folder_of,
    require_images,
    warn_of_cuts,
)
from .labelme_shapes import decode_image, object_box, object_mask, read_objects


class LabelmeDataset(FormatDataset):
    """Images and objects of the JSON files that labelme saves, one beside each image.

        dataset = LabelmeDataset()
        dataset.load_labelme("folder")
        dataset.prepare()

    Every type of shape becomes a mask; lines are 10 pixels wide and points discs of radius 5, as in labelme's own
    conversions. Shapes with the same label and `group_id` are one object. What lies outside the image is cut off.
    Images are turned as their camera's orientation tag says, as labelme shows them.
    """

    SOURCE = "labelme"

    def load_labelme(self, dataset_dir, images_dir=None, class_names=None, image_ids=None):
        """Add the images of a folder that have a JSON file. Call it again for further folders.

        Args:
            dataset_dir: folder of the JSON files.
            images_dir: folder to look for the images in; None means where the JSON files say, or beside them.
                An image that is nowhere is taken out of its JSON file, if labelme saved it there.
            class_names: names of the classes in the order of their class ids from 1 on; a leading "BG" is passed
                over, and shapes of other classes are left out. None means all that were found, sorted. Give it
                where training and validation folders might not have the same classes.
            image_ids: names of the JSON files to use, without ending; None means all.

        Raises:
            FileNotFoundError: a folder, or one of `image_ids`, is missing.
            ValueError: no image can be used. Single files and shapes that cannot be used are logged, in one line a
                file.
        """
        files = files_by_stem(folder_of(dataset_dir, "dataset_dir"), [".json"], image_ids)
        images_dir = images_dir and folder_of(images_dir, "images_dir")
        left_out, before = LeftOut(), len(self.image_info)
        entries = {}
        for stem, path in files.items():
            try:
                entries[stem] = _read_file(path, images_dir, left_out)
            except ValueError as error:
                left_out.add_file(path, error)
        found = {name for entry in entries.values() for name, _ in entry["objects"]}
        wanted = self.add_named_classes(found, class_names)
        for stem, entry in entries.items():
            entry["objects"] = left_out.without_strangers(entry["objects"], wanted)
            self.add_image(self.SOURCE, image_id=stem, annotation=str(files[stem]), **entry)
        require_images(self, before, dataset_dir, left_out)
        warn_of_cuts(self, before, dataset_dir)

    def load_image(self, image_id):
        """The image [H, W, 3] as labelme shows it."""
        info = image_info_of(self, image_id)
        if info["source"] != self.SOURCE:
            return super().load_image(image_id)
        if info["path"] == info["annotation"]:
            return _embedded_image(_read_json(info["path"]))
        return upright(super().load_image(image_id), info["orientation"])

    def objects(self, info, label):
        """See `FormatDataset.objects`."""
        masks = [object_mask(shapes, info["height"], info["width"]) for _, shapes in info["objects"]]
        return masks, [name for name, _ in info["objects"]]

    def annotated_boxes(self, image_id):
        """See `Dataset.annotated_boxes`."""
        info = image_info_of(self, image_id)
        if info["source"] != self.SOURCE:
            return super().annotated_boxes(image_id)
        return np.array([object_box(shapes) for _, shapes in info["objects"]], np.float64).reshape(-1, 4)


def _read_file(path, images_dir, left_out):
    """What `add_image` needs to know of a JSON file: path, height, width, orientation, objects.

    Raises:
        ValueError: the file is of no use; does not name it.
    """
    content = _read_json(path)
    image = _image_file(content, path, images_dir)
    if image is None:
        height, width = _embedded_image(content).shape[:2]
        place = {"path": str(path), "orientation": 1}
    else:
        header = read_header(image, path.stem)
        orientation = _orientation(header, content, image)
        height, width = header.upright_size if orientation > 1 else (header.height, header.width)
        place = {"path": str(image), "orientation": orientation}
    objects = read_objects(content["shapes"], lambda part, reason: left_out.add_part(path, part, reason))
    return {**place, "height": height, "width": width, "objects": objects}


def _read_json(path):
    try:
        with open(path, encoding="utf-8-sig") as file:
            content = json.load(file)
    except (OSError, ValueError) as error:
        raise ValueError(f"It cannot be read as JSON ({error}). Save it again in labelme.") from error
    if not isinstance(content, dict) or not isinstance(content.get("shapes"), list):
        raise ValueError("It has no list 'shapes', so it is not of labelme. Move it to another folder.")
    return content


def _image_file(content, path, images_dir):
    """Path of the image that a JSON file belongs to; None if it is nowhere but in the JSON file."""
    names = [content.get("imagePath") or ""] + [path.stem + suffix for suffix in IMAGE_SUFFIXES]
    found = images_dir and find_image(images_dir, names) or find_image(path.parent, names)
    if found is None and not content.get("imageData"):
        raise ValueError(f"Its image {content.get('imagePath')!r} does not exist, and the file does not hold it "
                         "either. Put the image beside the file, or name its folder as images_dir.")
    return found


def _embedded_image(content):
    try:
        return as_three_channels(decode_image(content["imageData"]))
    except Exception as error:
        # Base64 and every codec have their own exceptions.
        raise ValueError(f"Its imageData cannot be decoded ({type(error).__name__}: {error}). Put the image beside the "
                         "file.") from error


def _orientation(header, content, image):
    """The orientation (see `ImageHeader`) in which the image has the size that was annotated.

    Raises:
        ValueError: it has another size.
    """
    annotated = (content.get("imageHeight"), content.get("imageWidth"))
    if None in annotated or annotated == header.upright_size:
        return header.orientation
    if annotated == (header.height, header.width):
        return 1
    raise ValueError(f"It was made on an image of {annotated} pixels (height, width), but {image} has "
                     f"{header.upright_size}. Put the annotated image back, or scale the points.")
