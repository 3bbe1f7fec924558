"""Detections in COCO's format, and COCO's twelve numbers of them."""

import time

METRICS = ("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large",
           "ar1", "ar10", "ar100", "ar_small", "ar_medium", "ar_large")


def build_coco_results(dataset, image_ids, rois, class_ids, scores, masks):
    """Detections of one image as a list of COCO result dictionaries.

    Args:
        dataset: the dataset whose class ids these are.
        image_ids: COCO's ids of the image: a list of one.
        rois: boxes [N, (y1, x1, y2, x2)] in pixels, or None for no detection.
        class_ids, scores: [N].
        masks: bool [H, W, N].

    Returns:
        list of {"image_id", "category_id", "bbox" (x, y, width, height), "score", "segmentation" (RLE)}.
    """
    from mrcnn.evaluation.ground_truth import encode_masks

    if rois is None or not len(rois):
        return []
    rows = list(zip(rois, class_ids, scores, encode_masks(masks), strict=True))
    return [{"image_id": int(image_id), "category_id": dataset.get_source_class_id(class_id, "coco"),
             "bbox": [float(x1), float(y1), float(x2 - x1), float(y2 - y1)], "score": float(score),
             "segmentation": rle}
            for image_id in image_ids for (y1, x1, y2, x2), class_id, score, rle in rows]


def evaluate_coco(model, dataset, coco, eval_type="bbox", limit=0, image_ids=None):
    """Detect in the images and print COCO's twelve numbers.

    Args:
        model: has `detect`.
        dataset: a `CocoDataset`.
        coco: the object that `load_coco(return_coco=True)` returned.
        eval_type: "bbox" for boxes or "segm" for masks.
        limit: only the first so many images; 0 for all.
        image_ids: images of the dataset to use; None for all.

    Returns:
        {"box_ap": ..., ...} or {"mask_ap": ..., ...}: the twelve numbers, -1 where nothing of a size exists.
    """
    if eval_type not in ("bbox", "segm"):
        raise ValueError(f"eval_type must be 'bbox' or 'segm', got {eval_type!r}.")
    image_ids = (dataset.image_ids if image_ids is None else image_ids)[:limit or None]
    results, began = [], time.monotonic()
    for image_id in image_ids:
        found = model.detect([dataset.load_image(image_id)], verbose=0)[0]
        results += build_coco_results(dataset, [dataset.image_info[image_id]["id"]], found["rois"],
                                      found["class_ids"], found["scores"], found["masks"])
    print(f"{len(results)} detections in {len(image_ids)} images, {time.monotonic() - began:.1f} s")
    numbers = score_results(coco, results, [dataset.image_info[i]["id"] for i in image_ids], eval_type)
    kind = "box" if eval_type == "bbox" else "mask"
    return {f"{kind}_{name}": number for name, number in zip(METRICS, numbers, strict=True)}


def score_results(coco, results, coco_image_ids, eval_type):
    """pycocotools' twelve numbers of `results` (see `build_coco_results`) as a list, printed as well."""
    from pycocotools.cocoeval import COCOeval

    # pycocotools takes areas from the boxes where there are any: wrong for the size classes of masks.
    other = "segmentation" if eval_type == "bbox" else "bbox"
    rows = [{key: value for key, value in row.items() if key != other} for row in results]
    if not rows:
        print("Nothing was detected: all numbers are 0.")
        return [0.0] * len(METRICS)
    evaluation = COCOeval(coco, coco.loadRes(rows), eval_type)
    evaluation.params.imgIds = coco_image_ids
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return [float(number) for number in evaluation.stats]
