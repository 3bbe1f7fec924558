"""Which class is taken for which: the confusion matrix of a detector.

Rows are true classes, columns predicted ones. Row 0 holds what was found where nothing is, column 0 the objects that
were not found; cell (0, 0) stays 0, for background cannot be counted.
"""

import numpy as np

from ..data.boxes import compute_overlaps
from ..data.masks import extract_bboxes
from ..data.report import image_label
from .ap import matching_order, real_rows
from .detections import detect_all, inference_model, selected_images
from .ground_truth import encode_masks, load_objects, pycocotools


def confusion_matrix(gt_boxes, gt_class_ids, gt_masks, pred_boxes, pred_class_ids, pred_scores, pred_masks,
                     num_classes, iou_threshold=0.5, score_threshold=0.0):
    """Confusion matrix of one image; the matrices of several images add up to that of all.

    Predictions choose by falling score: each takes the free object that it overlaps most, whatever its class; among
    equal overlaps one of its own class, then the last. Objects and predictions that find no partner count as
    background. A prediction without a partner that lies in a crowd of its class counts nowhere, as in COCO.

    Args:
        gt_boxes: [G, 4] pixels; rows of zeros are padding and are left out.
        gt_class_ids: [G] integers, negative for crowds; 0 is padding.
        gt_masks: [H, W, G] at the size of the image; None compares boxes.
        pred_boxes, pred_class_ids, pred_scores, pred_masks: the same for P predictions, scores [P].
        num_classes: C, counting the background.
        iou_threshold: least IoU of partners, above 0.
        score_threshold: predictions below it are left out.

    Returns:
        int64 [C, C].

    Raises:
        ValueError: lengths that differ, masks of different height and width or on one side only, a class id that
            is not below `num_classes`, or a threshold outside (0, 1].
    """
    if not 0 < iou_threshold <= 1:
        raise ValueError(f"iou_threshold is {iou_threshold}; expected a number above 0, at most 1")
    gt_class_ids = _checked_ids("gt", gt_boxes, gt_class_ids, gt_masks, num_classes)
    pred_class_ids = _checked_ids("pred", pred_boxes, pred_class_ids, pred_masks, num_classes)
    if len(pred_scores) != len(pred_class_ids):
        raise ValueError(f"{len(pred_scores)} pred_scores for {len(pred_class_ids)} predictions; give one each")
    real = [i for i in real_rows(gt_boxes) if gt_class_ids[i] != 0]
    order = [i for i in matching_order(pred_boxes, pred_scores)
             if pred_class_ids[i] > 0 and pred_scores[i] >= score_threshold]
    gt_class_ids, pred_class_ids = gt_class_ids[real], pred_class_ids[order]
    overlaps = _overlaps(_rows(gt_boxes, gt_masks, real), _rows(pred_boxes, pred_masks, order), gt_class_ids < 0)
    partners = _partners(overlaps, gt_class_ids, pred_class_ids, iou_threshold)
    matrix = np.zeros([num_classes, num_classes], dtype=np.int64)
    found = partners >= 0
    np.add.at(matrix, (gt_class_ids[partners[found]], pred_class_ids[found]), 1)
    # What lies in a crowd of its class is neither right nor wrong.
    in_crowd = (overlaps >= iou_threshold) & (gt_class_ids == -pred_class_ids[:, None])
    np.add.at(matrix[0], pred_class_ids[~found & ~in_crowd.any(axis=1)], 1)
    missed = np.setdiff1d(np.flatnonzero(gt_class_ids > 0), partners)
    np.add.at(matrix[:, 0], gt_class_ids[missed], 1)
    return matrix


def evaluate_confusion(model, dataset, image_ids=None, limit=None, iou_threshold=0.5, score_threshold=0.0,
                       overlap="mask", verbose=1):
    """Detects in the dataset's images and returns the confusion matrix of all.

    Args:
        model, dataset, image_ids, limit: as in `evaluate`.
        iou_threshold, score_threshold: as in `confusion_matrix`.
        overlap: "mask" or "box": what is compared.
        verbose: 1 shows progress; 0 prints nothing.

    Returns:
        int64 [C, C]: `visualize.plot_confusion_matrix` draws it, `np.savetxt(path, matrix, "%d", ",")` writes it.

    Raises:
        ValueError: no images, or detections that do not fit the dataset; the text names the image.
    """
    image_ids = selected_images(dataset, image_ids, limit)
    results = detect_all(inference_model(model), dataset, image_ids, verbose)
    return _confusion_of(results, dataset, iou_threshold, score_threshold, overlap)


def confusion_of_detections(results_by_image_id, dataset, iou_threshold=0.5, score_threshold=0.0, overlap="mask"):
    """Like `evaluate_confusion`, for detections that are there already.

    Args:
        results_by_image_id: {dataset image id: result of `detect()`}; exactly these images are counted.
        dataset, iou_threshold, score_threshold, overlap: as in `evaluate_confusion`.

    Returns:
        int64 [C, C].
    """
    selected_images(dataset, list(results_by_image_id), None)
    return _confusion_of(results_by_image_id.items(), dataset, iou_threshold, score_threshold, overlap)


