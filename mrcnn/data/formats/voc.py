"""Pascal VOC: boxes in XML files, and masks where there are any."""

import numpy as np

from ..image_header import read_header
from ..regions import rectangle_mask
from ..report import image_info_of, warn_once
from .base import (
    IMAGE_SUFFIXES,
    FormatDataset,
    LeftOut,
    find_image,
    folder_of,
    known_ids,
    require_images,
    warn_of_cuts,
)
from .label_files import read_labels
from .voc_masks import classes_by_box, classes_by_pixels, masks_in_boxes, object_masks_of, read_class_numbers
from .voc_xml import VocFile, read_voc_xml


class VocDataset(FormatDataset):
    """Images and objects in the layout of Pascal VOC.

        dataset = VocDataset()
        dataset.load_voc("VOC2012", subset="train")
        dataset.prepare()

    An image's masks come from its `SegmentationObject` PNG; without one, from the pixels of its `SegmentationClass`
    PNG inside the boxes of its XML file; without that, each box is filled.
    """

    SOURCE = "voc"

    def load_voc(self, dataset_dir, subset=None, class_names=None, annotations_dir="Annotations",
                 images_dir="JPEGImages", image_ids=None):
        """Add the images of a folder. Call it again for further folders.

        Args:
            dataset_dir: folder that holds the others.
            subset: name of a list of images, such as "train", in `ImageSets/Segmentation` or, where masks or that
                list are missing, in `ImageSets/Main`. None means all images with an XML file or a
                SegmentationObject PNG.
            class_names: names of the classes in the order of their class ids from 1 on; a leading "BG" is passed
                over, and objects of other classes are left out. None means all that were found, sorted. Give it
                where training and validation images might not have the same classes.
            annotations_dir, images_dir: folders of XML files and of images within `dataset_dir`.
            image_ids: names of the images to use, without ending, instead of `subset`.

        Raises:
            FileNotFoundError: a folder, the list or one of `image_ids` is missing.
            ValueError: no image can be used. Single files and objects that cannot be used are logged, in one line a
                file.
        """
        root = folder_of(dataset_dir, "dataset_dir")
        images_dir = folder_of(root / images_dir, "images_dir")
        files = _files_by_stem(root, root / annotations_dir)
        if subset is not None:
            image_ids = _read_subset(root, subset)
        stems = list(files) if image_ids is None else known_ids(image_ids, files, root)
        class_numbers = read_class_numbers(root)
        left_out, before, entries = LeftOut(), len(self.image_info), {}
        for stem in stems:
            try:
                entries[stem] = _read_entry(stem, files[stem], images_dir, left_out)
            except ValueError as error:
                left_out.add_file(next(iter(files[stem].values())), error)
        found = {name for entry in entries.values() for name, _ in entry["objects"]}
        if not all("xml" in files[stem] for stem in entries):
            found |= set(class_numbers.values())
        wanted = self.add_named_classes(found, class_names)
        for stem, entry in entries.items():
            left_out.without_strangers(entry["objects"], wanted)
            self.add_image(self.SOURCE, image_id=stem, class_numbers=class_numbers, **entry)
        require_images(self, before, dataset_dir, left_out)
        warn_of_cuts(self, before, dataset_dir)

    def objects(self, info, label):
        """See `FormatDataset.objects`."""
        names = [name for name, _ in info["objects"]]
        if "SegmentationObject" in info["labels"]:
            masks, names = self._segmented(info, label)
        elif "SegmentationClass" in info["labels"]:
            masks = masks_in_boxes(_read_labels(info, "SegmentationClass", label), info["objects"],
                                   info["class_numbers"])
        else:
            masks = _filled_boxes(info)
        keep = [index for index, name in enumerate(names) if f"{self.SOURCE}.{name}" in self.class_from_source_map]
        return masks[:, :, keep], [names[index] for index in keep]

    def _segmented(self, info, label):
        """Masks bool [H, W, N] and N class names, None where none fits, by the SegmentationObject image."""
        masks, values = object_masks_of(_read_labels(info, "SegmentationObject", label))
        if info["objects"] or "SegmentationClass" not in info["labels"]:
            names = classes_by_box(masks, values, info["objects"])
        else:
            names = classes_by_pixels(masks, _read_labels(info, "SegmentationClass", label), info["class_numbers"])
        classless = [value for value, name in zip(values, names, strict=True) if name is None]
        if classless:
            warn_once(self, (label, "no class"), f"{label}: left out the objects {classless[:5]} of "
                      f"{info['labels']['SegmentationObject']}, which no class fits. Correct their boxes in the XML "
                      "file, or their numbers in SegmentationClass.")
        return masks, names

    def annotated_boxes(self, image_id):
        """See `Dataset.annotated_boxes`."""
        info = image_info_of(self, image_id)
        if info["source"] != self.SOURCE:
            return super().annotated_boxes(image_id)
        return np.array([box for _, box in info["objects"]], np.float64).reshape(-1, 4)


