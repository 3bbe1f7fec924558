"""Detections or ground truth of one image with matplotlib."""

from .colors import instance_colors
from .figures import draw_outlines, finish, new_axes, place_captions, show_image
from .pixels import blend, checked_captions, checked_instances, to_rgb


def display_instances(image, boxes, masks, class_ids, class_names, scores=None, title="", figsize=(16, 16),
                      ax=None, show_mask=True, show_bbox=True, colors=None, captions=None, save_path=None):
    """Shows boxes, masks and captions over the image.

    Args:
        image: [H, W, C] or [H, W], uint8, 16 bit or float.
        boxes: [N, 4] pixels (y1, x1, y2, x2).
        masks: [H, W, N], any type.
        class_ids: [N] integers.
        class_names: list of names, position 0 the background.
        scores: [N] confidences, or None.
        title: text above the image.
        figsize: inches of a new figure.
        ax: axes to draw on; without, a new figure is made, shown, and left current for `plt.savefig`. It is
            closed when the next one is made, so a loop does not collect figures.
        show_mask, show_bbox: whether to fill the masks, and whether to draw boxes; outlines are always drawn.
        colors: None or "class" for the fixed colour of each class; "instance" for a different one each; a
            list of one (red, green, blue) in [0, 1] each; or {class id: colour}.
        captions: N texts in place of name and score; empty ones are left out.
        save_path: file to write instead of showing; its folders are created.

    Returns:
        the axes.

    Raises:
        ValueError: numbers of boxes, masks and class ids differ, there are fewer scores, colours or captions, or
            masks have not the size of the image.
    """
    canvas = to_rgb(image)
    boxes, masks, class_ids = checked_instances(canvas, boxes, masks, class_ids)
    if len(boxes) == 0:
        print("\n*** No instances to display *** \n")
    colors = instance_colors(colors, class_ids)
    captions = checked_captions(captions, class_ids, class_names, scores)
    own_figure = ax is None
    if own_figure:
        figure, axes = new_axes(figsize=figsize)
        figure.subplots_adjust(left=0, right=1, bottom=0, top=0.95 if title else 1)
        ax = axes[0, 0]
    draw_on_axes(ax, canvas, boxes, masks, colors, captions, title, show_mask, show_bbox)
    finish(ax.figure, save_path, show=own_figure)
    return ax


def draw_on_axes(axes, canvas, boxes, masks, colors, captions, title="", show_mask=True, show_bbox=True,
                 caption_size=11):
    """Draws instances on axes.

    Args:
        canvas: uint8 [H, W, 3], written to.
        boxes: [N, 4] pixels; rows of zeros are left out (boxes cut away with a crop).
        masks: N cut masks, or None to leave them out.
        colors, captions: N each; empty captions are left out.
    """
    from matplotlib.patches import Rectangle
    visible = [i for i in range(len(boxes)) if boxes[i].any()]
    if masks is not None and show_mask:
        for i in visible:
            blend(canvas, masks[i], colors[i], 0.45)
    show_image(axes, canvas, title)
    for i in visible:
        y1, x1, y2, x2 = boxes[i]
        if show_bbox:
            axes.add_patch(Rectangle((x1 - 0.5, y1 - 0.5), x2 - x1, y2 - y1, linewidth=1.5, alpha=0.8,
                                     linestyle="dashed", edgecolor=colors[i], facecolor="none"))
        draw_outlines(axes, None if masks is None else masks[i], colors[i])
    place_captions(axes, [boxes[i] for i in visible], [captions[i] for i in visible],
                   [colors[i] for i in visible], canvas.shape, caption_size)
