"""Annotation shapes as masks: the same pixels as skimage's, cut off at the image, never a surprise."""

import numpy as np
import pytest
import skimage.draw
from hypothesis import given, settings
from hypothesis import strategies as st

from mrcnn.data import regions

SHAPE = (20, 30)
FAR = regions.MAX_COORDINATE


def drawn(rows_and_columns, shape=SHAPE):
    """What skimage.draw gives, as a mask."""
    mask = np.zeros(shape, bool)
    mask[rows_and_columns] = True
    return mask


def corners(numbers):
    return st.lists(st.tuples(numbers, numbers), min_size=3, max_size=12)


# Whole and quarter pixels put borders and corners on pixel centres; few values make points coincide.
GRIDS = [st.integers(-5, 36), st.integers(8, 12), st.integers(-20, 140).map(lambda n: n / 4)]


class TestPolygon:
    @pytest.mark.parametrize("numbers", [*GRIDS, st.floats(-10, 40)], ids=["whole", "crowded", "quarters", "any"])
    def test_the_pixels_of_skimage(self, numbers):
        @settings(max_examples=150, deadline=None)
        @given(corners(numbers))
        def check(points):
            xs, ys = np.array(points, float).T
            mask = regions.polygon_mask(xs, ys, SHAPE)
            assert np.array_equal(mask, drawn(skimage.draw.polygon(ys, xs, SHAPE)))

        check()

    def test_hole_by_crossing_itself(self):
        # A frame: the outer square, a cut inwards, the inner square the same way round, and back.
        xs, ys = [2, 18, 18, 2, 2, 6, 14, 14, 6, 6], [2, 2, 18, 18, 2, 6, 6, 14, 14, 6]
        mask = regions.polygon_mask(xs, ys, SHAPE)
        assert mask[3, 10] and mask[2, 2] and mask[18, 18] and not mask[10, 10]

    def test_beyond_the_image_is_cut_off(self):
        assert regions.polygon_mask([-FAR, FAR, FAR, -FAR], [-FAR, -FAR, FAR, FAR], SHAPE).all()
        half = regions.polygon_mask([-100, 14, 14, -100], [-100, -100, 100, 100], SHAPE)
        assert half[:, :15].all() and not half[:, 15:].any()

    @pytest.mark.parametrize("xs, ys", [([40, 50, 45], [2, 2, 9]), ([-9, -2, -5], [2, 2, 9]),
                                        ([2, 9, 5], [50, 50, 60])])
    def test_wholly_outside(self, xs, ys):
        mask = regions.polygon_mask(xs, ys, SHAPE)
        assert mask.shape == SHAPE and mask.dtype == bool and not mask.any()

    @pytest.mark.parametrize("count", [0, 1, 2])
    def test_fewer_than_three_corners(self, count):
        assert not regions.polygon_mask([5, 9][:count], [5, 9][:count], SHAPE).any()

    def test_unequal_lengths(self):
        with pytest.raises(ValueError, match="3 x and 2 y"):
            regions.polygon_mask([1, 2, 3], [1, 2], SHAPE)


class TestRectangle:
    def test_width_and_height_count_pixels(self):
        mask = regions.rectangle_mask(3, 5, 4, 2, SHAPE)
        assert mask[5:7, 3:7].all() and mask.sum() == 8

    @given(st.floats(0, 15), st.floats(0, 10), st.floats(0, 9), st.floats(0, 9))
    @settings(deadline=None)
    def test_the_pixels_of_skimage(self, x, y, width, height):
        expected = drawn(skimage.draw.rectangle((y, x), extent=(height, width), shape=SHAPE))
        assert np.array_equal(regions.rectangle_mask(x, y, width, height, SHAPE), expected)

    @pytest.mark.parametrize("box, count", [((-5, -5, 8, 7), 6), ((28, 18, 9, 9), 4), ((-9, 2, 4, 4), 0),
                                            ((40, 2, 4, 4), 0), ((-FAR, -FAR, FAR, FAR), 0), ((-9, -9, FAR, FAR), 600)])
    def test_beyond_the_image_is_cut_off(self, box, count):
        assert regions.rectangle_mask(*box, SHAPE).sum() == count

    @pytest.mark.parametrize("width, height", [(0, 4), (4, 0), (-3, 4), (4, -3)])
    def test_no_area(self, width, height):
        assert not regions.rectangle_mask(10, 10, width, height, SHAPE).any()


