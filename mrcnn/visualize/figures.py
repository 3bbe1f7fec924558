"""Life of the figures: made, shown, saved, and closed when the next one comes."""

import pathlib
import warnings

import numpy as np

from .captions import CaptionLayout, tie_line
from .colors import text_color
from .pixels import outlines

PLATE_PAD = 1.5  # points between a caption and the edge of its plate

_open_figure = None


def new_figure(figsize):
    """A new current figure; closes the one that the call before made and that is still open."""
    global _open_figure
    import matplotlib.pyplot as plt
    if _open_figure is not None:
        plt.close(_open_figure)
    _open_figure = plt.figure(figsize=figsize)
    return _open_figure


def new_axes(rows=1, columns=1, figsize=(16, 16)):
    """A new figure as from `new_figure`, and its array of axes [rows, columns]."""
    figure = new_figure(figsize)
    return figure, figure.subplots(rows, columns, squeeze=False)


def finish(figure, save_path=None, show=False):
    """Writes the figure where a path is given, else shows it where the caller made it.

    The figure stays open and current, so `plt.savefig` right after works.

    Args:
        save_path: path of the file, its ending tells the format; missing folders are created.
        show: whether to show it when it is not saved.
    """
    if save_path is not None:
        path = pathlib.Path(save_path)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, bbox_inches="tight", pad_inches=0.05)
    elif show:
        import matplotlib.pyplot as plt
        with warnings.catch_warnings():
            # On a server (Agg) there is nothing to show, which is no mistake.
            warnings.filterwarnings("ignore", message=".*non-interactive.*")
            plt.show()


def show_image(axes, image, title=""):
    """Image filling the axes, without ticks; title above."""
    height, width = image.shape[:2]
    axes.imshow(image, interpolation="nearest" if max(height, width) < 300 else None)
    axes.set_xlim(-0.5, width - 0.5)
    axes.set_ylim(height - 0.5, -0.5)
    axes.axis("off")
    if title:
        axes.set_title(title)


def draw_outlines(axes, cut_mask, color):
    """Contours of a cut mask as vectors, sharp at any size; nothing for None."""
    from matplotlib.patches import Polygon
    for contour in outlines(cut_mask) if cut_mask is not None else ():
        axes.add_patch(Polygon(contour, linewidth=1.5, edgecolor=color, facecolor="none"))


def place_captions(axes, boxes, captions, colors, image_shape, size=11):
    """Texts on coloured plates, placed by `CaptionLayout`; one that does not touch its box is tied to it by a line.

    Args:
        boxes: [N, (y1, x1, y2, x2)] in pixels.
        captions: N strings; empty ones are left out.
        colors: N plate colours.
        image_shape: (height, width).
        size: points.
    """
    from matplotlib.collections import LineCollection
    boxes = np.array([box[:4] for box in boxes], dtype=float).reshape(-1, 4)
    layout, ties, tie_colors = CaptionLayout(image_shape, boxes), [], []
    axes.apply_aspect()
    to_pixels = axes.transData.inverted()
    for rank, (box, caption, color) in enumerate(zip(boxes, captions, colors, strict=True)):
        if not caption:
            continue
        y, x = box[:2]
        # The best instances come first in a result: where there is no room left, they stay on top.
        text = axes.text(x, y, caption, size=size, color=text_color(color), va="top", ha="left", clip_on=True,
                         zorder=4 - rank / (len(colors) + 1),
                         bbox={"facecolor": color, "alpha": 0.85, "pad": PLATE_PAD, "edgecolor": "none"})
        extent = text.get_window_extent().padded(PLATE_PAD * axes.figure.dpi / 72)
        (left, low), (right, high) = to_pixels.transform(extent)
        # Display coordinates grow upwards and pixels downwards: `high` is the upper edge.
        height, width = low - high, right - left
        # The layout counts from the corner of the first pixel, the axes from its centre.
        new_top, new_left = layout.place(box, height, width)
        text.set_position((x + new_left - left - 0.5, y + new_top - high - 0.5))
        tie = tie_line((new_top, new_left, new_top + height, new_left + width), box)
        if tie is not None:
            ties.append([(x - 0.5, y - 0.5) for x, y in tie])
            tie_colors.append(color)
    if ties:
        axes.add_collection(LineCollection(ties, colors=tie_colors, linewidths=1.2, zorder=3), autolim=False)
