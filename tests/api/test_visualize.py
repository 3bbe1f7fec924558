"""`mrcnn.visualize`: signatures, what is drawn where, what is printed, and which figure stays current."""

import re

import matplotlib.pyplot as plt
import numpy as np
import pytest

from mrcnn import visualize
from tests.api.helpers import begins_with

SIGNATURES = {
    "display_instances": "image, boxes, masks, class_ids, class_names, scores=None, title='', figsize=(16, 16), "
                         "ax=None, show_mask=True, show_bbox=True, colors=None, captions=None",
    "display_images": "images, titles=None, cols=4, cmap=None, norm=None, interpolation=None",
    "display_top_masks": "image, mask, class_ids, class_names, limit=4",
    "random_colors": "N, bright=True",
    "apply_mask": "image, mask, color, alpha=0.5",
    "draw_box": "image, box, color",
    "draw_boxes": "image, boxes=None, refined_boxes=None, masks=None, captions=None, visibilities=None, title='', "
                  "ax=None",
    "draw_rois": "image, rois, refined_rois, mask, class_ids, class_names, limit=10",
    "display_differences": "image, gt_box, gt_class_id, gt_mask, pred_box, pred_class_id, pred_score, pred_mask, "
                           "class_names, title='', ax=None, show_mask=True, show_box=True, iou_threshold=0.5, "
                           "score_threshold=0.5",
    "plot_precision_recall": "AP, precisions, recalls",
    "plot_overlaps": "gt_class_ids, pred_class_ids, pred_scores, overlaps, class_names, threshold=0.5",
    "display_table": "table",
    "display_weight_stats": "model",
}  # fmt: skip
NAMES = ["BG", "cat", "dog"]
IDS = np.array([1, 2, 1], np.int32)


@pytest.mark.parametrize("name", SIGNATURES)
def test_signature(name):
    begins_with(getattr(visualize, name), SIGNATURES[name])


@pytest.fixture
def scene(masks):
    """image, boxes, masks, class ids, as the first four arguments of the drawing functions."""
    masks, boxes = masks
    return np.full((40, 50, 3), 90, np.uint8), boxes, masks, IDS


def texts(ax):
    return [text.get_text() for text in ax.texts]


class TestDisplayInstances:
    def test_five_positional_arguments(self, scene):
        visualize.display_instances(*scene, NAMES)
        assert texts(plt.gca()) == ["cat", "dog", "cat"]

    def test_six_positional_arguments(self, scene):
        visualize.display_instances(*scene, NAMES, np.array([0.9, 0.8, 0.7]))
        assert texts(plt.gca()) == ["cat 0.900", "dog 0.800", "cat 0.700"]

    def test_keywords_alone(self, scene):
        image, boxes, masks, class_ids = scene
        visualize.display_instances(image=image, boxes=boxes, masks=masks, class_ids=class_ids, class_names=NAMES,
                                    scores=[0.5] * 3, title="Predictions", figsize=(8, 8), show_mask=False,
                                    show_bbox=False, colors=visualize.random_colors(3), captions=["a", "b", "c"])
        assert plt.gca().get_title() == "Predictions" and texts(plt.gca()) == ["a", "b", "c"]

    def test_only_a_figure_of_its_own_is_shown(self, scene, monkeypatch):
        shown = []
        monkeypatch.setattr(plt, "show", lambda *args, **kwargs: shown.append(1))
        visualize.display_instances(*scene, NAMES)
        assert len(shown) == 1
        visualize.display_instances(*scene, NAMES, ax=plt.subplots()[1])
        assert len(shown) == 1

    def test_given_axes_and_their_figure(self, scene):
        figure, axes = plt.subplots(1, 2)
        visualize.display_instances(*scene, NAMES, ax=axes[1])
        assert texts(axes[1]) and not texts(axes[0]) and plt.get_fignums() == [figure.number]

    def test_savefig_right_after_writes_the_picture(self, scene, tmp_path):
        visualize.display_instances(*scene, NAMES)
        plt.savefig(tmp_path / "drawn.png", dpi=10)
        plt.figure(figsize=(16, 16))
        plt.savefig(tmp_path / "blank.png", dpi=10)
        drawn, blank = (plt.imread(tmp_path / f"{name}.png") for name in ("drawn", "blank"))
        assert drawn.std() > 0.05 > blank.std()

    def test_a_loop_keeps_one_figure(self, scene):
        for _ in range(4):
            visualize.display_instances(*scene, NAMES)
        assert len(plt.get_fignums()) == 1

    def test_no_instances_are_said(self, scene, capsys):
        visualize.display_instances(scene[0], np.zeros((0, 4), np.int32), np.empty((40, 50, 0)), np.zeros(0, np.int32),
                                    NAMES, np.zeros(0))
        assert capsys.readouterr().out == "\n*** No instances to display *** \n\n"

    def test_lengths_must_agree(self, scene):
        image, boxes, masks, class_ids = scene
        with pytest.raises(ValueError, match="3 boxes, 2 masks, 3 class ids"):
            visualize.display_instances(image, boxes, masks[..., :2], class_ids, NAMES)

    def test_class_names_too_short_for_the_ids(self, scene):
        visualize.display_instances(*scene, ["BG", "cat"])
        assert texts(plt.gca()) == ["cat", "class 2", "cat"]

    @pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64, np.uint16])
    def test_images_of_any_dtype(self, scene, dtype):
        visualize.display_instances(scene[0].astype(dtype), *scene[1:], NAMES)
        assert plt.gca().images[0].get_array().dtype == np.uint8

    def test_uint8_masks(self, scene):
        image, boxes, masks, class_ids = scene
        visualize.display_instances(image, boxes, masks.astype(np.uint8), class_ids, NAMES)
        drawn = np.asarray(plt.gca().images[0].get_array())
        assert (drawn[masks.any(axis=2)] != 90).any(axis=1).all() and (drawn[~masks.any(axis=2)] == 90).all()

    def test_colors_list_is_used(self, scene):
        visualize.display_instances(*scene, NAMES, colors=[(1.0, 0.0, 0.0)] * 3)
        red, green = np.asarray(plt.gca().images[0].get_array())[10, 10, :2]
        assert red > 90 > green


