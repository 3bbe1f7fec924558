"""Any data set in COCO's JSON format."""

from pathlib import Path

import numpy as np

from ..dataset import Dataset
from ..report import image_info_of, image_label, logger, warn_once
from .base import image_paths, wanted_names
from .coco_annotations import named_annotations, read_coco_json


class CocoDataset(Dataset):
    """Images and objects of files in COCO's format. Crowds have a negative class id.

        dataset = CocoDataset()
        dataset.load_coco_json("annotations.json", images_dir="images")
        dataset.prepare()

    Polygons of several parts, run lengths compressed or not, and crowds are understood. Classes and images keep
    COCO's ids in the source "coco". Files of keypoints give `keypoint_names`, `skeleton` and `load_keypoints`.
    """

    def load_coco_json(self, path, images_dir=None, class_names=None):
        """Add the images and classes of an annotation file. Call it again for further files.

        Args:
            path: the JSON file.
            images_dir: folder that the `file_name`s start from; None means the folder of the JSON file.
            class_names: names of the categories to keep, in the order of their class ids from 1 on; a leading
                "BG" is passed over. None keeps all, by ascending category id.

        Raises:
            FileNotFoundError: the file, the folder or images are missing.
            ValueError: malformed annotations, or class names that the file lacks; the text says where.
        """
        content, remarks = read_coco_json(path)
        if class_names is not None:
            content["categories"] = categories_named(content["categories"], class_names, path)
        else:
            content["categories"].sort(key=lambda category: (str(type(category["id"])), category["id"]))
        for remark in remarks:
            logger.warning(f"{path}: {remark}")
        self.add_coco(content, Path(path).parent if images_dir is None else images_dir, path)

    def add_coco(self, content, images_dir, path):
        """Add everything that `content` (see `read_coco_json`) holds, in its order.

        Annotations of other categories, or of other images, are passed over. `path` names the file in errors.
        """
        paths = image_paths(images_dir, [image["file_name"] for image in content["images"]], path)
        self._check_categories(content["categories"], path)
        for category in content["categories"]:
            self.add_class("coco", category["id"], category["name"])
            self._add_keypoint_names(category, path)
        annotations = {image["id"]: [] for image in content["images"]}
        wanted = {category["id"] for category in content["categories"]}
        for annotation in content["annotations"]:
            if annotation["category_id"] in wanted and annotation["image_id"] in annotations:
                annotations[annotation["image_id"]].append(annotation)
        for image, image_path in zip(content["images"], paths, strict=True):
            self.add_image("coco", image_id=image["id"], path=image_path, width=image["width"],
                           height=image["height"], annotations=annotations[image["id"]])

    def _check_categories(self, categories, path):
        """Raise ValueError where an earlier file gave one of the ids to another name."""
        known = {info["id"]: info["name"] for info in self.class_info if info["source"] == "coco"}
        for category in categories:
            name = known.get(category["id"], category["name"])
            if name != category["name"]:
                raise ValueError(f"{path} calls category {category['id']} {category['name']!r}, a file loaded before "
                                 f"calls it {name!r}. Number the categories alike in both files.")

    def _add_keypoint_names(self, category, path):
        """Take over a category's keypoints. Raises ValueError where another category has other ones."""
        names = tuple(category.get("keypoints", ()))
        if names and self.keypoint_names not in ((), names):
            raise ValueError(f"{path}: category {category['name']!r} has the keypoints {names}, one loaded before has "
                             f"{self.keypoint_names}. Load categories with the same keypoints.")
        if names:
            self.keypoint_names = names
            self.skeleton = tuple((start - 1, stop - 1) for start, stop in category.get("skeleton", ()))

    def load_image(self, image_id):
        """The image [H, W, 3]. Raises ValueError when its size is not the one in the annotations."""
        image, info = super().load_image(image_id), self.image_info[image_id]
        if info["source"] == "coco" and image.shape[:2] != (info["height"], info["width"]):
            raise ValueError(f"COCO image {info['id']} ({info['path']}) has height and width "
                             f"{image.shape[:2]}, its annotations say {(info['height'], info['width'])}: "
                             "replace one of the two.")
        return image

    def load_mask(self, image_id):
        """Masks bool [H, W, N] and class ids int32 [N], negative for crowds.

        Segmentations without a pixel in the image are left out, with one line in the log.
        """
        from pycocotools import mask as mask_utils

        info = image_info_of(self, image_id)
        if info["source"] != "coco":
            return super().load_mask(image_id)
        height, width, annotations = info["height"], info["width"], info["annotations"]
        if not annotations:
            return np.zeros((height, width, 0), bool), np.zeros(0, np.int32)
        masks = mask_utils.decode([self.annToRLE(a, height, width) for a in annotations])
        class_ids = np.array([self.map_source_class_id(f"coco.{a['category_id']}") for a in annotations],
                             np.int32)
        class_ids[[bool(a.get("iscrowd")) for a in annotations]] *= -1
        seen = masks.any(axis=(0, 1))
        if not seen.all():
            unseen = [annotations[index] for index in np.flatnonzero(~seen)]
            label = image_label(self, image_id)
            warn_once(self, (label, "no pixel"), f"{label}: left out {len(unseen)} annotations (ids "
                      f"{named_annotations(unseen)}) whose segmentation covers no pixel of the image: it encloses "
                      "nothing, or lies outside. Correct the file if they should count.")
        return masks[:, :, seen].astype(bool), class_ids[seen]

    def load_keypoints(self, image_id):
        """Keypoints float32 [N, K, (y, x, visibility)] of the objects of `load_mask`, zeros where there are none.

        Raises:
            ValueError: an annotation has another number of keypoints than its category.
        """
        from pycocotools import mask as mask_utils

        info = image_info_of(self, image_id)
        if info["source"] != "coco" or not self.keypoint_names:
            return super().load_keypoints(image_id)
        objects = [annotation for annotation in info["annotations"]
                   if mask_utils.area(self.annToRLE(annotation, info["height"], info["width"]))]
        keypoints = np.zeros((len(objects), len(self.keypoint_names), 3), np.float32)
        for row, annotation in zip(keypoints, objects, strict=True):
            numbers = np.asarray(annotation.get("keypoints", ()), np.float32)
            if numbers.size not in (0, row.size):
                raise ValueError(f"COCO image {info['id']}, annotation {annotation.get('id')}: {numbers.size} numbers "
                                 f"under 'keypoints', expected {row.size}: x, y and visibility of each of "
                                 f"{len(self.keypoint_names)} keypoints.")
            if numbers.size:
                row[:] = numbers.reshape(-1, 3)[:, [1, 0, 2]]
        return keypoints

    def annotated_boxes(self, image_id):
        """Boxes of the polygons before they are cut off at the border; see `Dataset.annotated_boxes`."""
        info = image_info_of(self, image_id)
        if info["source"] != "coco":
            return super().annotated_boxes(image_id)
        boxes = []
        for annotation in info["annotations"]:
            if isinstance(annotation["segmentation"], list):
                points = np.concatenate(annotation["segmentation"]).reshape(-1, 2)[:, ::-1]
                boxes.append([*points.min(axis=0), *points.max(axis=0)])
        return np.array(boxes, np.float64).reshape(-1, 4)

    def image_reference(self, image_id):
        """The image's file."""
        info = image_info_of(self, image_id)
        return str(info["path"]) if info["source"] == "coco" else super().image_reference(image_id)

    def annToRLE(self, ann, height, width):  # noqa: N802 - Matterport's name
        """The segmentation of an annotation, in any of COCO's three forms, as pycocotools' compressed RLE."""
        from pycocotools import mask as mask_utils

        segmentation = ann["segmentation"]
        if isinstance(segmentation, list):
            return mask_utils.merge(mask_utils.frPyObjects(segmentation, height, width))
        if [height, width] != list(segmentation["size"]):
            raise ValueError(f"Annotation {ann.get('id')}: its RLE has size {segmentation['size']}, the "
                             f"image {[height, width]}.")
        if isinstance(segmentation["counts"], list):
            return mask_utils.frPyObjects(segmentation, height, width)
        return segmentation

    def annToMask(self, ann, height, width):  # noqa: N802 - Matterport's name
        """The segmentation of an annotation as a mask uint8 [height, width] of 0 and 1."""
        from pycocotools import mask as mask_utils

        return mask_utils.decode(self.annToRLE(ann, height, width))


def categories_named(categories, class_names, path):
    """The categories of `class_names` in that order; see `load_coco_json`.

    Raises:
        ValueError: a name has no category, or several.
    """
    chosen = []
    for name in wanted_names(class_names):
        named = [category for category in categories if category["name"] == name]
        if len(named) != 1:
            raise ValueError(f"{path} has {len(named)} categories named {name!r}, expected one; it has "
                             f"{', '.join(str(category['name']) for category in categories)}. Correct class_names "
                             "or the file.")
        chosen += named
    return chosen
