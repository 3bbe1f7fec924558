"""Boxes: into arrays, and over images with their refinements (for looking at proposals)."""

import numpy as np

from ..data.masks import unmold_mask
from .colors import random_colors
from .figures import draw_outlines, finish, new_axes, place_captions, show_image
from .pixels import blend, class_label, cut_masks, to_rgb

# Style of a box by its visibility: hidden, dimmed, full.
VISIBILITY = (
    {"linestyle": "dotted", "alpha": 0.5},
    {"linestyle": "dotted", "alpha": 1.0},
    {"linestyle": "solid", "alpha": 1.0},
)
HIDDEN_COLOR = (0.5, 0.5, 0.5)


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
               ax=None, save_path=None):
    """Shows boxes, each with its refined box and a line between their corners.

    Args:
        image: [H, W, C].
        boxes: [N, 4] pixels, dotted or solid; None draws the refined ones only. A row of zeros (cut away with a
            crop) is left out, with all that belongs to it.
        refined_boxes: [N, 4] pixels, solid; or None.
        masks: [H, W, N], or None.
        captions: N texts, or None.
        visibilities: N of 0 (gray and dotted, without the refined box), 1 (dotted) and 2 (solid); None means 1.
        title: text above the image.
        ax: axes to draw on; without, a new figure is made and shown.
        save_path: file to write instead of showing; its folders are created.

    Returns:
        the axes.

    Raises:
        ValueError: neither boxes nor refined boxes, or lengths that differ.
    """
    given = {name: len(rows) for name, rows in (("boxes", boxes), ("refined_boxes", refined_boxes),
                                                ("captions", captions), ("visibilities", visibilities))
             if rows is not None}
    if masks is not None:
        given["masks"] = np.shape(masks)[-1]
    if boxes is None and refined_boxes is None or len(set(given.values())) > 1:
        raise ValueError(f"lengths are {given}; expected boxes, refined_boxes or both, and the same length for all")
    frames = np.asarray(refined_boxes if boxes is None else boxes)
    shown = [i for i in range(len(frames)) if np.any(frames[i][:4])]
    levels = [1] * len(frames) if visibilities is None else [int(level) for level in visibilities]
    colors = [HIDDEN_COLOR if level == 0 else color
              for level, color in zip(levels, random_colors(len(frames)), strict=True)]
    canvas = to_rgb(image)
    cut = [] if masks is None else cut_masks(masks)
    for i in shown if cut else ():
        blend(canvas, cut[i], colors[i], 0.5)
    own_figure = ax is None
    if own_figure:
        ax = _wide_axes()
    show_image(ax, canvas, title)
    _widen(ax, canvas.shape)
    # Captions sit on the refined boxes where these are drawn.
    anchored = frames if refined_boxes is None else [
        refined_boxes[i] if levels[i] else frames[i] for i in range(len(frames))]
    for i in shown:
        if boxes is not None:
            _rectangle(ax, boxes[i], colors[i], **VISIBILITY[levels[i]])
        if refined_boxes is not None and levels[i]:
            _refinement(ax, None if boxes is None else boxes[i], refined_boxes[i], colors[i])
        draw_outlines(ax, cut[i] if cut else None, colors[i])
    if captions is not None:
        place_captions(ax, [anchored[i] for i in shown], [str(captions[i]) for i in shown],
                       [colors[i] for i in shown], canvas.shape)
    finish(ax.figure, save_path, show=own_figure)
    return ax


def draw_rois(image, rois, refined_rois, mask, class_ids, class_names, limit=10, save_path=None):
    """Shows proposals (dashed) with refinements (solid), classes and masks; gray ones are background.

    Prints how many are positive and how many negative.

    Args:
        image: [H, W, C].
        rois, refined_rois: [N, 4] pixels.
        mask: [N, h, w] in [0, 1], in the frame of each roi.
        class_ids: [N], 0 for background.
        class_names: list of names.
        limit: if there are more, so many are drawn at random.
        save_path: file to write instead of showing; its folders are created.

    Returns:
        the axes.

    Raises:
        ValueError: lengths that differ.
    """
    count = len(rois)
    if not count == len(refined_rois) == len(mask) == len(class_ids):
        raise ValueError(f"{count} rois, {len(refined_rois)} refined_rois, {len(mask)} masks, {len(class_ids)} "
                         "class_ids: expected the same number of each")
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
        _rectangle(ax, rois[i], color if class_ids[i] else HIDDEN_COLOR, linestyle="dashed")
    for i, color in positive:
        _refinement(ax, rois[i], refined_rois[i], color)
    place_captions(ax, [refined_rois[i] for i, _ in positive],
                   [class_label(class_names, int(class_ids[i])) for i, _ in positive],
                   [color for _, color in positive], canvas.shape)
    positives = int(np.count_nonzero(class_ids))
    print(f"Positive ROIs:  {positives}\nNegative ROIs:  {count - positives}\n"
          f"Positive Ratio: {positives / max(count, 1):.2f}")
    finish(ax.figure, save_path, show=True)
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


def _rectangle(axes, box, color, **style):
    """Outline of a box; nothing for a row of zeros."""
    from matplotlib.patches import Rectangle
    y1, x1, y2, x2 = (float(side) for side in box[:4])
    if any(box[:4]):
        axes.add_patch(Rectangle((x1 - 0.5, y1 - 0.5), x2 - x1, y2 - y1, linewidth=2, facecolor="none",
                                 edgecolor=color, **style))


def _refinement(axes, box, refined_box, color):
    """Refined box, and the way that the corner went."""
    _rectangle(axes, refined_box, color)
    if box is not None:
        axes.plot([box[1] - 0.5, refined_box[1] - 0.5], [box[0] - 0.5, refined_box[0] - 0.5], color=color)
