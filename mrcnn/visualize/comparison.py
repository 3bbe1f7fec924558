"""Ground truth against detections."""

import numpy as np

from ..evaluation.ap import compute_matches, matching_order
from .colors import instance_colors
from .figures import finish, new_axes
from .instances import display_instances, draw_on_axes
from .pixels import checked_instances, default_captions, to_binary, to_rgb

TRUTH_COLOR = (0.0, 1.0, 0.0)
DETECTION_COLOR = (1.0, 0.0, 0.0)


def display_differences(image, gt_box, gt_class_id, gt_mask, pred_box, pred_class_id, pred_score, pred_mask,
                        class_names, title="", ax=None, show_mask=True, show_box=True, iou_threshold=0.5,
                        score_threshold=0.5, save_path=None):
    """Ground truth in green and predictions in red over one image; captions tell score / IoU.

    Args:
        image: [H, W, C].
        gt_box, gt_class_id, gt_mask: [G, 4] pixels, [G], [H, W, G].
        pred_box, pred_class_id, pred_score, pred_mask: the same for P predictions.
        class_names: list of names.
        iou_threshold, score_threshold: as in `compute_matches`.
        title, ax, show_mask, save_path: as in `display_instances`; show_box is its show_bbox.

    Returns:
        the axes.
    """
    _, pred_match, overlaps = compute_matches(
        gt_box, gt_class_id, gt_mask, pred_box, pred_class_id, pred_score, pred_mask, iou_threshold,
        score_threshold)
    captions = [""] * (len(gt_box) + len(pred_box))
    for i, match, row in zip(matching_order(pred_box, pred_score), pred_match, overlaps, strict=True):
        overlap = row[int(match)] if match > -1 else row.max(initial=0.0)
        captions[len(gt_box) + i] = f"{pred_score[i]:.2f} / {overlap:.2f}"
    masks = [to_binary(stack) for stack in (gt_mask, pred_mask) if np.shape(stack)[-1]]
    return display_instances(
        image, np.concatenate([np.reshape(gt_box, [-1, 4]), np.reshape(pred_box, [-1, 4])]),
        np.concatenate(masks, axis=-1) if masks else np.zeros([*np.shape(image)[:2], 0], dtype=bool),
        np.concatenate([gt_class_id, pred_class_id]), class_names,
        title=title or "Ground Truth and Detections\n GT=green, pred=red, captions: score/IoU", ax=ax,
        show_mask=show_mask, show_bbox=show_box, captions=captions, save_path=save_path,
        colors=[TRUTH_COLOR] * len(gt_box) + [DETECTION_COLOR] * len(pred_box))


def show_truth_and_detections(image, gt, result, class_names, save_path=None):
    """One image twice: its ground truth on the left, its detections on the right.

    Arguments as in `display_comparison`, for a single image. Returns the figure.
    """
    return display_comparison([image], [gt], [result], class_names, save_path)


def display_comparison(images, truths, results, class_names, save_path=None):
    """One row for each image: ground truth on the left, detections on the right, classes in the same colours.

    Args:
        images: list of [H, W, C].
        truths: list of dicts as from `detect()`: rois [G, 4] pixels, class_ids [G], masks [H, W, G].
        results: list of results of `detect()`.
        class_names: list of names, position 0 the background.
        save_path: file to write instead of showing; its folders are created.

    Returns:
        the figure, left current for `plt.savefig`.

    Raises:
        ValueError: lists of different length.
    """
    if not len(images) == len(truths) == len(results) > 0:
        raise ValueError(f"{len(images)} images, {len(truths)} truths and {len(results)} results: expected "
                         "the same number, at least one")
    width = 8.0
    heights = [width * np.shape(image)[0] / np.shape(image)[1] + 0.4 for image in images]
    figure, axes = new_axes(len(images), 2, figsize=(2 * width, sum(heights)))
    axes[0, 0].get_gridspec().set_height_ratios(heights)
    figure.subplots_adjust(left=0.005, right=0.995, bottom=0.005, top=1 - 0.4 / sum(heights), wspace=0.01,
                           hspace=0.4 * len(images) / max(sum(heights) - 0.4 * len(images), 1e-6))
    for row, image, truth, result in zip(axes, images, truths, results, strict=True):
        _draw_side(row[0], image, truth, class_names, "Ground truth")
        _draw_side(row[1], image, result, class_names, "Detections")
    finish(figure, save_path, show=True)
    return figure


def _draw_side(axes, image, found, class_names, name):
    """One panel: the instances in their class colours, their number in the title."""
    canvas = to_rgb(image)
    boxes, masks, class_ids = checked_instances(canvas, found["rois"], found.get("masks"), found["class_ids"])
    captions = default_captions(class_ids, class_names, found.get("scores"))
    draw_on_axes(axes, canvas, boxes, masks, instance_colors(None, class_ids), captions,
                 title=f"{name}: {len(boxes)}", caption_size=9)