class TestEllipse:
    def test_turned_clockwise_on_the_screen(self):
        mask = regions.ellipse_mask(15, 10, 9, 1.5, np.pi / 4, SHAPE)
        assert mask[15, 20] and mask[5, 10] and not mask[5, 20] and not mask[15, 10]

    def test_a_quarter_turn_swaps_the_axes(self):
        turned = regions.ellipse_mask(15, 10, 8.5, 3.5, np.pi / 2, SHAPE)
        assert np.array_equal(turned, regions.ellipse_mask(15, 10, 3.5, 8.5, 0, SHAPE))

    def test_area(self):
        mask = regions.ellipse_mask(50, 40, 30, 20, 0.7, (80, 100))
        assert mask.sum() == pytest.approx(np.pi * 30 * 20, rel=0.01)

    def test_circle_is_skimages_disk(self):
        assert np.array_equal(regions.circle_mask(12.3, 9.6, 6.4, SHAPE),
                              drawn(skimage.draw.disk((9.6, 12.3), 6.4, shape=SHAPE)))

    def test_beyond_the_image_is_cut_off(self):
        assert regions.circle_mask(15, 10, FAR, SHAPE).all()
        assert not regions.circle_mask(-FAR, 10, 50, SHAPE).any()
        assert not regions.circle_mask(40, 30, 5, SHAPE).any()
        assert np.array_equal(regions.circle_mask(0, 0, 5, SHAPE), regions.circle_mask(5, 5, 5, (30, 40))[5:25, 5:35])

    @pytest.mark.parametrize("rx, ry", [(0, 3), (3, 0), (-3, 3)])
    def test_no_area(self, rx, ry):
        assert not regions.ellipse_mask(10, 10, rx, ry, 0.3, SHAPE).any()


class TestLinesAndPoints:
    def test_an_open_line_one_pixel_wide(self):
        mask = regions.polyline_mask([2, 8, 8], [3, 3, 7], SHAPE)
        expected = np.zeros(SHAPE, bool)
        expected[3, 2:9] = expected[3:8, 8] = True
        assert np.array_equal(mask, expected) and mask.dtype == bool

    @pytest.mark.parametrize("thickness", range(1, 8))
    def test_thickness(self, thickness):
        mask = regions.polyline_mask([5, 20], [10, 10], SHAPE, thickness)
        assert mask[:, 12].sum() == thickness and mask[10, 5:21].all()

    def test_a_thick_line_just_outside_reaches_in(self):
        mask = regions.polyline_mask([5, 20], [-2, -2], SHAPE, thickness=7)
        assert mask[:2, 12].all() and not mask[2:].any()

    def test_beyond_the_image_is_cut_off(self):
        across = regions.polyline_mask([-FAR, FAR], [10, 10], SHAPE)
        assert across[10].all() and across.sum() == SHAPE[1]
        assert not regions.polyline_mask([50, 60], [5, 9], SHAPE).any()

    @pytest.mark.parametrize("count", [0, 1])
    def test_no_line(self, count):
        assert not regions.polyline_mask([5][:count], [5][:count], SHAPE).any()

    @pytest.mark.parametrize("x, y, pixel", [(4, 6, (6, 4)), (4.4, 5.6, (6, 4)), (-0.4, 19.4, (19, 0)),
                                             (2.5, 3.5, (4, 2))])
    def test_a_point_is_its_nearest_pixel(self, x, y, pixel):
        mask = regions.point_mask(x, y, SHAPE)
        assert mask[pixel] and mask.sum() == 1

    @pytest.mark.parametrize("x, y", [(-1, 5), (30, 5), (5, 20), (FAR, -FAR)])
    def test_a_point_outside(self, x, y):
        assert not regions.point_mask(x, y, SHAPE).any()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e12])
@pytest.mark.parametrize("draw", [
    lambda bad: regions.polygon_mask([1, bad, 3], [1, 2, 3], SHAPE), lambda bad: regions.point_mask(2, bad, SHAPE),
    lambda bad: regions.rectangle_mask(1, 1, bad, 4, SHAPE), lambda bad: regions.circle_mask(1, 1, bad, SHAPE),
    lambda bad: regions.ellipse_mask(1, 1, 2, 2, bad, SHAPE),
    lambda bad: regions.polyline_mask([1, 2], [bad, 2], SHAPE),
])
def test_numbers_that_are_no_pixels(draw, bad):
    with pytest.raises(ValueError, match="finite numbers of pixels"):
        draw(bad)


def test_colour_images_give_flat_masks():
    assert regions.polygon_mask([1, 5, 5], [1, 1, 5], (*SHAPE, 3)).shape == SHAPE
    assert regions.circle_mask(5, 5, 3, [*SHAPE, 3]).shape == SHAPE
