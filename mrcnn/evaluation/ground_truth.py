"""From a Dataset and from results to COCO's layout: dictionaries ready for pycocotools or `json.dump`."""

import contextlib
import io
from types import SimpleNamespace

import numpy as np

from ..data.checks import checked_objects
from ..data.masks import extract_bboxes
from ..data.report import image_info_of, image_label


def build_ground_truth(dataset, image_ids=None):
    """The dataset's objects as a COCO instances dictionary.

    Image ids and category ids are the dataset's own (positions in `image_info` and `class_info`). Boxes
    enclose the masks; areas are mask areas. A negative class id from `load_mask` marks a crowd. What training
    leaves out, objects without a pixel or of class 0, is left out here too, with a line in the log. Keypoints are
    added where the dataset has any.

    Args:
        dataset: prepared Dataset.
        image_ids: ids of the images wanted; None means all.

    Returns:
        {"info", "images", "categories", "annotations"}: masks as compressed run lengths at the size of the
        image.

    Raises:
        IndexError: there is no such image.
        ValueError: `load_mask` returned something that cannot be; the text names image and cure.
    """
    images, annotations = [], []
    for image_id in dataset.image_ids if image_ids is None else image_ids:
        image_id = int(image_id)
        info = image_info_of(dataset, image_id)
        masks, class_ids, keypoints = load_objects(dataset, image_id)
        height, width = masks.shape[:2] if len(class_ids) else dataset.load_image(image_id).shape[:2]
        images.append({"id": image_id, "height": int(height), "width": int(width),
                       "file_name": str(info.get("path") or image_id)})
        annotations += _truth_annotations(image_id, masks, class_ids, keypoints, first_id=len(annotations) + 1)
    categories = [{"id": class_id, "name": name, "supercategory": ""}
                  for class_id, name in enumerate(dataset.class_names) if class_id > 0]
    return {"info": {}, "images": images, "categories": categories, "annotations": annotations}


def results_to_coco(result, image_id, category_ids=None, label=None):
    """One image's detections in the layout of COCO's result files.

    Args:
        result: one entry of `detect()`: rois [N, 4] pixels (y1, x1, y2, x2), class_ids [N], scores [N],
            and masks [H, W, N] and keypoints [N, K, (y, x)], if the model finds any.
        image_id: the id to write.
        category_ids: maps class ids to category ids, and names the classes to keep; None keeps class ids as
            they are.
        label: names the image in errors; None means by `image_id`.

    Returns:
        list of {"image_id", "category_id", "bbox" (x, y, width, height), "score"} and, with masks,
        "segmentation" (run lengths), with keypoints "keypoints" (x, y and its score of each in turn).
    """
    rois = np.asarray(result["rois"]).reshape(-1, 4)
    masks = np.asarray(result["masks"]) if "masks" in result else np.zeros((0, 0, len(rois)), bool)
    counts = {len(rois), len(result["class_ids"]), len(result["scores"]), masks.shape[-1]}
    if len(counts) != 1:
        raise ValueError(
            f"{label or f'image {image_id}'}: rois {rois.shape}, class_ids {np.shape(result['class_ids'])}, scores "
            f"{np.shape(result['scores'])} and masks {masks.shape} differ in their number: expected [N, 4], "
            "[N], [N] and [H, W, N]")
    shapes = [{"segmentation": mask} for mask in encode_masks(masks)] if "masks" in result else [{}] * len(rois)
    if "keypoints" in result:
        points = np.concatenate([result["keypoints"][..., ::-1], result["keypoint_scores"][..., None]], axis=-1)
        shapes = [{**shape, "keypoints": rows.ravel().tolist()}
                  for shape, rows in zip(shapes, points, strict=True)]
    rows = zip(rois, result["class_ids"], result["scores"], shapes, strict=True)
    annotations = []
    for roi, class_id, score, shape in rows:
        category_id = int(class_id) if category_ids is None else category_ids.get(int(class_id))
        if category_id is not None:
            annotations.append({"image_id": image_id, "category_id": category_id, "bbox": _xywh(roi),
                                "score": float(score), **shape})
    return annotations


def encode_masks(masks):
    """Compressed run lengths of masks [H, W, N]: list of {"size": [H, W], "counts": str}."""
    if masks.shape[-1] == 0:
        return []
    encoded = pycocotools().mask.encode(np.asfortranarray(_binary(masks), dtype=np.uint8))
    return [{"size": [int(side) for side in entry["size"]], "counts": entry["counts"].decode("ascii")}
            for entry in encoded]


def pycocotools():
    """The package, imported at first use."""
    try:
        import pycocotools
        import pycocotools.coco
        import pycocotools.cocoeval
        import pycocotools.mask
    except ImportError as error:
        raise ImportError("COCO evaluation needs pycocotools: pip install pycocotools") from error
    return pycocotools


def coco_index(instances):
    """pycocotools' COCO object over a dictionary in COCO's layout, made without its printed lines."""
    api = pycocotools().coco.COCO()
    api.dataset = instances
    with contextlib.redirect_stdout(io.StringIO()):
        api.createIndex()
    return api


