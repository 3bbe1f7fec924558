"""display_instances: what is drawn, and what becomes of the figures."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from skimage.io import imread

from mrcnn import visualize
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


def test_captions_scores_and_short_names():
    r = instances(3)
    r["class_ids"][:], r["scores"][:] = [1, 2, 9], [0.9, 0.8, 0.7]
    texts = {text.get_text() for text in show(picture(), r, figsize=(2, 2)).texts}
    assert texts == {"cat 0.900", "dog 0.800", "class 9 0.700"}
    ax = show(picture(), r, figsize=(2, 2), captions=["a", "", None])
    assert [text.get_text() for text in ax.texts] == ["a"]
    ax = show(picture(), dict(r, scores=[0.5, 0, None]), figsize=(2, 2), captions=[], colors=[])
    assert {text.get_text() for text in ax.texts} == {"cat 0.500", "dog", "class 9"}


def test_too_few_captions_scores_or_colors():
    r = instances(3)
    with pytest.raises(ValueError, match="captions has 2 entries for 3 instances"):
        show(picture(), r, captions=["a", "b"])
    with pytest.raises(ValueError, match="scores has 1 entries for 3 instances"):
        show(picture(), dict(r, scores=[0.5]))
    with pytest.raises(ValueError, match="colors has 2 entries for 3 instances"):
        show(picture(), r, colors=[(1, 0, 0)] * 2)
    assert plt.get_fignums() == []


def test_captions_do_not_overlap():
    r = instances(12, height=240, width=360)
    ax = show(picture(240, 360), r, figsize=(10, 8))
    ax.figure.canvas.draw()
    plates = [text.get_bbox_patch().get_window_extent() for text in ax.texts]
    for i, one in enumerate(plates):
        for other in plates[:i]:
            shared = one.intersection(one, other)
            assert shared is None or min(shared.width, shared.height) < 1


def test_switches():
    """Outlines are drawn whatever the switches say: that is how Matterport's notebooks compare masks."""
    r = instances(2)
    ax = show(picture(), r, show_mask=False, figsize=(2, 2))
    np.testing.assert_array_equal(ax.images[0].get_array(), picture())
    assert len(ax.patches) == 4
    assert np.any(show(picture(), r, figsize=(2, 2)).images[0].get_array() != picture())
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