class TestDisplayImages:
    def test_rows_and_titles(self, scene):
        visualize.display_images([scene[0]] * 5, titles=["a", "b", "c", "d", "e"], cols=3)
        panels = plt.gcf().axes
        assert len(panels) == 6 and [panel.get_title() for panel in panels[:5]] == ["a", "b", "c", "d", "e"]

    def test_floats_become_uint8(self, scene):
        visualize.display_images([scene[0].astype(np.float32)], cmap=None, norm=None, interpolation=None)
        assert plt.gcf().axes[0].images[0].get_array().dtype == np.uint8


@pytest.mark.parametrize("limit", [1, 4])
def test_display_top_masks_with_fewer_and_more_panels_than_classes(scene, limit):
    image, _, masks, class_ids = scene
    visualize.display_top_masks(image, masks, class_ids, NAMES, limit=limit)
    titles = [panel.get_title() for panel in plt.gcf().axes]
    assert titles == ["H x W=40x50", "cat", "dog", "-", "-"][: limit + 1]


def test_random_colors_are_shuffled():
    first, second = visualize.random_colors(20), visualize.random_colors(20)
    assert first != second and set(first) == set(second)


def test_random_colors_are_tuples_of_zero_to_one():
    colors = visualize.random_colors(5)
    assert isinstance(colors, list) and len(set(colors)) == 5
    assert all(len(color) == 3 and all(0 <= part <= 1 for part in color) for color in colors)
    assert max(max(color) for color in visualize.random_colors(5, bright=False)) == pytest.approx(0.7)


def test_apply_mask_changes_the_image_and_returns_it(scene):
    image, _, masks, _ = scene
    image = image.astype(np.uint32)
    assert visualize.apply_mask(image, masks[:, :, 0], (1.0, 0.0, 0.0), alpha=0.5) is image
    assert image[10, 10].tolist() == [172, 45, 45] and image[0, 0].tolist() == [90, 90, 90]


def test_draw_box_in_place(scene):
    image = scene[0]
    assert visualize.draw_box(image, scene[1][0], (255, 0, 0)) is image
    assert image[4, 10].tolist() == [255, 0, 0] and image[10, 10].tolist() == [90, 90, 90]


def test_draw_boxes_with_refinements_and_captions(scene):
    image, boxes, masks, _ = scene
    visualize.draw_boxes(image, boxes=boxes, refined_boxes=boxes + 1, masks=masks, captions=["a", "b", "c"],
                         visibilities=[0, 1, 2], title="ROIs")
    assert texts(plt.gca()) == ["a", "b", "c"] and plt.gca().get_title() == "ROIs"
    _, ax = plt.subplots(1)
    visualize.draw_boxes(image, refined_boxes=boxes, ax=ax)
    assert len(ax.patches) == 3


def test_draw_rois_prints_the_ratio(scene, capsys):
    image, boxes, _, _ = scene
    visualize.draw_rois(image, boxes, boxes + 1, np.ones((3, 28, 28)), np.array([1, 0, 2]), NAMES, limit=2)
    assert re.search(r"Positive ROIs:  2\nNegative ROIs:  1\nPositive Ratio: 0\.67", capsys.readouterr().out)


def test_display_differences_captions_tell_score_and_iou(scene):
    image, boxes, masks, class_ids = scene
    visualize.display_differences(image, boxes, class_ids, masks, boxes[:2], class_ids[:2], np.array([0.9, 0.8]),
                                  masks[:, :, :2], NAMES, title="Ground Truth and Detections", show_box=False)
    assert texts(plt.gca())[-2:] == ["0.90 / 1.00", "0.80 / 1.00"]


def test_plot_precision_recall_title():
    visualize.plot_precision_recall(0.75, np.array([1.0, 0.5, 0.0]), np.array([0.0, 0.5, 1.0]))
    assert plt.gca().get_title() == "Precision-Recall Curve. AP@50 = 0.750"


def test_plot_overlaps_marks_matches():
    overlaps = np.array([[0.9, 0.0], [0.0, 0.6]])
    visualize.plot_overlaps(np.array([1, 2]), np.array([1, 1]), np.array([0.9, 0.8]), overlaps, NAMES)
    assert texts(plt.gca()) == ["0.900\nmatch", "0.000", "0.000", "0.600\nwrong"]


def test_display_table_without_a_notebook(capsys):
    visualize.display_table([["NAME", "VALUE"], ["conv1", 3]])
    assert capsys.readouterr().out == "NAME   VALUE\nconv1  3\n"


def test_display_weight_stats_lists_every_layer(detector, capsys):
    visualize.display_weight_stats(detector)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["WEIGHT", "NAME", "SHAPE", "MIN", "MAX", "STD"]
    assert any("mrcnn_class_logits/kernel" in line for line in lines)
