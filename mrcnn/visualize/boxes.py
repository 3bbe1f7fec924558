"""Boxes: into arrays, and over images with their refinements (for looking at proposals)."""

import numpy as np

from ..data.masks import unmold_mask
from .colors import random_colors
from .figures import finish, new_axes, place_captions, show_image
from .pixels import blend, class_label, cut_masks, to_rgb

# Style of a box by its visibility: hidden, dimmed, full.
VISIBILITY = (
    {"linestyle": "dotted", "alpha": 0.5, "edgecolor": "gray"},
    {"linestyle": "dotted", "alpha": 1.0},
    {"linestyle": "solid", "alpha": 1.0},
)


def draw_box(image, box, color):
    """Draws a frame two pixels wide, in place.

    Args:
        image: [H, W, 3] array.
        box: (y1, x1, y2, x2) pixels.
        color: three values in the image's own range (0..255 for uint8).

    Returns:
        image.
    """
    y1, x1, y2, x2 = (max(int(side), 0) for side in box)
    image[y1:y1 + 2, x1:x2] = color
    image[y2:y2 + 2, x1:x2] = color
    image[y1:y2, x1:x1 + 2] = color
    image[y1:y2, x2:x2 + 2] = color
    return image


def draw_boxes(image, boxes=None, refined_boxes=None, masks=None, captions=None, visibilities=None, title="",
               ax=None):
    """Shows boxes, each with its refined box and a line between their corners.

    Args:
        image: [H, W, C].
        boxes: [N, 4] pixels, dashed; None draws the refined ones only.
        refined_boxes: [N, 4] pixels, solid; or None.
        masks: [H, W, N], or None.
        captions: N texts, or None.
        visibilities: N of 0 (gray and dotted), 1 (dotted) and 2 (solid); None means 1.
        title: text above the image.
        ax: axes to draw on; without, a new figure is made and shown.

    Returns:
        the axes.

    Raises:
        ValueError: neither boxes nor refined boxes, or different numbers of them.
    """
    given = [len(rows) for rows in (boxes, refined_boxes) if rows is not None]
    if not given or len(set(given)) > 1:
        raise ValueError(f"boxes and refined_boxes have the lengths {given}; expected one of them, or two of "
                         "the same length")
    count = given[0]
    own_figure = ax is None
    if own_figure:
        ax = _wide_axes()
    canvas = to_rgb(image)
    colors = random_colors(count)
    for cut_mask, color in zip([] if masks is None else cut_masks(masks), colors, strict=False):
        blend(canvas, cut_mask, color, 0.5)
    show_image(ax, canvas, title)
    _widen(ax, canvas.shape)
    for i in range(count):
        style = VISIBILITY[1 if visibilities is None else int(visibilities[i])]
        if boxes is not None:
            _rectangle(ax, boxes[i], **{"edgecolor": colors[i], **style})
        if refined_boxes is not None:
            _refinement(ax, None if boxes is None else boxes[i], refined_boxes[i], colors[i])
    if captions is not None:
        corners = np.asarray(boxes if refined_boxes is None else refined_boxes)[:, :2]
        place_captions(ax, corners, captions, colors, canvas.shape)
    finish(ax.figure, show=own_figure)
    return ax


def draw_rois(image, rois, refined_rois, mask, class_ids, class_names, limit=10):
    """Shows proposals (dashed) with refinements (solid), classes and masks; gray ones are background.

    Prints how many are positive and how many negative.

    Args:
        image: [H, W, C].
        rois, refined_rois: [N, 4] pixels.
        mask: [N, h, w] in [0, 1], in the frame of each roi.
        class_ids: [N], 0 for background.
        class_names: list of names.
        limit: if there are more, so many are drawn at random.

    Returns:
        the axes.
    """
    count = len(rois)
    chosen = np.random.choice(count, limit, replace=False) if count > limit else np.arange(count)
    canvas = to_rgb(image)
    colors = random_colors(len(chosen))
    positive = [(i, color) for i, color in zip(chosen, colors, strict=True) if class_ids[i]]
    for i, color in positive:
        full = unmold_mask(np.asarray(mask[i]), np.asarray(rois[i])[:4].astype(np.int32), canvas.shape)
        blend(canvas, (0, 0, full.astype(bool)), color, 0.5)
    ax = _wide_axes()
    title = f"Showing {limit} random ROIs out of {count}" if count > limit else f"{count} ROIs"
    show_image(ax, canvas, title)
    _widen(ax, canvas.shape)
    for i, color in zip(chosen, colors, strict=True):
        _rectangle(ax, rois[i], edgecolor=color if class_ids[i] else "gray", linestyle="dashed")
    for i, color in positive:
        _refinement(ax, rois[i], refined_rois[i], color)
    place_captions(ax, [refined_rois[i][:2] for i, _ in positive],
                   [class_label(class_names, int(class_ids[i])) for i, _ in positive],
                   [color for _, color in positive], canvas.shape)
    positives = int(np.count_nonzero(class_ids))
    print(f"Positive ROIs:  {positives}\nNegative ROIs:  {count - positives}\n"
          f"Positive Ratio: {positives / max(count, 1):.2f}")
    finish(ax.figure, show=True)
    return ax


def _wide_axes():
    """Axes that fill a new figure."""
    figure, axes = new_axes(figsize=(12, 12))
    figure.subplots_adjust(left=0.01, right=0.99, bottom=0.01, top=0.95)
    return axes[0, 0]


def _widen(axes, shape):
    """Room around the image: proposals may reach beyond it."""
    margin = shape[0] // 10
    axes.set_ylim(shape[0] + margin, -margin)
    axes.set_xlim(-margin, shape[1] + margin)


def _rectangle(axes, box, **style):
    """Outline of a box; nothing for a row of zeros."""
    from matplotlib.patches import Rectangle
    y1, x1, y2, x2 = (float(side) for side in box[:4])
    if any(box[:4]):
        axes.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, linewidth=2, facecolor="none", **style))


def _refinement(axes, box, refined_box, color):
    """Refined box, and the way that the corner went."""
    _rectangle(axes, refined_box, edgecolor=color)
    if box is not None:
        axes.plot([box[1], refined_box[1]], [box[0], refined_box[0]], color=color)
