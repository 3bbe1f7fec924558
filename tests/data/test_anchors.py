"""Anchors and their targets."""

import numpy as np
import pytest

from mrcnn.data import anchors as A
from mrcnn.data.anchor_targets import build_rpn_targets

from .toy import ToyConfig


@pytest.fixture(scope="module")
def pure(golden):
    return np.load(golden / "pure.npz")


class TestAnchors:
    @pytest.mark.parametrize("stride", [1, 2])
    def test_parity(self, pure, stride):
        anchors = A.generate_pyramid_anchors(
            pure["anchors/scales"],
            pure["anchors/ratios"],
            pure["anchors/feature_shapes"],
            pure["anchors/strides"],
            stride,
        )
        np.testing.assert_allclose(anchors, pure[f"anchors/stride{stride}"], atol=1e-9)

    def test_backbone_shapes_parity(self, pure):
        shapes = A.compute_backbone_shapes(ToyConfig(), (130, 190, 3))
        np.testing.assert_array_equal(shapes, pure["rpn/backbone_shapes"])

    def test_order_is_row_column_ratio(self):
        anchors = A.generate_anchors(8, [0.5, 2], (2, 2), 4, 1)
        centers = (anchors[:, :2] + anchors[:, 2:]) / 2
        np.testing.assert_allclose(centers[::2], [[0, 0], [0, 4], [4, 0], [4, 4]])
        tall, wide = anchors[0, 2:] - anchors[0, :2], anchors[1, 2:] - anchors[1, :2]
        assert tall[0] == pytest.approx(2 * tall[1]) and wide[1] == pytest.approx(2 * wide[0])

    def test_sizes_round_up(self):
        shapes = A.compute_backbone_shapes(ToyConfig(), (100, 130))
        np.testing.assert_array_equal(shapes, [[25, 33], [13, 17], [7, 9], [4, 5], [2, 3]])

    def test_a_callable_backbone_brings_its_shapes(self):
        config = ToyConfig()
        config.BACKBONE, config.COMPUTE_BACKBONE_SHAPE = (lambda x: x), (lambda shape: [[shape[0], 1]])
        assert A.compute_backbone_shapes(config, (7, 7)) == [[7, 1]]

    def test_levels_must_match(self):
        with pytest.raises(ValueError, match="RPN_ANCHOR_SCALES"):
            A.generate_pyramid_anchors([8], [1], [[1, 1], [2, 2]], [4, 8], 1)

    def test_anchors_of_a_config(self):
        assert A.config_anchors(ToyConfig(), (64, 64, 3)).shape == ((16**2 + 8**2 + 4**2 + 2**2 + 1) * 3, 4)


class TestTargets:
    @pytest.mark.parametrize("case, budget", [("plain", 64), ("crowd", 64), ("many", 8), ("wide", 4096)])
    def test_parity(self, pure, case, budget):
        config = ToyConfig()
        config.RPN_TRAIN_ANCHORS_PER_IMAGE = budget
        np.random.seed(0)
        match, deltas = build_rpn_targets(
            (128, 128, 3), pure["rpn/anchors"], pure[f"rpn/{case}/gt_class_ids"], pure["rpn/gt_boxes"], config
        )
        assert match.dtype == np.int32
        np.testing.assert_array_equal(match, pure[f"rpn/{case}/match"])
        np.testing.assert_allclose(deltas, pure[f"rpn/{case}/bbox"], atol=1e-5)

    def test_an_empty_image_has_only_negatives(self):
        config = ToyConfig()
        anchors = A.config_anchors(config, (64, 64))
        match, deltas = build_rpn_targets(None, anchors, np.zeros(0, int), np.zeros((0, 4)), config)
        assert (match == -1).sum() == 16 and not (match == 1).any() and not deltas.any()

    def test_a_crowd_alone_gives_no_positives(self):
        config = ToyConfig()
        anchors = A.config_anchors(config, (64, 64))
        match, _ = build_rpn_targets(None, anchors, np.array([-1]), np.array([[0, 0, 64, 64]]), config)
        assert not (match == 1).any()
        inside = (anchors[:, :2] >= 0).all(axis=1) & (anchors[:, 2:] <= 64).all(axis=1)
        assert not (match[inside] == -1).any()

    def test_given_state_repeats(self):
        config = ToyConfig()
        anchors = A.config_anchors(config, (64, 64))
        args = (None, anchors, np.array([1, 2]), np.array([[3, 3, 40, 40], [20, 20, 60, 50]]), config)
        first = build_rpn_targets(*args, rng=np.random.RandomState(3))[0]
        np.testing.assert_array_equal(first, build_rpn_targets(*args, rng=np.random.RandomState(3))[0])