def _read_subset(root, subset):
    """Names of the images of a list in ImageSets."""
    folders = ("Segmentation", "Main") if (root / "SegmentationObject").is_dir() else ("Main", "Segmentation")
    for folder in folders:
        path = root / "ImageSets" / folder / f"{subset}.txt"
        if path.is_file():
            lines = path.read_text(encoding="utf-8-sig").splitlines()
            return [line.split()[0] for line in lines if line.strip()]
    raise FileNotFoundError(f"{root / 'ImageSets'} has no list {subset}.txt in Main or Segmentation. Correct subset, "
                            "or name images as image_ids.")


def _files_by_stem(root, annotations_dir):
    """What there is for each image: {stem: {"xml" or name of a folder: Path}}, sorted by stem.

    Raises:
        FileNotFoundError: there is nothing at all.
    """
    files = {}
    folders = {"xml": (annotations_dir, ".xml"), "SegmentationObject": (root / "SegmentationObject", ".png"),
               "SegmentationClass": (root / "SegmentationClass", ".png")}
    for kind, (folder, suffix) in folders.items():
        for path in sorted(folder.glob(f"*{suffix}")):
            files.setdefault(path.stem, {})[kind] = path
    files = {stem: found for stem, found in sorted(files.items()) if "xml" in found or "SegmentationObject" in found}
    if not files:
        raise FileNotFoundError(f"{annotations_dir} has no XML file and {root / 'SegmentationObject'} no PNG. Correct "
                                "dataset_dir or annotations_dir.")
    return files


def _read_entry(stem, files, images_dir, left_out):
    """What `add_image` needs to know of an image: path, height, width, objects, labels.

    Raises:
        ValueError: the image cannot be used; does not name its XML file.
    """
    xml = VocFile("", None, [])
    if "xml" in files:
        xml = read_voc_xml(files["xml"], lambda part, reason: left_out.add_part(files["xml"], part, reason))
    elif "SegmentationClass" not in files:
        raise ValueError("It has neither an XML file nor a SegmentationClass PNG that would tell its objects' classes. "
                         "Add one of them.")
    image = find_image(images_dir, [stem + suffix for suffix in IMAGE_SUFFIXES] + [xml.filename])
    if image is None:
        raise ValueError(f"{images_dir} has no image {stem!r}. Put it there, or correct images_dir.")
    header = read_header(image, stem)
    size = (header.height, header.width)
    if xml.size not in (None, size):
        turned = " It has a camera's orientation tag: turn the file itself." if header.orientation > 1 else ""
        raise ValueError(f"Its <size> is {xml.size} (height, width), but {image} has {size} pixels. Correct it, or put "
                         f"the annotated image back.{turned}")
    labels = {kind: str(path) for kind, path in files.items() if kind != "xml"}
    return {"path": str(image), "height": header.height, "width": header.width, "objects": xml.objects,
            "labels": labels}


def _filled_boxes(info):
    masks = np.zeros((info["height"], info["width"], len(info["objects"])), bool)
    for index, (_, (y1, x1, y2, x2)) in enumerate(info["objects"]):
        masks[:, :, index] = rectangle_mask(x1, y1, x2 - x1, y2 - y1, masks.shape)
    return masks


def _read_labels(info, kind, label):
    """Numbers [H, W] of one of an image's label images. Raises ValueError if it has another size."""
    labels = read_labels(info["labels"][kind], label)
    if labels.shape != (info["height"], info["width"]):
        raise ValueError(f"{label} has (height, width) = {(info['height'], info['width'])}, its {kind} "
                         f"{info['labels'][kind]!r} {labels.shape}. Export it at the size of the image.")
    return labels
