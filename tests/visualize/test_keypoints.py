"""Skeletons drawn into a picture."""

import numpy as np
import pytest

from mrcnn.visualize import draw_instances, draw_keypoints

GREY = np.full((80, 100, 3), 128, np.uint8)
POINTS = np.array([[[20.0, 20.0], [20.0, 80.0], [60.0, 50.0]]])


def test_dots_and_lines():
    drawn = draw_keypoints(GREY, POINTS, [(0, 1)])
    assert drawn.shape == GREY.shape and (GREY == 128).all()
    for y, x in POINTS[0].astype(int):
        assert (drawn[y, x] != 128).any()
    assert (drawn[20, 50] != 128).any() and (drawn[40, 35] == 128).all()


def test_hidden_keypoints_have_neither():
    drawn = draw_keypoints(GREY, POINTS, [(0, 1), (0, 2)], [[True, False, True]])
    assert (drawn[20, 80] == 128).all() and (drawn[20, 55] == 128).all() and (drawn[40, 35] != 128).any()


def test_people_have_cocos_skeleton():
    generator = np.random.default_rng(0)
    people = generator.uniform(10, 70, (1, 17, 2))
    assert (draw_keypoints(GREY, people) != draw_keypoints(GREY, people, ())).any()


def test_outside_the_picture_is_cut_off():
    assert draw_keypoints(GREY, POINTS + 70, [(0, 1)]).shape == GREY.shape


def test_results_with_keypoints():
    result = {"rois": np.array([[10, 10, 70, 90]]), "class_ids": np.array([1]), "keypoints": POINTS}
    with_lines = draw_instances(GREY, result, None, skeleton=[(0, 1)])
    result.pop("keypoints")
    assert (with_lines != draw_instances(GREY, result, None))[20, 50].any()


@pytest.mark.parametrize(
    ("points", "skeleton", "visible", "problem"),
    [
        (POINTS[0], None, None, "shape"),
        (POINTS, [(0, 3)], None, "joins keypoints 0 to 3; there are 3"),
        (POINTS, None, [True], "visible"),
    ],
)
def test_what_does_not_fit_is_refused(points, skeleton, visible, problem):
    with pytest.raises(ValueError, match=problem):
        draw_keypoints(GREY, points, skeleton, visible)
