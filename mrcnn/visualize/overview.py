"""A data set at a glance."""

import numpy as np

from ..data.statistics import POOR_OVERLAP, suggest_anchor_scales
from .figures import finish, new_figure
from .pixels import short_label

BAR, LIGHT, ANCHOR, SUGGESTED = "#3b82c4", "#b9d4ec", "#d9480f", "#2b8a3e"
LEGEND_ROOM = 0.2  # of the height of a panel


def plot_dataset_overview(statistics, title="", save_path=None):
    """Class counts, sizes of objects against the anchors, shapes, and objects per image.

    Args:
        statistics: DatasetStatistics from `data.statistics.describe`; with a config, anchors are drawn.
        title: text above.
        save_path: file to write instead of showing; its folders are created.

    Returns:
        the figure.
    """
    classes = len(statistics.class_names) - 1
    figure = new_figure(figsize=(15, max(8.5, 0.19 * classes + 1.2)))
    figure.set_layout_engine("constrained", w_pad=0.15, h_pad=0.1)
    grid = figure.add_gridspec(3, 2, width_ratios=[1, 1.25])
    _draw_classes(figure.add_subplot(grid[:, 0]), statistics)
    _draw_sides(figure.add_subplot(grid[0, 1]), statistics)
    _draw_shapes(figure.add_subplot(grid[1, 1]), statistics)
    _draw_counts(figure.add_subplot(grid[2, 1]), statistics)
    figure.suptitle(title or f"{len(statistics.image_ids):,} images, {len(statistics.class_ids):,} objects, "
                             f"{classes:,} {'class' if classes == 1 else 'classes'}")
    finish(figure, save_path, show=True)
    return figure


def _draw_classes(axes, statistics):
    """Bars of the number of objects, most first, with that of images inside."""
    counts, images = statistics.class_counts[1:], statistics.images_per_class[1:]
    order = np.argsort(-counts, kind="stable")
    places = np.arange(len(order))
    axes.barh(places, counts[order], color=LIGHT, label="objects")
    axes.barh(places, images[order], height=0.4, color=BAR, label="images")
    for place, count in zip(places, counts[order], strict=True):
        axes.annotate(f"{count:,}", (count, place), xytext=(3, 0), textcoords="offset points", va="center", fontsize=8)
    axes.set_yticks(places, [short_label(statistics.class_names[1 + i]) for i in order], fontsize=9)
    axes.tick_params(axis="y", length=0)
    axes.set(ylim=(max(len(order), 12) - 0.4, -0.6), xlabel="number", title="Classes")
    axes.set_xlim(0, 1.1 * max(counts.max(initial=0), 1))
    _plain(axes, "x")
    axes.legend(loc="lower right", frameon=False)


def _draw_sides(axes, statistics):
    """Histogram of the objects' sides, with the anchors' scales."""
    sides = statistics.sides
    unit = "pixels of the network's input" if statistics.anchor_scales else "pixels of the image"
    axes.set(xscale="log", xlabel=f"square root of the box area, {unit}", ylabel="objects", title="Size of objects")
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter("{x:.0f}")
    _plain(axes, "y")
    if not len(sides):
        return
    _log_histogram(axes, sides)
    if statistics.anchor_scales is None:
        return
    suggested = suggest_anchor_scales(sides, len(statistics.anchor_scales))
    _marks(axes, statistics.anchor_scales, ANCHOR, f"RPN_ANCHOR_SCALES {_listed(statistics.anchor_scales)}")
    _marks(axes, suggested, SUGGESTED, f"suggested {_listed(suggested)}", linestyle="dotted")
    axes.set_title(f"Size of objects: best anchor below IoU {POOR_OVERLAP} for {statistics.poor_share:.1%}")
    _legend_above_bars(axes)


def _draw_shapes(axes, statistics):
    """Histogram of the objects' width / height, with the anchors' ratios."""
    ratios = statistics.aspect_ratios
    axes.set(xlabel="width / height", ylabel="objects", title="Shape of objects")
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}" if value >= 1 else f"1/{1 / value:g}")
    _plain(axes, "y")
    if not len(ratios):
        return
    _log_histogram(axes, ratios)
    if statistics.anchor_ratios is not None:
        _marks(axes, statistics.anchor_ratios, ANCHOR, f"RPN_ANCHOR_RATIOS {_listed(statistics.anchor_ratios)}")
        _legend_above_bars(axes)


def _draw_counts(axes, statistics):
    """Histogram of the number of objects in an image."""
    counts = statistics.objects_per_image
    most = int(counts.max(initial=0))
    step = max(1, -(-most // 60))
    axes.hist(counts, bins=np.arange(0, most + 2 * step, step) - 0.5, color=BAR, edgecolor="white", linewidth=0.5)
    axes.set(xlabel="objects in an image", ylabel="images", title=f"Objects per image: median {np.median(counts):.0f}, "
                                                                    f"at most {most}")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.yaxis.get_major_locator().set_params(integer=True)
    _plain(axes, "y")


def _log_histogram(axes, values):
    """Bars of equal width on a logarithmic axis, a quarter of an octave each."""
    low, high = np.floor(4 * np.log2(values.min())), np.ceil(4 * np.log2(values.max()) + 1e-9)
    axes.hist(values, bins=2 ** (np.arange(low, high + 1.5) / 4), color=LIGHT, edgecolor="white", linewidth=0.5)


def _marks(axes, values, color, label, linestyle="solid"):
    """Upright lines."""
    for rank, value in enumerate(values):
        axes.axvline(value, ymax=1 - LEGEND_ROOM, color=color, linewidth=1.5, linestyle=linestyle,
                     label=label if rank == 0 else None)


def _legend_above_bars(axes):
    """A legend in room of its own."""
    axes.set_ylim(0, axes.get_ylim()[1] / (1 - LEGEND_ROOM))
    axes.legend(loc="upper left", ncols=2, fontsize=9, frameon=False)


def _listed(values):
    return ", ".join(f"{value:g}" for value in values)


def _plain(axes, grid_axis):
    """No frame; a light grid behind the bars."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis=grid_axis, alpha=0.3)
    axes.set_axisbelow(True)
