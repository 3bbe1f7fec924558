"""Score of the 2018 Data Science Bowl (nuclei)."""

import numpy as np

from ..data.boxes import compute_overlaps_masks

# In the precision of the overlaps, so that a pair of exactly .60 is not above .60.
THRESHOLDS = (np.arange(50, 100, 5) / 100).astype(np.float32)


def kaggle_score(gt_masks, pred_masks):
    """Mean over images of the mean over IoU thresholds .50, .55, ... .95 of TP / (TP + FP + FN).

    A pair counts when its IoU is above the threshold. The ground-truth masks of an image must not overlap, as
    in the
    competition: a prediction then fits at most one object, and no search is needed. A second prediction on
    the same object counts as wrong.

    Args:
        gt_masks: list of [H, W, G] masks, one entry for each image; a single array [H, W, G] is one image.
        pred_masks: list of [H, W, P] masks in the same order, or a single array.

    Returns:
        float in [0, 1]. An image without objects scores 1 where nothing is predicted, else 0.

    Raises:
        ValueError: lists of different length, no image, or masks of different size.
    """
    gt_masks, pred_masks = _as_list(gt_masks), _as_list(pred_masks)
    if not gt_masks or len(gt_masks) != len(pred_masks):
        raise ValueError(f"gt_masks holds {len(gt_masks)} images, pred_masks {len(pred_masks)}: "
                         "expected the same number, at least one")
    scores = [_image_score(index, *pair) for index, pair in enumerate(zip(gt_masks, pred_masks, strict=True))]
    return float(np.mean(scores))


def _as_list(masks):
    """A list with one [H, W, N] array for each image."""
    return [masks] if isinstance(masks, np.ndarray) and masks.ndim == 3 else list(masks)


def _image_score(index, gt_masks, pred_masks):
    """Mean precision of one image; masks [H, W, G] and [H, W, P]."""
    gt_count, pred_count = gt_masks.shape[-1], pred_masks.shape[-1]
    if gt_count == 0 or pred_count == 0:
        return float(gt_count == pred_count)
    if gt_masks.shape[:2] != pred_masks.shape[:2]:
        raise ValueError(f"Image {index}: ground-truth masks are {gt_masks.shape[:2]} pixels, predicted "
                         f"masks {pred_masks.shape[:2]}; both must have the size of the image")
    overlaps = compute_overlaps_masks(gt_masks, pred_masks)
    hits = (overlaps.max(axis=1)[:, None] > THRESHOLDS).sum(axis=0)  # [thresholds]: objects found
    return float(np.mean(hits / (gt_count + pred_count - hits)))
