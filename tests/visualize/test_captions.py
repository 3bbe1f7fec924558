"""Where captions go."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mrcnn.visualize.captions import CaptionLayout, chosen_texts, tie_line


def free_corners(taken, height, width, plate):
    """All whole corners in an image where a plate touches none of `taken`, by trying every one."""
    return [(y, x) for y in range(height - plate[0] + 1) for x in range(width - plate[1] + 1)
            if not any(y < bottom and top < y + plate[0] and x < right and left < x + plate[1]
                       for top, left, bottom, right in taken)]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(-5, 40), st.integers(-5, 50), st.integers(3, 12), st.integers(4, 25)),
                min_size=1, max_size=12))
def test_the_nearest_free_place_by_trying_all(wishes):
    """Boxes without area are never in the way, so only plates are."""
    height, width = 36, 44
    layout = CaptionLayout((height, width), np.zeros([0, 4]))
    taken = []
    for y, x, *plate in wishes:
        top, left = layout.place((y, x, y, x), *plate)
        wanted = (min(max(y - plate[0] if y >= plate[0] else y, 0), height - plate[0]),
                  min(max(x, 0), width - plate[1]))
        corners = free_corners(taken, height, width, plate)
        assert (top, left) in (corners or [wanted])
        assert np.hypot(top - wanted[0], left - wanted[1]) == pytest.approx(
            min(np.hypot(y - wanted[0], x - wanted[1]) for y, x in corners or [wanted]))
        taken.append((top, left, top + plate[0], left + plate[1]))


def test_texts_are_cut_before_they_are_left_out():
    """Room for 1500 pixels in an image of 100 x 100."""
    texts, boxes = [(10, 60), (10, 40), (10, 25)], [(0, 0, 9, width) for width in (10, 20, 30, 40)]
    assert chosen_texts([texts] * 2, boxes[:2], (100, 100)) == [0, 0], "no crowd"
    assert chosen_texts([texts] * 4, boxes, (100, 100)) == [2, 2, 1, 0]
    assert chosen_texts([texts] * 5, [*boxes, boxes[0]], (100, 100)) == [2, 2, 1, 0, None]
    assert chosen_texts([[(10, 60)]] * 4, boxes, (100, 100)) == [0, 0, None, None], "names without scores"
    assert chosen_texts([], [], (100, 100)) == []


def test_above_the_box_or_inside_at_the_top_of_the_image():
    layout = CaptionLayout((100, 100), [])
    assert layout.place((50, 20, 90, 90), 10, 30) == (40, 20)
    assert layout.place((3, 20, 90, 90), 10, 30) == (3, 20)
    assert layout.place((3, 95, 90, 99), 10, 30) == (3, 70)


def test_a_plate_larger_than_the_image():
    assert CaptionLayout((10, 10), []).place((5, 5, 9, 9), 20, 20) == (0, 0)


def test_small_objects_are_spared():
    small, large = (40, 40, 50, 50), (30, 0, 100, 100)
    for boxes, expected in (([large], (40, 45)), ([small, large], (40, 50))):
        layout = CaptionLayout((100, 100), boxes)
        assert layout.place((50, 45, 60, 55), 10, 30) == expected


def test_small_objects_are_no_reason_to_go_far():
    crowd = [(y, x, y + 5, x + 5) for y in range(0, 200, 5) for x in range(0, 200, 5)]
    assert CaptionLayout((200, 200), crowd).place((100, 100, 105, 105), 10, 30) == (90, 100)


@pytest.mark.parametrize(("plate", "box", "expected"), [
    ((0, 0, 10, 30), (10, 5, 40, 40), None),                       # touches from above
    ((0, 0, 10, 30), (2, 5, 40, 40), None),                        # overlaps
    ((0, 0, 10, 30), (20, 10, 40, 40), ((20.0, 10), (20.0, 20))),  # straight down
    ((30, 0, 40, 30), (20, 50, 25, 60), ((30, 30), (50, 25))),     # up and to the right
])
def test_tie_lines(plate, box, expected):
    assert tie_line(plate, box) == expected