class GroundTruth:
    """Index of the truth, and the way from the dataset's ids to those in the index.

    Attributes:
        api: pycocotools' COCO object.
        images: {dataset image id: image id in `api`}.
        categories: {class id: category id in `api`}, background and unknown classes left out.
        class_names: {class id: name}.

    Args:
        dataset: prepared Dataset.
        image_ids: list of image ids to evaluate.
        coco: COCO object with the official annotations of the same images; its ids are the source ids of the
            dataset (`image_info[i]["id"]`, `class_info[i]["id"]`). None builds the truth from `load_mask`.
    """

    def __init__(self, dataset, image_ids, coco=None):
        self.class_names = {i: name for i, name in enumerate(dataset.class_names) if i > 0}
        self._dataset = dataset
        if coco is None:
            self.api = coco_index(build_ground_truth(dataset, image_ids))
            self.images = {image_id: image_id for image_id in image_ids}
            self.categories = {class_id: class_id for class_id in self.class_names}
            return
        self.api = coco
        self.images = {image_id: dataset.image_info[image_id]["id"] for image_id in image_ids}
        unknown = [key for key in self.images.values() if key not in coco.imgs]
        if unknown:
            raise ValueError(f"coco= knows no image with the id {unknown[0]!r} ({len(unknown)} of "
                             f"{len(image_ids)} images): expected the ids that add_image was given")
        source_ids = {class_id: dataset.class_info[class_id]["id"] for class_id in self.class_names}
        self.categories = {class_id: key for class_id, key in source_ids.items() if key in coco.cats}
        if not self.categories:
            raise ValueError(f"coco= has none of the dataset's classes: its category ids are "
                             f"{list(coco.cats)}, the dataset's source ids {list(source_ids.values())}")

    @property
    def keypoint_sigmas(self):
        """How far apart annotators place each keypoint, in parts of the object's size: float [K].

        Those of the dataset, or COCO's for COCO's number of keypoints.

        Raises:
            ValueError: the dataset has no keypoints, or others than COCO's and no sigmas.
        """
        count, sigmas = len(self._dataset.keypoint_names), self._dataset.keypoint_sigmas
        if sigmas is None:
            sigmas = pycocotools().cocoeval.Params(iouType="keypoints").kpt_oks_sigmas
        if not count or len(sigmas) != count:
            raise ValueError(f"{type(self._dataset).__name__} has {count} keypoint_names and {len(sigmas)} "
                             "keypoint_sigmas (COCO's unless set): set a number for each keypoint, the spread of "
                             "annotators in parts of the object's size, 0.025 for a nose to 0.107 for a hip in COCO")
        return np.asarray(sigmas, float)

    def annotations(self, image_id, result):
        """Detections of one image as COCO results under the index's ids.

        Raises:
            ValueError: a class id that the dataset does not have, or masks that have not the size of the
                image.
        """
        label = image_label(self._dataset, image_id)
        strangers = set(np.asarray(result["class_ids"]).astype(int).tolist()) - set(self.class_names)
        if strangers:
            raise ValueError(f"{label}: detected class id {min(strangers)}, but the dataset has the "
                             f"classes 1 to {len(self.class_names)}. Model (NUM_CLASSES) and dataset "
                             "(add_class) must list the same classes")
        image = self.api.imgs[self.images[image_id]]
        expected = image["height"], image["width"]
        shape = np.shape(result["masks"])[:2] if "masks" in result else expected
        if len(result["class_ids"]) and shape != expected:
            raise ValueError(f"{label}: detected masks are {shape} pixels, the ground truth "
                             f"{expected}. load_image and load_mask must agree in size, and detections be "
                             "at the size of the image")
        return results_to_coco(result, self.images[image_id], self.categories, label)


def _binary(masks):
    """Detected masks as bool: soft (float) masks are cut at one half, all others at zero."""
    return masks > 0.5 if np.issubdtype(masks.dtype, np.floating) else masks != 0


def load_objects(dataset, image_id):
    """The objects that training would take: masks bool [H, W, N], class ids int32 [N], and keypoints float32
    [N, K, (y, x, visibility)] or None. Raises `DataError` for what cannot be."""
    count = len(dataset.keypoint_names)
    expected = SimpleNamespace(NUM_CLASSES=dataset.num_classes, NUM_KEYPOINTS=count)
    return checked_objects(dataset, expected, image_id, image_shape=None, with_keypoints=count > 0)


def _truth_annotations(image_id, masks, class_ids, keypoints, first_id):
    """COCO annotations of one image. Ids count from 1: pycocotools takes the id 0 for 'no match'."""
    rows = zip(class_ids.tolist(), extract_bboxes(masks), encode_masks(masks), strict=True)
    annotations = [
        {"id": first_id + i, "image_id": image_id, "category_id": abs(class_id), "iscrowd": int(class_id < 0),
         "bbox": _xywh(box), "area": int(np.count_nonzero(masks[..., i])), "segmentation": segmentation}
        for i, (class_id, box, segmentation) in enumerate(rows)]
    if keypoints is not None:
        for points, annotation in zip(keypoints, annotations, strict=True):
            annotation["keypoints"] = points[:, [1, 0, 2]].ravel().tolist()
            annotation["num_keypoints"] = int(np.count_nonzero(points[:, 2]))
    return annotations


def _xywh(box):
    """(y1, x1, y2, x2) to COCO's [x, y, width, height]."""
    y1, x1, y2, x2 = (float(side) for side in box)
    return [x1, y1, x2 - x1, y2 - y1]
