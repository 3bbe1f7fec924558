"""COCO's numbers from pycocotools' evaluation, at any number of detections per image.

pycocotools' own summary is fixed to 100 detections; here the same means are taken from its arrays.
"""

import contextlib
import io

import numpy as np

from .ground_truth import coco_index, pycocotools

IOU_TYPES = {"box": "bbox", "mask": "segm", "keypoint": "keypoints"}
KEYPOINT_DETECTIONS = 20

# name, array, IoU threshold (None: mean over .50 to .95), area range, detections (None: as many as allowed)
SUMMARY = (
    ("ap", "precision", None, "all", None),
    ("ap50", "precision", 0.50, "all", None),
    ("ap75", "precision", 0.75, "all", None),
    ("ap_small", "precision", None, "small", None),
    ("ap_medium", "precision", None, "medium", None),
    ("ap_large", "precision", None, "large", None),
    ("ar1", "recall", None, "all", 1),
    ("ar10", "recall", None, "all", 10),
    ("ar_max", "recall", None, "all", None),
    ("ar_small", "recall", None, "small", None),
    ("ar_medium", "recall", None, "medium", None),
    ("ar_large", "recall", None, "large", None),
)


KEYPOINT_SUMMARY = tuple(
    (f"{name}{suffix}", array, iou, area, None)
    for name, array in (("ap", "precision"), ("ar", "recall"))
    for suffix, iou, area in (
        ("", None, "all"), ("50", 0.50, "all"), ("75", 0.75, "all"), ("_medium", None, "medium"),
        ("_large", None, "large"),
    )
)


class KindStats:
    """Evaluation of boxes, of masks or of keypoints.

    Args:
        truth: GroundTruth.
        annotations: list of COCO results (see `results_to_coco`).
        kind: "box", "mask" or "keypoint".
        max_detections: detections of one class in one image that count, best scores first; for keypoints COCO's 20.
    """

    def __init__(self, truth, annotations, kind, max_detections):
        self.kind = kind
        if kind == "keypoint":
            max_detections = KEYPOINT_DETECTIONS
        self.max_detections = max_detections
        self.category_ids = sorted(truth.categories.values())
        detections = coco_index({"images": list(truth.api.imgs.values()),
                                 "categories": list(truth.api.cats.values()),
                                 "annotations": _with_areas(annotations, kind)})
        evaluation = pycocotools().cocoeval.COCOeval(truth.api, detections, IOU_TYPES[kind])
        evaluation.params.imgIds = sorted(truth.images.values())
        evaluation.params.catIds = self.category_ids
        evaluation.params.maxDets = sorted({min(n, max_detections) for n in (1, 10, 100, max_detections)})
        if kind == "keypoint":
            evaluation.params.maxDets = [max_detections]
            evaluation.params.kpt_oks_sigmas = truth.keypoint_sigmas
        with contextlib.redirect_stdout(io.StringIO()):
            evaluation.evaluate()
            evaluation.accumulate()
        self.params = evaluation.params
        self.arrays = evaluation.eval

    def value(self, array, iou=None, area="all", detections=None, category_id=None):
        """Mean of pycocotools' precision or recall over what is not fixed; -1 without ground truth."""
        limit = min(detections or self.max_detections, self.max_detections)
        values = self.arrays[array][..., self.params.areaRngLbl.index(area), self.params.maxDets.index(limit)]
        if iou is not None:
            values = values[np.isclose(self.params.iouThrs, iou)]
        if category_id is not None:
            values = values[..., self.category_ids.index(category_id)]
        values = values[values > -1]
        return float(values.mean()) if values.size else -1.0

    def summary(self):
        """COCO's numbers as {"<kind>_ap": ...}, for boxes and masks `ar100` beside `ar_max`."""
        values = {f"{self.kind}_{name}": self.value(*query) for name, *query in self._lines()}
        if self.kind == "keypoint":
            return values
        values[f"{self.kind}_ar100"] = self.value("recall", detections=100)
        return values

    def _lines(self):
        return KEYPOINT_SUMMARY if self.kind == "keypoint" else SUMMARY

    def table(self):
        """COCO's printed lines."""
        lines = [f"Evaluate annotation type *{IOU_TYPES[self.kind]}*"]
        measure = "OKS" if self.kind == "keypoint" else "IoU"
        for _, array, iou, area, detections in self._lines():
            title = "Average Precision  (AP)" if array == "precision" else "Average Recall     (AR)"
            limit = min(detections or self.max_detections, self.max_detections)
            span = "0.50:0.95" if iou is None else f"{iou:.2f}"
            lines.append(f" {title} @[ {measure}={span:<9} | area={area:>6s} | maxDets={limit:>3d} ] = "
                         f"{self.value(array, iou, area, detections):0.3f}")
        return "\n".join(lines)


def object_counts(truth):
    """{category id: number of objects}, crowds not counted, over the images that are evaluated."""
    counts = dict.fromkeys(truth.categories.values(), 0)
    for key in truth.images.values():
        for annotation in truth.api.imgToAnns.get(key, ()):
            if annotation["category_id"] in counts and not annotation.get("iscrowd", 0):
                counts[annotation["category_id"]] += 1
    return counts


def _with_areas(annotations, kind):
    """Copies with id, iscrowd and area: of the box, the mask, or the frame of all keypoints, as COCO does it."""
    if kind == "keypoint":
        points = [np.reshape(annotation["keypoints"], (-1, 3))[:, :2] for annotation in annotations]
        areas = [np.prod(np.ptp(xy, axis=0)) for xy in points]
    elif kind == "mask":
        # One by one: pycocotools 2.0 overflows on a list of more than 255 under numpy 2.
        areas = [pycocotools().mask.area(annotation["segmentation"]) for annotation in annotations]
    else:
        areas = [annotation["bbox"][2] * annotation["bbox"][3] for annotation in annotations]
    return [dict(annotation, id=index, iscrowd=0, area=float(area))
            for index, (annotation, area) in enumerate(zip(annotations, areas, strict=True), start=1)]
