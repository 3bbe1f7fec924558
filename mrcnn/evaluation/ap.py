"""Average precision of one image, in Matterport's definition.

The numbers are those of the PASCAL VOC 2012 protocol on a single image, all classes in one list. They are
handy in a notebook; a data set's mAP is not their mean: `evaluation.coco.evaluate` computes that one.

Letters: P predictions, G ground-truth objects, H W image.
"""

import numpy as np

from ..data.boxes import compute_overlaps, compute_overlaps_masks


def compute_matches(gt_boxes, gt_class_ids, gt_masks, pred_boxes, pred_class_ids, pred_scores, pred_masks,
                    iou_threshold=0.5, score_threshold=0.0):
    """Pairs each prediction, best score first, with the free ground-truth mask of its class it covers best.

    Args:
        gt_boxes: [G, 4] pixels; rows of zeros are padding and are left out.
        gt_class_ids: [G] integers.
        gt_masks: [H, W, G], at the size of the image (not mini masks).
        pred_boxes, pred_class_ids, pred_scores, pred_masks: the same for P predictions, scores [P].
        iou_threshold: least mask IoU of a pair.
        score_threshold: second lower bound on the mask IoU of a pair. Matterport compares it with the IoU,
            not with the score, in spite of its name; kept for equal results.

    Returns:
        gt_match: [G] float, index of the prediction of each object, -1 for none.
        pred_match: [P] float, index of the object of each prediction, -1 for none.
        overlaps: [P, G] mask IoU.
        Predictions are counted in the order of falling scores.

    Raises:
        ValueError: masks of different height and width, or numbers of rows that do not agree.
    """
    overlaps, same_class = _compare(
        gt_boxes, gt_class_ids, gt_masks, pred_boxes, pred_class_ids, pred_scores, pred_masks)
    gt_match, pred_match = _assign(overlaps, same_class, max(iou_threshold, score_threshold))
    return gt_match, pred_match, overlaps


def compute_ap(gt_boxes, gt_class_ids, gt_masks, pred_boxes, pred_class_ids, pred_scores, pred_masks,
               iou_threshold=0.5):
    """Average precision of one image at one IoU threshold.

    Arguments as in `compute_matches`. An image without objects scores 1 where nothing is predicted, else 0.

    Returns:
        mAP: float in [0, 1].
        precisions: [P + 2], non-increasing envelope, with the end points of the curve.
        recalls: [P + 2], from 0 to 1.
        overlaps: [P, G] mask IoU, predictions in the order of falling scores.
    """
    overlaps, same_class = _compare(
        gt_boxes, gt_class_ids, gt_masks, pred_boxes, pred_class_ids, pred_scores, pred_masks)
    gt_match, pred_match = _assign(overlaps, same_class, iou_threshold)
    return (*_precision_recall(pred_match, len(gt_match)), overlaps)


def compute_ap_range(gt_box, gt_class_id, gt_mask, pred_box, pred_class_id, pred_score, pred_mask,
                     iou_thresholds=None, verbose=1):
    """Mean of `compute_ap` over several IoU thresholds.

    Args:
        iou_thresholds: sequence or array of floats; None means 0.50, 0.55, ... 0.95.
        verbose: 1 prints a line for each threshold and one for the mean.

    Returns:
        float in [0, 1].
    """
    thresholds = np.arange(0.5, 1.0, 0.05) if iou_thresholds is None else np.asarray(iou_thresholds)
    if thresholds.size == 0:
        raise ValueError("iou_thresholds is empty; give at least one value in [0, 1], or None for .50 to .95")
    overlaps, same_class = _compare(
        gt_box, gt_class_id, gt_mask, pred_box, pred_class_id, pred_score, pred_mask)
    values = []
    for threshold in thresholds:
        gt_match, pred_match = _assign(overlaps, same_class, threshold)
        values.append(_precision_recall(pred_match, len(gt_match))[0])
        if verbose:
            print(f"AP @{threshold:.2f}:\t {values[-1]:.3f}")
    mean = float(np.mean(values))
    if verbose:
        print(f"AP @{thresholds[0]:.2f}-{thresholds[-1]:.2f}:\t {mean:.3f}")
    return mean


