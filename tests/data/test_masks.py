"""Boxes around masks, mini masks and back."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mrcnn.data import masks as M
from mrcnn.data.resize import nearest_rows, take_mask

from .toy import ToyConfig


@pytest.fixture(scope="module")
def pure(golden):
    return np.load(golden / "pure.npz")


@st.composite
def random_masks(draw):
    height, width, count = draw(st.tuples(st.integers(1, 40), st.integers(1, 40), st.integers(1, 4)))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    masks = rng.random((height, width, count)) < draw(st.sampled_from([0.02, 0.3, 1.0]))
    masks[0, 0, masks.any(axis=(0, 1)) == 0] = True
    return masks


def boxes_one_by_one(masks):
    boxes = []
    for index in range(masks.shape[2]):
        ys, xs = np.nonzero(masks[:, :, index])
        boxes.append([ys.min(), xs.min(), ys.max() + 1, xs.max() + 1] if len(ys) else [0] * 4)
    return np.array(boxes, np.int32).reshape(-1, 4)


class TestParity:
    def test_boxes(self, pure):
        boxes = M.extract_bboxes(pure["mask/full"])
        assert boxes.dtype == np.int32
        np.testing.assert_array_equal(boxes, pure["mask/extract_bboxes"])
        empty = M.extract_bboxes(pure["mask/extract_bboxes_empty_in"])
        np.testing.assert_array_equal(empty, pure["mask/extract_bboxes_empty"])

    @pytest.mark.parametrize("side", [56, 28])
    def test_mini_masks(self, pure, side):
        full, boxes = pure["mask/full"], pure["mask/extract_bboxes"]
        mini = M.minimize_mask(boxes, full, (side, side))
        assert mini.dtype == bool
        np.testing.assert_array_equal(mini, pure[f"mask/mini_{side}"])
        np.testing.assert_array_equal(M.expand_mask(boxes, mini, full.shape), pure[f"mask/expand_{side}"])

    def test_unmold(self, pure):
        shape = pure["mask/full"].shape
        for index, (mask, box) in enumerate(zip(pure["mask/soft"], pure["mask/unmold_boxes"], strict=True)):
            np.testing.assert_array_equal(M.unmold_mask(mask, box, shape), pure["mask/unmold"][:, :, index])
        together = M.unmold_masks(pure["mask/soft"], pure["mask/unmold_boxes"], shape)
        np.testing.assert_array_equal(together, pure["mask/unmold"])


class TestProperties:
    @given(random_masks())
    def test_boxes_are_the_smallest(self, masks):
        np.testing.assert_array_equal(M.extract_bboxes(masks), boxes_one_by_one(masks))

    @settings(deadline=None)
    @given(random_masks())
    def test_mini_masks_of_the_boxes_size_lose_nothing(self, masks):
        for index, (y1, x1, y2, x2) in enumerate(M.extract_bboxes(masks)):
            one = masks[:, :, index : index + 1]
            box = np.array([[y1, x1, y2, x2]])
            mini = M.minimize_mask(box, one, (y2 - y1, x2 - x1))
            np.testing.assert_array_equal(M.expand_mask(box, mini, masks.shape), one)

    @settings(deadline=None, max_examples=50)
    @given(random_masks(), st.floats(0.3, 3), st.booleans())
    def test_masks_resized_in_thought_are_masks_resized(self, masks, scale, flip):
        height, width = (max(1, round(side * scale)) for side in masks.shape[:2])
        rows = nearest_rows(masks.shape[0], height, (3, 2))
        columns = nearest_rows(masks.shape[1], width, (0, 5))
        if flip:
            columns = columns[::-1]
        resized = take_mask(masks, rows, columns)
        boxes = M.resized_bboxes(masks, rows, columns)
        np.testing.assert_array_equal(boxes, boxes_one_by_one(resized))
        seen = boxes[:, 2] > 0
        in_thought = M.sample_mini_masks(masks[:, :, seen], boxes[seen], (7, 9), rows, columns)
        np.testing.assert_array_equal(in_thought, M.minimize_mask(boxes[seen], resized[:, :, seen], (7, 9)))


class TestEdges:
    @pytest.mark.parametrize("dtype", [np.uint8, np.float64, np.int64])
    def test_any_dtype_counts_what_is_not_zero(self, dtype):
        mask = np.zeros((9, 9, 1), dtype)
        mask[2:4, 5:8] = 200
        np.testing.assert_array_equal(M.extract_bboxes(mask), [[2, 5, 4, 8]])
        assert M.minimize_mask(np.array([[2, 5, 4, 8]]), mask, [6, 6]).all()

    def test_no_masks(self):
        none = np.zeros((9, 9, 0), bool)
        assert M.extract_bboxes(none).shape == (0, 4)
        assert M.minimize_mask(np.zeros((0, 4), int), none, (5, 6)).shape == (5, 6, 0)
        assert M.expand_mask(np.zeros((0, 4), int), np.zeros((5, 6, 0), bool), (9, 9, 3)).shape == (9, 9, 0)
        assert M.unmold_masks(np.zeros((0, 5, 5)), np.zeros((0, 4), int), (9, 8)).shape == (9, 8, 0)

    def test_a_box_without_area_is_named(self):
        with pytest.raises(ValueError, match="Invalid bounding box with area of zero: box 1"):
            M.minimize_mask(np.array([[0, 0, 2, 2], [3, 3, 3, 5]]), np.ones((9, 9, 2)), (5, 5))

    def test_what_lies_outside_is_cut_off(self):
        full = M.unmold_mask(np.ones((4, 4)), (-3, 5, 4, 20), (10, 10))
        assert full[:4, 5:].all() and full.sum() == 20
        for nothing in (3, 3, 3, 9), (7, 2, 4, 9), (-5, 2, -1, 9), (2, 10, 8, 14):
            assert not M.unmold_mask(np.ones((4, 4)), nothing, (10, 10)).any()

    def test_mold_mask_follows_the_config(self):
        config, mask = ToyConfig(), np.ones((20, 20, 2), np.uint8)
        assert M.mold_mask(mask, config).shape == (14, 14, 2)
        config.USE_MINI_MASK = False
        assert M.mold_mask(mask, config).shape == (20, 20, 2) and M.mold_mask(mask, config).dtype == bool


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_every_number_but_zero_is_object(dtype):
    values = np.array([[[0, 1, 0.2, -1, 255, np.nan]]], dtype)
    binary = M.binary_masks(values)
    assert binary.dtype == bool and binary.ravel().tolist() == [False, True, True, True, True, False]
    assert M.extract_bboxes(values)[:, 2].tolist() == [0, 1, 1, 1, 1, 0]
