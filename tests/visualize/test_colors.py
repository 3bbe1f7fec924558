"""Colours of classes and instances."""

import numpy as np
import pytest
from skimage.color import deltaE_ciede2000, rgb2lab

from mrcnn.visualize import class_color, random_colors
from mrcnn.visualize.colors import instance_colors


def test_random_colors():
    colors = random_colors(20)
    assert len(set(colors)) == 20
    assert np.min(colors) >= 0 and np.max(colors) == 1.0
    assert np.max(random_colors(5, bright=False)) == pytest.approx(0.7)
    assert random_colors(0) == []


def test_classes_have_fixed_colors_far_apart():
    colors = [class_color(class_id) for class_id in range(1, 91)]
    assert colors == [class_color(np.int32(class_id)) for class_id in range(1, 91)]
    lab = rgb2lab(np.array(colors)[None])[0]
    differences = deltaE_ciede2000(lab[:, None], lab[None])
    np.fill_diagonal(differences, np.inf)
    assert differences.min() > 7.8
    assert differences[:10, :10].min() > 13
    assert lab[:, 0].min() > 50, "too dark for an outline"
    assert class_color(0) not in colors
    assert class_color(91) in colors


def test_choices():
    ids = np.array([1, 2, 1])
    by_class = instance_colors(None, ids)
    assert by_class == instance_colors("class", ids) and by_class[0] == by_class[2] != by_class[1]
    assert len(set(instance_colors("instance", ids))) == 3
    assert instance_colors({2: (0, 0, 0)}, ids) == [by_class[0], (0, 0, 0), by_class[2]]
    assert instance_colors(np.eye(3), ids) == [(1, 0, 0), (0, 1, 0), (0, 0, 1)]
    assert instance_colors([], ids) == by_class
    assert instance_colors([(1, 0, 0, 0.5)] * 3, ids)[0] == (1, 0, 0, 0.5)
    with pytest.raises(ValueError, match="colors has 1 entries for 3"):
        instance_colors([(1, 0, 0)], ids)
    with pytest.raises(ValueError, match="'rainbow'"):
        instance_colors("rainbow", ids)


@pytest.mark.parametrize("color", [(255, 0, 0), (0.5, 0.5), "red", 7, (0, np.nan, 0)])
def test_wrong_colors_are_named(color):
    with pytest.raises(ValueError, match=r"colors\[1\] is"):
        instance_colors([(1, 0, 0), color], [1, 2])
    with pytest.raises(ValueError, match=r"colors\[2\] is"):
        instance_colors({2: color}, [1, 2])
