"""Drawing into arrays."""

import time

import numpy as np
import pytest
from matplotlib.patches import Rectangle
from scipy.ndimage import binary_erosion

from mrcnn.data.masks import extract_bboxes
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


def test_masks_are_mixed_pixel_by_pixel():
    r = instances(1)
    r["class_ids"][:] = 2
    image = np.random.default_rng(0).integers(0, 256, [80, 120, 3], dtype=np.uint8)
    drawn = draw_instances(image, r, None)
    expected = image * 0.55 + np.array(class_color(2)) * 255 * 0.45
    inside = binary_erosion(r["masks"][..., 0], iterations=2)
    assert inside.sum() > 100
    assert np.abs(drawn[inside] - expected[inside]).max() <= 0.5 + 1e-6
    y1, x1, y2, x2 = r["rois"][0]
    outside = np.ones([80, 120], bool)
    outside[max(y1 - 2, 0):y2 + 2, max(x1 - 2, 0):x2 + 2] = False
    np.testing.assert_array_equal(drawn[outside], image[outside])


@pytest.mark.parametrize("arrange", [np.asfortranarray, lambda image: image[::-1, ::-1], lambda image: image[:, ::2]])
def test_images_and_masks_of_any_memory_layout(arrange):
    image, r = picture(), instances(3)
    same = {name: np.asarray(values).copy() for name, values in r.items()}
    same["masks"] = np.ascontiguousarray(arrange(r["masks"]))
    expected = draw_instances(np.ascontiguousarray(arrange(image)), same, NAMES)
    np.testing.assert_array_equal(draw_instances(arrange(image), dict(r, masks=arrange(r["masks"])), NAMES), expected)


def test_result_of_several_images_is_named():
    with pytest.raises(ValueError, match=r"r is a list without rois .* model.detect\(\[image\]\)\[0\]"):
        draw_instances(picture(), [instances(1)], NAMES)


@pytest.mark.parametrize(("count", "height", "width"), [
    (1, 80, 120), (5, 240, 360), (5, 60, 90), (40, 240, 360), (200, 240, 360)])
def test_captions_do_not_hide_small_objects(count, height, width):
    image, r = picture(height, width), instances(count, height, width)
    changed = np.any(draw_instances(image, r, NAMES) != draw_instances(image, r, None), axis=-1)
    assert 0.02 < changed.mean() < 0.2, "15 % of plates, and lines that tie them to their boxes"


@pytest.mark.parametrize("scores", [[0.9, 0.2], [0.2, 0.9]])
def test_where_there_is_room_for_one_caption_the_best_instance_has_it(scores):
    """In either order, and although neither box bears a text."""
    r = {"rois": np.array([[20, 5, 30, 15], [20, 80, 30, 90]]), "class_ids": np.array([3, 2]), "scores": scores}
    drawn = draw_instances(np.zeros([40, 100, 3], np.uint8), r, NAMES)
    plates = [np.sum(np.all(drawn == np.rint(np.array(class_color(i)) * 255), axis=-1)) for i in (3, 2)]
    assert (plates[0] > 200, plates[1] > 200) == (scores[0] > 0.5, scores[1] > 0.5)


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


def rectangles(ax):
    return [patch for patch in ax.patches if isinstance(patch, Rectangle)]


def test_draw_boxes():
    """Hidden ones keep their box, gray and dotted, and lose the refined one."""
    r = instances(3)
    ax = draw_boxes(picture(), r["rois"], r["rois"] + 2, r["masks"], captions=["a", "b", 3],
                    visibilities=[0, 1, 2], title="Refined")
    assert (len(rectangles(ax)), len(ax.lines), len(ax.texts)) == (5, 2, 3)
    assert [box.get_linestyle() for box in rectangles(ax)] == ["dotted", "dotted", "solid", "solid", "solid"]
    assert rectangles(ax)[0].get_edgecolor()[:3] == (0.5, 0.5, 0.5)
    assert len(ax.patches) > 5, "outlines of the masks"
    assert ax.get_title() == "Refined"
    assert len(rectangles(draw_boxes(picture(), refined_boxes=r["rois"], captions=["a"] * 3))) == 3
    assert len(draw_boxes(picture(), boxes=r["rois"]).lines) == 0


def test_draw_boxes_leaves_out_rows_of_zeros():
    r = instances(3)
    r["rois"][1] = 0
    ax = draw_boxes(picture(), r["rois"], r["rois"] + 2, r["masks"], captions=["a", "b", "c"])
    assert (len(rectangles(ax)), [text.get_text() for text in ax.texts]) == (4, ["a", "c"])
    only = draw_boxes(np.zeros([80, 120, 3]), r["rois"], masks=r["masks"]).images[0].get_array()
    assert not np.any(only[r["masks"][..., 1] & ~r["masks"][..., 0] & ~r["masks"][..., 2]])


def test_draw_boxes_needs_equal_lengths():
    r = instances(3)
    with pytest.raises(ValueError, match="'boxes': 3, 'refined_boxes': 2"):
        draw_boxes(picture(), r["rois"], r["rois"][:2])
    with pytest.raises(ValueError, match="'captions': 1"):
        draw_boxes(picture(), r["rois"], captions=["a"])
    with pytest.raises(ValueError, match="'masks': 2"):
        draw_boxes(picture(), r["rois"], masks=r["masks"][..., :2])
    with pytest.raises(ValueError, match="lengths are {}"):
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
    with pytest.raises(ValueError, match="6 rois, 5 refined_rois"):
        draw_rois(picture(), r["rois"], r["rois"][:5], np.random.rand(6, 28, 28), class_ids, NAMES)


@pytest.mark.slow
def test_fast_enough_for_video(capsys):
    """Twenty large overlapping objects on 640 x 480; the best of many frames, for other work may slow some down."""
    ys, xs = np.mgrid[:480, :640]
    rng = np.random.default_rng(0)
    masks = np.stack([(ys - y) ** 2 + (xs - x) ** 2 < 90 ** 2 for y, x in rng.uniform(0, [480, 640], [20, 2])], axis=-1)
    r = {"rois": extract_bboxes(masks), "masks": masks, "class_ids": rng.integers(1, 4, 20),
         "scores": np.linspace(0.99, 0.5, 20)}
    seconds = []
    for _ in range(40):
        began = time.perf_counter()
        draw_instances(picture(480, 640), r, NAMES)
        seconds.append(time.perf_counter() - began)
    with capsys.disabled():
        print(f"\n{1 / min(seconds):.0f} frames a second, median {1 / np.median(seconds):.0f}")
    assert min(seconds) < 1 / 20
