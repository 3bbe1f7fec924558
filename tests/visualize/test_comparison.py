"""Ground truth against detections."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from skimage.io import imread

from mrcnn.visualize import display_comparison, display_differences, show_truth_and_detections

from .samples import NAMES, instances, picture


def first(r, count):
    return {name: values[..., :count] if name == "masks" else values[:count] for name, values in r.items()}


def differences(truth, found, **options):
    return display_differences(
        picture(), truth["rois"], truth["class_ids"], truth["masks"], found["rois"], found["class_ids"],
        found["scores"], found["masks"], NAMES, **options)


def test_captions_tell_score_and_iou():
    truth = instances(4)
    found = first(truth, 2)
    found["scores"] = np.array([0.6, 0.9])  # not sorted
    found["masks"] = found["masks"].copy()
    top = found["rois"][1][0]
    found["masks"][top + 12:, :, 1] = False
    ax = differences(truth, found, save_path=None)
    texts = sorted(text.get_text() for text in ax.texts)
    assert texts[0] == "0.60 / 1.00"
    assert texts[1].startswith("0.90 / 0.") and texts[1] != "0.90 / 0.00"
    assert "GT=green" in ax.get_title()


@pytest.mark.parametrize(("truth_count", "found_count"), [(0, 0), (0, 2), (3, 0)])
def test_empty_sides(truth_count, found_count, tmp_path):
    differences(instances(truth_count), instances(found_count), save_path=tmp_path / "a" / "b.png")
    assert (tmp_path / "a" / "b.png").exists()


def test_side_by_side(tmp_path):
    truths, results = [instances(3), instances(0)], [instances(2), instances(1)]
    images = [picture(), picture(60, 40)]
    results[1] = instances(1, 60, 40)
    truths[1] = instances(0, 60, 40)
    path = tmp_path / "folder" / "comparison.png"
    figure = display_comparison(images, truths, results, NAMES, save_path=path)
    assert [axes.get_title() for axes in figure.axes] == [
        "Ground truth: 3", "Detections: 2", "Ground truth: 0", "Detections: 1"]
    assert plt.gcf() is figure
    height, width = imread(path).shape[:2]
    assert height > width / 2


def test_one_image(tmp_path):
    gt = {name: values for name, values in instances(2).items() if name != "scores"}
    show_truth_and_detections(picture(), gt, instances(2), NAMES, tmp_path / "one.png")
    assert (tmp_path / "one.png").exists()
    assert len(plt.get_fignums()) == 1


def test_lists_must_fit():
    with pytest.raises(ValueError, match="1 images, 0 truths and 1 results"):
        display_comparison([picture()], [], [instances(1)], NAMES)
