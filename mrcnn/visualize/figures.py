"""Life of the figures: made, shown, saved, and closed when the next one comes."""

import pathlib
import warnings

from .captions import CaptionLayout
from .colors import text_color

PLATE_PAD = 1.5  # points between a caption and the edge of its plate

_open_figure = None


def new_axes(rows=1, columns=1, figsize=(16, 16)):
    """A new current figure; closes the one that the call before made and that is still open.

    Returns:
        figure, array of axes [rows, columns].
    """
    global _open_figure
    import matplotlib.pyplot as plt
    if _open_figure is not None:
        plt.close(_open_figure)
    _open_figure, axes = plt.subplots(rows, columns, figsize=figsize, squeeze=False)
    return _open_figure, axes


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


def place_captions(axes, corners, captions, colors, image_shape, size=11):
    """Texts on coloured plates, each near its corner, all inside the image, off one another where possible.

    Args:
        corners: [N, 2] pixels (y, x) of the upper left corner.
        captions: N strings; empty ones are left out.
        colors: N plate colours.
        image_shape: (height, width).
        size: points.
    """
    layout = CaptionLayout(image_shape)
    axes.apply_aspect()
    to_pixels = axes.transData.inverted()
    for rank, ((y, x), caption, color) in enumerate(zip(corners, captions, colors, strict=True)):
        if not caption:
            continue
        # Best instances come first in a result: they stay on top.
        text = axes.text(x, y, caption, size=size, color=text_color(color), va="top", ha="left", clip_on=True,
                         zorder=4 - rank / (len(colors) + 1),
                         bbox={"facecolor": color, "alpha": 0.75, "pad": PLATE_PAD, "edgecolor": "none"})
        extent = text.get_window_extent().padded(PLATE_PAD * axes.figure.dpi / 72)
        (left, low), (right, high) = to_pixels.transform(extent)
        # Display coordinates grow upwards and pixels downwards: `high` is the upper edge.
        top, new_left = layout.place(y, x, low - high, right - left)
        text.set_position((x + new_left - left - 0.5, y + top - high - 0.5))
