"""Boxes: parity with the peer, properties, edges."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrcnn.data import boxes as B


@pytest.fixture(scope="module")
def pure(golden):
    return np.load(golden / "pure.npz")


@st.composite
def pixel_boxes(draw, highest=200):
    count = draw(st.integers(1, 8))
    corners = draw(
        st.lists(
            st.tuples(*[st.integers(0, highest)] * 2, *[st.integers(1, highest)] * 2),
            min_size=count,
            max_size=count,
        )
    )
    return np.array([[y, x, y + h, x + w] for y, x, h, w in corners])


class TestParity:
    def test_overlaps(self, pure):
        boxes1, boxes2 = pure["iou/boxes1"], pure["iou/boxes2"]
        np.testing.assert_allclose(
            B.compute_overlaps(boxes1, boxes2), pure["iou/compute_overlaps"], atol=1e-12
        )
        np.testing.assert_allclose(
            B.compute_overlaps(boxes2, boxes1), pure["iou/compute_overlaps"].T, atol=1e-12
        )
        areas = B.box_areas(boxes1)
        iou = B.compute_iou(boxes2[0], boxes1, B.box_areas(boxes2)[0], areas)
        np.testing.assert_allclose(iou, pure["iou/compute_iou_box2_0"], atol=1e-12)

    def test_overlaps_of_masks(self, pure):
        overlaps = B.compute_overlaps_masks(pure["iou/masks1"], pure["iou/masks2"])
        np.testing.assert_allclose(overlaps, pure["iou/compute_overlaps_masks"], atol=1e-6)

    @pytest.mark.parametrize("threshold", ["0.3", "0.5", "0.7"])
    def test_non_max_suppression(self, pure, threshold):
        keep = B.non_max_suppression(pure["iou/boxes1"], pure["nms/scores"], float(threshold))
        assert keep.dtype == np.int32
        np.testing.assert_array_equal(keep, pure[f"nms/keep_{threshold}"])

    def test_deltas(self, pure):
        boxes, gt = pure["delta/boxes"], pure["delta/gt"]
        np.testing.assert_allclose(B.box_refinement(boxes, gt), pure["delta/box_refinement"], atol=1e-6)
        applied = B.apply_box_deltas(boxes, pure["delta/deltas"])
        np.testing.assert_allclose(applied, pure["delta/apply_box_deltas"], rtol=1e-5, atol=1e-4)
        back = B.apply_box_deltas(boxes, B.box_refinement(boxes, gt))
        np.testing.assert_allclose(back, pure["delta/roundtrip"], rtol=1e-5, atol=1e-4)

    def test_normalisation(self, pure):
        shape = pure["norm/shape"]
        normalised = B.norm_boxes(pure["norm/boxes"], shape)
        assert normalised.dtype == np.float32
        np.testing.assert_allclose(normalised, pure["norm/norm_boxes"], atol=1e-7)
        np.testing.assert_array_equal(B.denorm_boxes(normalised, shape), pure["norm/denorm_boxes"])
        np.testing.assert_array_equal(
            B.denorm_boxes(pure["norm/random"], (131, 77)), pure["norm/denorm_random"]
        )

    def test_trim_zeros(self, pure):
        np.testing.assert_array_equal(B.trim_zeros(pure["misc/trim_in"]), pure["misc/trim_zeros"])


class TestProperties:
    @given(pixel_boxes(), pixel_boxes())
    def test_deltas_lead_from_any_box_to_any_other(self, boxes, targets):
        count = min(len(boxes), len(targets))
        boxes, targets = boxes[:count], targets[:count]
        moved = B.apply_box_deltas(boxes, B.box_refinement(boxes, targets))
        np.testing.assert_allclose(moved, targets, rtol=1e-4, atol=0.02)

    @given(pixel_boxes(), st.integers(2, 2000), st.integers(2, 2000))
    def test_normalising_and_back_changes_nothing(self, boxes, height, width):
        np.testing.assert_array_equal(
            B.denorm_boxes(B.norm_boxes(boxes, (height, width)), (height, width)), boxes
        )

    @given(pixel_boxes(), pixel_boxes())
    def test_overlap_is_a_symmetric_fraction(self, boxes1, boxes2):
        overlaps = B.compute_overlaps(boxes1, boxes2)
        assert ((overlaps >= 0) & (overlaps <= 1)).all()
        np.testing.assert_array_equal(overlaps, B.compute_overlaps(boxes2, boxes1).T)
        np.testing.assert_allclose(np.diag(B.compute_overlaps(boxes1, boxes1)), 1)

    @given(pixel_boxes(40), st.floats(0.1, 0.9))
    def test_suppression_leaves_no_pair_above_the_threshold(self, boxes, threshold):
        scores = np.linspace(1, 0.1, len(boxes))
        keep = B.non_max_suppression(boxes, scores, threshold)
        overlaps = B.compute_overlaps(boxes[keep], boxes[keep]) - np.eye(len(keep))
        assert (overlaps <= threshold + 1e-6).all()
        assert keep[0] == 0 and (np.diff(keep) > 0).all()


class TestEdges:
    def test_no_boxes(self):
        none, one = np.zeros((0, 4)), np.array([[0, 0, 2, 2]])
        assert B.compute_overlaps(none, one).shape == (0, 1)
        assert B.compute_overlaps(one, none).shape == (1, 0)
        assert B.non_max_suppression(none, np.zeros(0), 0.5).shape == (0,)
        assert B.apply_box_deltas(none, none).shape == (0, 4)

    def test_boxes_without_area_overlap_by_zero(self):
        assert B.compute_overlaps(np.zeros((1, 4)), np.zeros((1, 4)))[0, 0] == 0

    def test_empty_masks_overlap_by_zero(self):
        empty = np.zeros((4, 4, 1), bool)
        assert B.compute_overlaps_masks(empty, empty)[0, 0] == 0
        assert B.compute_overlaps_masks(empty, np.zeros((4, 4, 0))).shape == (1, 0)

    def test_masks_of_other_sizes_name_the_cure(self):
        with pytest.raises(ValueError, match="use_mini_mask=False"):
            B.compute_overlaps_masks(np.ones((4, 4, 1)), np.ones((5, 4, 1)))

    def test_the_whole_image_is_the_unit_box(self):
        np.testing.assert_array_equal(B.norm_boxes(np.array([[0, 0, 30, 50]]), (30, 50)), [[0, 0, 1, 1]])

    def test_whole_numbers_are_not_changed_in_place(self):
        boxes = np.array([[0, 0, 10, 10]])
        B.apply_box_deltas(boxes, np.full((1, 4), 0.3))
        np.testing.assert_array_equal(boxes, [[0, 0, 10, 10]])
