"""Annotations of the VGG Image Annotator (VIA)."""

from pathlib import Path

import numpy as np

from ..image_header import read_header
from ..report import image_info_of, logger
from .base import FormatDataset, image_paths, wanted_names, warn_of_cuts
from .via_annotations import read_via, region_classes
from .via_shapes import shape_box, shape_mask


class ViaDataset(FormatDataset):
    """Images and objects of JSON files that VIA 1 or 2 exported, or of project files that VIA 2 saved.

        dataset = ViaDataset()
        dataset.load_via("via_region_data.json", images_dir="images", class_attribute="name")
        dataset.prepare()

    Every shape becomes a mask: polygon, rectangle, circle and ellipse their inside, a polyline a line one pixel wide
    and a point one pixel. What lies outside the image is cut off. Each region is one object of one class.
    """

    SOURCE = "via"

    def load_via(self, annotations, images_dir=None, class_attribute=None, class_names=None, default_class="object",
                 keep_empty=False):
        """Add the images and classes of an annotation file. Call it again for further files.

        Args:
            annotations: the JSON file.
            images_dir: folder of the images; None means the folder of the JSON file. Folders that file names start
                with are left off where they do not exist.
            class_attribute: the region attribute that holds the class: a text, a choice of a list, or ticked boxes.
                None means the only one that the regions have; False means that every region is `default_class`.
            class_names: names of the classes in the order of their class ids from 1 on; a leading "BG" is passed
                over. None means those that the file has, sorted. Give it where training and validation files might
                not have the same ones.
            default_class: the class of all regions where no region has any attribute.
            keep_empty: whether images without regions are added, as images without objects; otherwise they count as
                not annotated yet and are passed over.

        Raises:
            FileNotFoundError: the file, the folder or images are missing.
            ValueError: malformed annotations, an unreadable image, an unknown class or no image at all; the text
                says where.
        """
        entries = read_via(annotations)
        if not keep_empty:
            entries = [(name, regions) for name, regions in entries if regions]
        if not entries:
            raise ValueError(f"{annotations} has no image with a region. Annotate some in VIA and export again.")
        known = None if class_names is None else wanted_names(class_names)
        every_region = [region for _, regions in entries for region in regions]
        before = len(self.image_info)
        names = region_classes(annotations, every_region, class_attribute, default_class, known)
        self.add_named_classes(set(names), class_names)
        self._add_images(annotations, images_dir, entries, iter(names))
        warn_of_cuts(self, before, annotations)

    def _add_images(self, annotations, images_dir, entries, names):
        """Add the images of `entries` (see `read_via`); `names` iterates over the classes of all their regions."""
        folder = Path(annotations).parent if images_dir is None else images_dir
        paths = image_paths(folder, [name for name, _ in entries], annotations)
        turned = []
        for (file_name, regions), path in zip(entries, paths, strict=True):
            header = read_header(path, f"{annotations}: {file_name}")
            if header.orientation != 1:
                turned.append(path)
            objects = [(region.shape, next(names)) for region in regions]
            self.add_image(self.SOURCE, file_name, path, height=header.height, width=header.width, objects=objects)
        if turned:
            logger.warning(
                f"{annotations}: {len(turned)} images have a camera's orientation tag, first {turned[0]}. Browsers "
                "since 2020 show them turned, here they are not. If the masks do not fit, turn the files themselves."
            )

    def objects(self, info, label):
        """Masks and class names of an image's regions; see `FormatDataset`."""
        size = info["height"], info["width"]
        return [shape_mask(shape, *size) for shape, _ in info["objects"]], [name for _, name in info["objects"]]

    def annotated_boxes(self, image_id):
        """Boxes of the shapes before they are cut off at the border; see `Dataset.annotated_boxes`."""
        info = image_info_of(self, image_id)
        if info["source"] != self.SOURCE:
            return super().annotated_boxes(image_id)
        return np.array([shape_box(shape) for shape, _ in info["objects"]], np.float64).reshape(-1, 4)
