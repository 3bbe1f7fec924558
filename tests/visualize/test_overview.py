"""The picture of a data set."""

import numpy as np
import pytest

from mrcnn.data.statistics import DatasetStatistics
from mrcnn.visualize import plot_dataset_overview


def statistics(counts, names=None, sizes=None, scales=(32, 64, 128, 256, 512)):
    """One image a class, with so many objects of it."""
    total = sum(counts)
    return DatasetStatistics(
        class_names=["BG"] + (names or [f"class {i}" for i in range(len(counts))]),
        image_ids=np.arange(len(counts)), image_shape=None, objects_per_image=np.array(counts),
        images_per_class=np.array([0] + [int(count > 0) for count in counts]),
        class_ids=np.repeat(np.arange(1, len(counts) + 1), counts), crowds=0,
        sizes=np.random.default_rng(0).uniform(10, 300, [total, 2]) if sizes is None else sizes,
        anchor_scales=scales, anchor_ratios=None if scales is None else (0.5, 1, 2))


def test_classes_are_sorted_and_counted():
    figure = plot_dataset_overview(statistics([3, 0, 12], ["cat", "dog", "y" * 90]))
    classes = figure.axes[0]
    assert [text.get_text()[:5] for text in classes.get_yticklabels()] == ["yyyyy", "cat", "dog"]
    assert [text.get_text() for text in classes.texts] == ["12", "3", "0"]
    assert [bar.get_width() for bar in classes.patches] == [12, 3, 0, 1, 1, 0]
    assert figure.get_suptitle() == "3 images, 15 objects, 3 classes"


def test_every_object_and_anchor_is_shown():
    found = statistics([3, 40, 12])
    sides, shapes, counts = plot_dataset_overview(found).axes[1:]
    assert sum(bar.get_height() for bar in sides.patches) == sum(bar.get_height() for bar in shapes.patches) == 55
    assert sum(bar.get_height() for bar in counts.patches) == 3
    assert [line.get_xdata()[0] for line in sides.lines[:5]] == [32, 64, 128, 256, 512] and len(sides.lines) == 10
    assert [line.get_xdata()[0] for line in shapes.lines] == [0.5, 1, 2]
    assert f"{found.poor_share:.1%}" in sides.get_title()


@pytest.mark.parametrize("found", [
    statistics([5]), statistics([2] * 80), statistics([0, 0]), statistics([4], scales=None),
    statistics([4], sizes=np.full([4, 2], 32.0)), statistics([2], sizes=np.array([[1.0, 3000.0], [3000.0, 1.0]]))])
def test_any_data_set(found, tmp_path):
    figure = plot_dataset_overview(found, title="Mine", save_path=tmp_path / "a" / "overview.png")
    assert (tmp_path / "a" / "overview.png").exists()
    assert figure.get_suptitle() == "Mine"
    assert sum(bar.get_height() for bar in figure.axes[1].patches) == len(found.class_ids)