def compute_recall(pred_boxes, gt_boxes, iou):
    """Share of the ground-truth boxes that are the best match of some predicted box.

    Args:
        pred_boxes: [P, 4], gt_boxes: [G, 4], in the same unit.
        iou: least IoU of a match.

    Returns:
        recall: float in [0, 1]; 1 where there is no ground truth.
        positive_ids: [K] indices of the predicted boxes that reach `iou`.
    """
    pred_boxes, gt_boxes = np.asarray(pred_boxes), np.asarray(gt_boxes)
    if len(gt_boxes) == 0 or len(pred_boxes) == 0:
        return (1.0 if len(gt_boxes) == 0 else 0.0), np.zeros([0], dtype=np.int64)
    overlaps = compute_overlaps(pred_boxes, gt_boxes)
    positive_ids = np.flatnonzero(overlaps.max(axis=1) >= iou)
    found = np.unique(overlaps.argmax(axis=1)[positive_ids])
    return len(found) / len(gt_boxes), positive_ids


def real_rows(boxes):
    """Indices of the rows of boxes [N, 4] that are not padding (zeros)."""
    return np.flatnonzero(np.any(np.asarray(boxes).reshape(-1, 4) != 0, axis=1))


def matching_order(pred_boxes, pred_scores):
    """Indices of the predictions in the order in which `compute_matches` takes and counts them."""
    real = real_rows(pred_boxes)
    return real[np.argsort(np.asarray(pred_scores)[real], kind="stable")[::-1]]


def _compare(gt_boxes, gt_class_ids, gt_masks, pred_boxes, pred_class_ids, pred_scores, pred_masks):
    """Mask IoU and equality of class, both [P, G]: no padding, predictions in the order of falling scores."""
    gt_class_ids, gt_masks = _checked("gt", gt_boxes, gt_class_ids, gt_masks)
    pred_class_ids, pred_masks = _checked("pred", pred_boxes, pred_class_ids, pred_masks)
    real, order = real_rows(gt_boxes), matching_order(pred_boxes, pred_scores)
    gt_class_ids, gt_masks = gt_class_ids[real], gt_masks[..., real]
    pred_class_ids, pred_masks = pred_class_ids[order], pred_masks[..., order]
    same_class = pred_class_ids[:, None] == gt_class_ids[None, :]
    if same_class.size == 0:
        return np.zeros(same_class.shape, dtype=np.float32), same_class
    if gt_masks.shape[:2] != pred_masks.shape[:2]:
        raise ValueError(
            f"Ground-truth masks are {gt_masks.shape[:2]} pixels, predicted masks {pred_masks.shape[:2]}: "
            "both must have the size of the image. If the ground truth comes from load_image_gt, "
            "pass use_mini_mask=False")
    return compute_overlaps_masks(pred_masks, gt_masks), same_class


def _checked(name, boxes, class_ids, masks):
    """Class ids and masks as arrays; there must be one for each box."""
    class_ids, masks = np.asarray(class_ids), np.asarray(masks)
    if masks.ndim != 3 or masks.shape[-1] < len(boxes) or len(class_ids) < len(boxes):
        raise ValueError(
            f"{name}_boxes has {len(boxes)} rows, {name}_class_ids {len(class_ids)}, and {name}_masks has "
            f"the shape {masks.shape}: expected a class id and a mask ([H, W, {len(boxes)}]) for each box")
    return class_ids, masks


def _assign(overlaps, same_class, least_iou):
    """Greedy matching, best prediction first. Returns gt_match [G], pred_match [P] as floats."""
    pred_match, gt_match = (np.full(count, -1.0) for count in overlaps.shape)
    fits = (overlaps >= least_iou) & same_class
    for i in np.flatnonzero(fits.any(axis=1)):
        # From the last to the first: among equal overlaps Matterport takes the last.
        candidates = np.flatnonzero(fits[i] & (gt_match < 0))[::-1]
        if candidates.size:
            best = candidates[np.argmax(overlaps[i, candidates])]
            gt_match[best], pred_match[i] = i, best
    return gt_match, pred_match


def _precision_recall(pred_match, object_count):
    """(AP, precisions [P + 2], recalls [P + 2]) from the matches of sorted predictions."""
    if object_count == 0 and len(pred_match) == 0:
        return 1.0, np.array([1.0, 1.0]), np.array([0.0, 1.0])
    hits = np.cumsum(pred_match > -1)
    precisions = hits / (np.arange(len(pred_match)) + 1)
    recalls = hits.astype(np.float32) / max(object_count, 1)
    precisions = np.concatenate([[0.0], precisions, [0.0]])
    recalls = np.concatenate([[0.0], recalls, [1.0]])
    precisions = np.maximum.accumulate(precisions[::-1])[::-1]
    return float(np.sum(np.diff(recalls) * precisions[1:])), precisions, recalls
