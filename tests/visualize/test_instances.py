"""display_instances: what is drawn, and what becomes of the figures."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from skimage.io import imread

from mrcnn import visualize
from mrcnn.visualize.captions import CaptionLayout
from mrcnn.visualize.pixels import to_rgb

from .samples import NAMES, instances, picture


def show(image, r, **options):
    return visualize.display_instances(
        image, r["rois"], r["masks"], r["class_ids"], NAMES, r["scores"], **options)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
@pytest.mark.parametrize("count", [0, 1, 40])
def test_any_number_on_any_image(count, dtype, capsys):
    r = instances(count)
    ax = show(picture(dtype=dtype), r, figsize=(4, 4), title="Predictions")
    assert ax.get_title() == "Predictions"
    assert len(ax.texts) == count
    assert sum(isinstance(patch, plt.Rectangle) for patch in ax.patches) == count
    assert len(ax.patches) >= 2 * count
    assert ("No instances to display" in capsys.readouterr().out) == (count == 0)


@pytest.mark.parametrize("shape", [(80, 120), (80, 120, 1), (80, 120, 4), (80, 120, 6)])
def test_channels(shape):
    show(np.zeros(shape, np.uint16), instances(2), figsize=(2, 2))


def test_a_loop_does_not_collect_figures():
    for _ in range(5):
        show(picture(), instances(1), figsize=(2, 2))
    assert len(plt.get_fignums()) == 1


def test_the_figure_stays_current(tmp_path):
    ax = show(picture(), instances(1), figsize=(2, 2))
    assert plt.gcf() is ax.figure
    plt.savefig(tmp_path / "after.png")
    assert imread(tmp_path / "after.png")[..., :3].std() > 10


def test_given_axes_are_used_and_kept():
    figure, axes = plt.subplots(1, 2)
    assert show(picture(), instances(1), ax=axes[1]) is axes[1]
    show(picture(), instances(1), figsize=(2, 2))
    assert plt.fignum_exists(figure.number)


def test_save_path_makes_folders(tmp_path):
    path = tmp_path / "new" / "folder" / "picture.png"
    show(picture(), instances(3), figsize=(3, 3), save_path=path)
    assert imread(path)[..., :3].std() > 10


def test_captions_lie_inside_the_image():
    r = instances(30)
    ax = show(picture(), r, figsize=(6, 6))
    ax.figure.canvas.draw()
    frame = ax.get_window_extent()
    for text in ax.texts:
        extent = text.get_window_extent()
        assert extent.x0 >= frame.x0 - 1 and extent.x1 <= frame.x1 + 1
        assert extent.y0 >= frame.y0 - 1 and extent.y1 <= frame.y1 + 1


def test_captions_give_way_to_each_other():
    layout = CaptionLayout((100, 100))
    places = [layout.place(10, 90, 12, 30) for _ in range(3)]
    assert places == [(10, 70), (22, 70), (34, 70)]
    assert CaptionLayout((10, 10)).place(5, 5, 20, 20) == (0, 0)


def test_captions_scores_and_short_names():
    r = instances(3)
    r["class_ids"][:], r["scores"][:] = [1, 2, 9], [0.9, 0.8, 0.7]
    texts = {text.get_text() for text in show(picture(), r, figsize=(2, 2)).texts}
    assert texts == {"cat 0.90", "dog 0.80", "class 9 0.70"}
    ax = show(picture(), r, figsize=(2, 2), captions=["a", "", None])
    assert [text.get_text() for text in ax.texts] == ["a"]


def test_switches():
    r = instances(2)
    assert len(show(picture(), r, show_mask=False, figsize=(2, 2)).patches) == 2
    ax = show(picture(), r, show_bbox=False, figsize=(2, 2))
    assert not any(isinstance(patch, plt.Rectangle) for patch in ax.patches)


def test_masks_of_any_type_and_without_change():
    r, image = instances(2), picture()
    for dtype in (np.uint8, np.float32):
        show(image, dict(r, masks=r["masks"].astype(dtype)), figsize=(2, 2))
    np.testing.assert_array_equal(image, picture())


def test_numbers_that_differ_are_named():
    r = instances(2)
    with pytest.raises(ValueError, match="2 boxes, 1 masks, 2 class ids"):
        show(picture(), dict(r, masks=r["masks"][..., :1]))
    with pytest.raises(ValueError, match="use_mini_mask=False"):
        show(picture(), dict(r, masks=np.ones([56, 56, 2], bool)))


@pytest.mark.parametrize(("image", "expected"), [
    (np.full([2, 2], 0.5), 128), (np.full([2, 2, 3], 300.0), 255), (np.full([2, 2], 40.0), 40),
    (np.full([2, 2, 1], 65535, np.uint16), 255), (np.ones([2, 2], bool), 255), (np.full([2, 2, 3], -9.0), 0)])
def test_to_rgb(image, expected):
    shown = to_rgb(image)
    assert shown.dtype == np.uint8 and shown.shape == (2, 2, 3)
    assert np.all(shown == expected)


def test_to_rgb_names_the_shape():
    with pytest.raises(ValueError, match=r"shape \(1, 2, 2, 3\)"):
        to_rgb(np.zeros([1, 2, 2, 3]))