def gt_pred_lists(gt_class_ids, gt_bboxes, pred_class_ids, pred_bboxes, iou_tresh=0.5):
    """True and predicted classes of one image, paired by their boxes, as two lists of the same length.

    Every pair of boxes that overlap enough counts, so an object found twice appears twice; `confusion_matrix` gives
    each object to one prediction only. What overlaps nothing is paired with the background, 0.

    Args:
        gt_class_ids: [G]; gt_bboxes: [G, 4]; pred_class_ids: [P]; pred_bboxes: [P, 4] in the same unit.
        iou_tresh: least IoU of a pair.

    Returns:
        two lists of class ids, for `plot_confusion_matrix_from_data`; those of several images are joined with `+`.
    """
    gt_class_ids, pred_class_ids = list(gt_class_ids), list(pred_class_ids)
    pairs = compute_overlaps(np.reshape(gt_bboxes, [-1, 4]), np.reshape(pred_bboxes, [-1, 4])) >= iou_tresh
    gt = [gt_class_ids[i] for i, _ in np.argwhere(pairs)]
    pred = [pred_class_ids[j] for _, j in np.argwhere(pairs)]
    missed, wrong = np.flatnonzero(~pairs.any(axis=1)), np.flatnonzero(~pairs.any(axis=0))
    return (gt + [gt_class_ids[i] for i in missed] + [0] * len(wrong),
            pred + [0] * len(missed) + [pred_class_ids[j] for j in wrong])


def _confusion_of(results, dataset, iou_threshold, score_threshold, overlap):
    """Sum of the matrices of (image id, result) pairs."""
    if overlap not in ("mask", "box"):
        raise ValueError(f'overlap is {overlap!r}; expected "mask" or "box"')
    matrix = np.zeros([dataset.num_classes, dataset.num_classes], dtype=np.int64)
    for image_id, result in results:
        if overlap == "mask" and "masks" not in result:
            raise ValueError('The detector makes no masks; pass overlap="box".')
        masks, class_ids, _ = load_objects(dataset, image_id)
        try:
            matrix += confusion_matrix(
                extract_bboxes(masks), class_ids, masks if overlap == "mask" else None, result["rois"],
                result["class_ids"], result["scores"], result["masks"] if overlap == "mask" else None,
                dataset.num_classes, iou_threshold, score_threshold)
        except ValueError as error:
            raise ValueError(f"{image_label(dataset, image_id)}: {error}. Model and dataset must have the same "
                             "classes, load_image and load_mask the same size") from error
    return matrix


def _checked_ids(name, boxes, class_ids, masks, num_classes):
    """Class ids [N] int; there must be a box for each, and a mask if there are any masks."""
    class_ids = np.asarray(class_ids).astype(int).reshape(-1)
    counts = [len(boxes), len(class_ids)] + ([] if masks is None else [np.shape(masks)[-1]])
    if len(set(counts)) > 1:
        raise ValueError(f"{name}_boxes has {len(boxes)} rows, {name}_class_ids {len(class_ids)}, {name}_masks the "
                         f"shape {np.shape(masks)}: expected a class id and a mask ([H, W, {len(boxes)}]) for each box")
    strangers = class_ids[np.abs(class_ids) >= num_classes]
    if strangers.size:
        raise ValueError(f"{name}_class_ids holds {strangers[0]}, but num_classes = {num_classes} allows 1 to "
                         f"{num_classes - 1}")
    return class_ids


def _rows(boxes, masks, chosen):
    """(boxes [n, 4], masks [H, W, n] or None) of the chosen rows."""
    boxes = np.asarray(boxes, dtype=float).reshape(-1, 4)[chosen]
    return boxes, None if masks is None else np.asarray(masks)[..., chosen]


def _overlaps(truth, found, is_crowd):
    """IoU [P, G]; with a crowd, the share of the prediction inside it, as pycocotools counts it."""
    (gt_boxes, gt_masks), (pred_boxes, pred_masks) = truth, found
    if (gt_masks is None) != (pred_masks is None):
        raise ValueError("gt_masks and pred_masks: give both to compare masks, neither to compare boxes")
    if len(gt_boxes) == 0 or len(pred_boxes) == 0:
        return np.zeros([len(pred_boxes), len(gt_boxes)])
    if gt_masks is None:
        sides = [np.stack([x1, y1, x2 - x1, y2 - y1], axis=1) for y1, x1, y2, x2 in (pred_boxes.T, gt_boxes.T)]
    elif gt_masks.shape[:2] != pred_masks.shape[:2]:
        raise ValueError(f"gt_masks are {gt_masks.shape[:2]} pixels, pred_masks {pred_masks.shape[:2]}: both must have "
                         "the size of the image. From load_image_gt they come so with use_mini_mask=False")
    else:
        sides = [encode_masks(masks) for masks in (pred_masks, gt_masks)]
    return pycocotools().mask.iou(*sides, is_crowd.astype(np.uint8).tolist())


def _partners(overlaps, gt_class_ids, pred_class_ids, iou_threshold):
    """Index of the object that each prediction takes, -1 for none: int [P]."""
    free = gt_class_ids > 0
    partners = np.full(len(pred_class_ids), -1)
    for i, (row, class_id) in enumerate(zip(overlaps, pred_class_ids, strict=True)):
        candidates = np.flatnonzero(free & (row >= iou_threshold))
        if candidates.size:
            keys = gt_class_ids[candidates] == class_id, row[candidates]
            partners[i] = candidates[np.lexsort(keys)[-1]]
            free[partners[i]] = False
    return partners
