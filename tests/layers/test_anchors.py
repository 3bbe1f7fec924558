"""Anchors and box coordinates in the graph."""

import keras
import numpy as np
import pytest
from keras import ops

from mrcnn.configurations import Detectron2MaskRCNN, TorchvisionMaskRCNN
from mrcnn.data.anchors import config_anchors
from mrcnn.layers.anchors import AnchorLayer
from mrcnn.layers.boxes import NormBoxes
from tests.golden_torchvision import SWAPPED
from tests.harness import check_declaration, check_layer

SCALES, RATIOS, STRIDES = (8, 16, 32, 64, 128), (0.5, 1, 2), (4, 8, 16, 32, 64)


@pytest.fixture(scope="module")
def pure(golden):
    return np.load(golden / "pure.npz")


def _image(height=64, width=128):
    return np.zeros((2, height, width, 3), "float32")


@pytest.mark.jax
def test_like_the_peer(golden):
    anchors = AnchorLayer(SCALES, RATIOS, STRIDES)(_image(128, 128))
    expected = np.load(golden / "train_rpn.npz")["anchors_pixels"]
    np.testing.assert_allclose(ops.convert_to_numpy(anchors), expected, atol=1e-5)


@pytest.mark.jax
@pytest.mark.parametrize("anchor_stride", [1, 2])
def test_contract(anchor_stride):
    layer = AnchorLayer(SCALES, RATIOS, STRIDES, anchor_stride)
    (anchors,) = check_layer(layer, _image())
    assert anchors.dtype == np.float32 and anchors.shape[1] == 4


@pytest.mark.parametrize("anchor_stride, name", [(1, "anchors/stride1"), (2, "anchors/stride2")])
def test_pyramid_like_the_peer(pure, anchor_stride, name):
    shapes, strides = pure["anchors/feature_shapes"], pure["anchors/strides"]
    height, width = (int(side) for side in shapes[0] * strides[0])
    layer = AnchorLayer(pure["anchors/scales"], pure["anchors/ratios"], strides, anchor_stride)
    anchors = ops.convert_to_numpy(layer(np.zeros((1, height, width, 3), "float32")))
    np.testing.assert_allclose(anchors, pure[name], atol=1e-4)


def test_sides_that_no_stride_divides():
    """A feature map covers the image: 65 pixels are two cells of 64."""
    anchors = AnchorLayer((8,), (1,), (64,))(_image(65, 64))
    np.testing.assert_allclose(ops.convert_to_numpy(anchors), [[-4, -4, 4, 4], [60, -4, 68, 4]])


def test_an_image_of_unknown_size_leaves_the_number_open():
    spec = AnchorLayer(SCALES, RATIOS, STRIDES)(keras.KerasTensor((None, None, None, 3)))
    assert spec.shape == (None, 4)


def test_unequal_lengths_are_named():
    with pytest.raises(ValueError, match="RPN_ANCHOR_SCALES"):
        AnchorLayer((8, 16), RATIOS, (4,))


@pytest.mark.jax
def test_norm_boxes_contract():
    boxes = np.random.default_rng(0).uniform(0, 64, (2, 5, 4)).astype("float32")
    (normalised,) = check_layer(NormBoxes(), [boxes, _image()])
    np.testing.assert_allclose(normalised, (boxes - [0, 0, 1, 1]) / [63, 127, 63, 127], rtol=1e-5, atol=1e-6)


def test_norm_boxes_of_integers_and_of_anchors():
    check_layer(NormBoxes(), [np.arange(40, dtype="int32").reshape(2, 5, 4), _image()])
    inputs = [np.zeros((7, 4), "float32"), _image()]
    normalised = NormBoxes()(inputs)
    check_declaration(NormBoxes(), inputs, [False, True], [ops.convert_to_numpy(normalised)])


def _anchors_of(config, height, width):
    """The anchors of a ready configuration for an image of that size."""
    layer = AnchorLayer(
        config.RPN_ANCHOR_SCALES, config.RPN_ANCHOR_RATIOS, config.BACKBONE_STRIDES,
        whole_pixels=config.RPN_ANCHOR_WHOLE_PIXELS,
    )  # fmt: skip
    return ops.convert_to_numpy(layer(_image(height, width)))


@pytest.mark.parametrize("image_shape", [(160, 224), (256, 320), (200, 136)])
def test_torchvisions_grid_is_the_same_on_the_host(image_shape):
    config = TorchvisionMaskRCNN()
    np.testing.assert_array_equal(config_anchors(config, (*image_shape, 3)), _anchors_of(config, *image_shape))


@pytest.mark.jax
@pytest.mark.parametrize("height, width", [(256, 320), (224, 320), (160, 224), (800, 1088)])
def test_torchvisions_grid(golden_torchvision, height, width):
    case, name = np.load(golden_torchvision / "ops_boxes.npz"), f"anchors_{height}x{width}"
    anchors = _anchors_of(TorchvisionMaskRCNN(), height, width)[:, SWAPPED]
    if name not in case:
        assert len(anchors) == case[f"{name}_n"]
        anchors, name = anchors[::101], f"{name}_every101"
    np.testing.assert_allclose(anchors, case[name], atol=1e-4)


@pytest.mark.jax
def test_detectron2s_grid(golden_torchvision):
    case = np.load(golden_torchvision / "d2_ops.npz")
    config = Detectron2MaskRCNN()
    np.testing.assert_allclose(_anchors_of(config, 160, 224)[:, SWAPPED], case["anchors_160x224"], atol=1e-4)
    # A picture of one cell has the anchors around the origin alone.
    for scale, cells in zip(config.RPN_ANCHOR_SCALES, case["cell_anchors"], strict=True):
        anchors = AnchorLayer((scale,), config.RPN_ANCHOR_RATIOS, (64,))(_image(64, 64))
        np.testing.assert_allclose(ops.convert_to_numpy(anchors)[:, SWAPPED], cells, atol=1e-4)
