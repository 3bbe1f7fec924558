"""Drawing into arrays."""

import numpy as np
import pytest

from mrcnn.visualize import apply_mask, class_color, draw_box, draw_boxes, draw_instances, draw_rois

from .samples import NAMES, instances, picture


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("count", [0, 1, 60])
def test_draw_instances(count, dtype):
    image, r = picture(dtype=dtype), instances(count)
    drawn = draw_instances(image, r, NAMES)
    assert drawn.dtype == np.uint8 and drawn.shape == (80, 120, 3)
    assert np.any(drawn != picture()) == (count > 0)
    np.testing.assert_array_equal(image, picture(dtype=dtype))


def test_draw_instances_shows_the_color_of_the_class():
    r = instances(1)
    r["class_ids"][:] = 2
    drawn = draw_instances(np.zeros([80, 120, 3], np.uint8), r, NAMES).reshape(-1, 3)
    color = np.rint(np.array(class_color(2)) * 255)
    assert np.any(np.all(drawn == color, axis=-1))
    inside = np.rint(np.array(class_color(2)) * 255 * 0.45)
    assert np.any(np.all(np.abs(drawn - inside) <= 1, axis=-1))


def test_draw_instances_without_masks_and_scores():
    r = instances(3)
    draw_instances(picture(), {"rois": r["rois"], "class_ids": r["class_ids"]}, NAMES, colors="instance")


def test_captions_do_not_hide_many_small_objects():
    r = instances(40)
    np.testing.assert_array_equal(draw_instances(picture(), r, NAMES), draw_instances(picture(), r, None))
    few = {name: values[..., :5] if name == "masks" else values[:5] for name, values in r.items()}
    assert np.any(draw_instances(picture(), few, NAMES) != draw_instances(picture(), few, None))


def test_draw_instances_accepts_an_empty_mask():
    r = instances(2)
    r["masks"][..., 1] = False
    draw_instances(picture(), r, NAMES)


def test_apply_mask_works_in_place():
    image = np.full([4, 4, 3], 100, np.uint8)
    mask = np.eye(4)
    assert apply_mask(image, mask, (1.0, 0.0, 0.5), alpha=0.5) is image
    assert image[0, 0].tolist() == [177, 50, 113]
    assert image[0, 1].tolist() == [100, 100, 100]


def test_draw_box_is_two_pixels_wide():
    image = np.zeros([12, 12, 3], np.uint8)
    assert draw_box(image, np.array([2, 3, 8, 9]), [255, 0, 0]) is image
    painted = image[..., 0] == 255
    assert painted[2:4, 3:9].all() and painted[8:10, 3:9].all()
    assert painted[2:8, 3:5].all() and painted[2:8, 9:11].all()
    assert not painted[5:7, 6:8].any() and not painted[:2].any()


def test_draw_boxes():
    r = instances(3)
    ax = draw_boxes(picture(), r["rois"], r["rois"] + 2, r["masks"], captions=["a", "b", "c"],
                    visibilities=[0, 1, 2], title="Refined")
    assert (len(ax.patches), len(ax.lines), len(ax.texts)) == (6, 3, 3)
    assert len(draw_boxes(picture(), refined_boxes=r["rois"], captions=["a"] * 3).patches) == 3
    assert len(draw_boxes(picture(), boxes=r["rois"]).lines) == 0
    with pytest.raises(ValueError, match=r"lengths \[3, 2\]"):
        draw_boxes(picture(), r["rois"], r["rois"][:2])
    with pytest.raises(ValueError, match=r"lengths \[\]"):
        draw_boxes(picture())


def test_draw_rois(capsys):
    r = instances(6)
    class_ids = np.array([1, 0, 2, 0, 0, 3])
    ax = draw_rois(picture(), r["rois"], r["rois"] + 1, np.random.rand(6, 28, 28), class_ids, NAMES)
    assert (len(ax.patches), len(ax.lines)) == (9, 3)
    assert ax.get_title() == "6 ROIs"
    assert "Positive ROIs:  3\nNegative ROIs:  3\nPositive Ratio: 0.50" in capsys.readouterr().out
    ax = draw_rois(picture(), r["rois"], r["rois"] + 1, np.random.rand(6, 28, 28), class_ids, NAMES, limit=4)
    assert ax.get_title() == "Showing 4 random ROIs out of 6"
