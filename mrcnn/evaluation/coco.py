"""COCO's evaluation of boxes, masks and keypoints for any Dataset."""

from .coco_stats import KindStats, object_counts
from .detections import detect_all, inference_model, selected_images
from .ground_truth import GroundTruth


def evaluate(model, dataset, image_ids=None, limit=None, max_detections=None, verbose=1, coco=None):
    """Detects in the dataset's images and compares with the truth as COCO does, at original image size.

    Args:
        model: has `detect(images)` returning a list of results, and `config` (BATCH_SIZE,
            DETECTION_MAX_INSTANCES). A MaskRCNN in training mode is evaluated through its `inference_twin()`.
        dataset: prepared Dataset. Images without objects count: what is found there is wrong.
        image_ids: ids to evaluate; None means all.
        limit: evaluate only the first so many of them.
        max_detections: detections of one class in one image that count; None means 100, or
            DETECTION_MAX_INSTANCES where that is more.
        verbose: 1 shows progress and COCO's lines for boxes, masks and keypoints; 0 prints nothing.
        coco: pycocotools COCO object with official annotations, whose ids are the dataset's source ids. Only
            needed to reproduce published COCO numbers: its boxes and areas come from polygons, those built
            here from masks.

    Returns:
        dict of floats in [0, 1], -1 where there is no ground truth to judge by: `mask_ap` (mean over IoU .50
        to .95), `mask_ap50`, `mask_ap75`, `mask_ap_small`, `mask_ap_medium`, `mask_ap_large`, `mask_ar1`,
        `mask_ar10`, `mask_ar100`, `mask_ar_max` (at `max_detections`), `mask_ar_small`, `mask_ar_medium`,
        `mask_ar_large`, and the same with `box_`; "images": number of images; "per_class": {name: {"box_ap",
        "box_ap50", "mask_ap", "mask_ap50", "instances"}} of the classes that have ground truth. Means leave
        out classes without any. A model without masks has the numbers of boxes alone; one that finds keypoints also
        `keypoint_ap`, `keypoint_ap50`, `keypoint_ap75`, `keypoint_ap_medium`, `keypoint_ap_large`, and `keypoint_ar`
        likewise (object keypoint similarity in place of IoU, 20 detections).

    Raises:
        ValueError: no images or unknown ones, detections that do not fit the dataset, or a `load_mask` that training
            would refuse too; the text names the image.
        ImportError: pycocotools is missing.
    """
    image_ids = selected_images(dataset, image_ids, limit)
    model = inference_model(model)
    if max_detections is None:
        max_detections = max(100, model.config.DETECTION_MAX_INSTANCES)
    truth = GroundTruth(dataset, image_ids, coco)
    annotations = []
    for image_id, result in detect_all(model, dataset, image_ids, verbose):
        annotations += truth.annotations(image_id, result)
        kinds = _kinds(result)
    return _score(truth, annotations, kinds, max_detections, verbose)


def evaluate_detections(results_by_image_id, dataset, max_detections=None, verbose=1, coco=None):
    """Like `evaluate`, for detections that are there already.

    Args:
        results_by_image_id: {dataset image id: result of `detect()`}; exactly these images are evaluated.
        max_detections: None means 100, or the most detections in one image where that is more.
        dataset, verbose, coco: as in `evaluate`.

    Returns:
        the dict of `evaluate`.
    """
    image_ids = selected_images(dataset, list(results_by_image_id), None)
    results = {int(image_id): result for image_id, result in results_by_image_id.items()}
    if max_detections is None:
        max_detections = max(100, *(len(result["class_ids"]) for result in results.values()))
    truth = GroundTruth(dataset, image_ids, coco)
    annotations = [row for image_id in image_ids for row in truth.annotations(image_id, results[image_id])]
    return _score(truth, annotations, _kinds(results[image_ids[0]]), max_detections, verbose)


def _kinds(result):
    """What a model's results can be judged by."""
    return "box", *(kind for kind in ("mask", "keypoint") if f"{kind}s" in result)


def _score(truth, annotations, kinds, max_detections, verbose):
    """The returned dict of `evaluate`."""
    kinds = [KindStats(truth, annotations, kind, max_detections) for kind in kinds]
    values = {}
    for stats in kinds:
        values |= stats.summary()
        if verbose:
            print(stats.table())
    values["images"] = len(truth.images)
    values["per_class"] = _per_class(truth, kinds)
    return values


def _per_class(truth, kinds):
    """{class name: values} of the classes with ground truth."""
    counts = object_counts(truth)
    table = {}
    for class_id, category_id in truth.categories.items():
        if counts[category_id]:
            row = table[truth.class_names[class_id]] = {"instances": counts[category_id]}
            for stats in kinds:
                row[f"{stats.kind}_ap"] = stats.value("precision", category_id=category_id)
                row[f"{stats.kind}_ap50"] = stats.value("precision", iou=0.5, category_id=category_id)
    return table
