"""The heads keep their promises, and their weights have Matterport's names."""

import keras
import numpy as np
import pytest
from keras import ops

from mrcnn.heads.box import BoxHead
from mrcnn.heads.keypoint import KeypointHead
from mrcnn.heads.mask import MaskHead
from mrcnn.heads.rpn import RPNHead
from mrcnn.layers.window_conv import WindowConv2D

pytestmark = pytest.mark.jax
RNG = np.random.default_rng(0)
POOLED = RNG.normal(size=(2, 3, 6, 6, 8)).astype("float32")
FEATURE = RNG.normal(size=(2, 5, 7, 8)).astype("float32")
HEADS = {
    "rpn": (lambda **k: RPNHead(3, 1, 16, **k), FEATURE),
    "rpn_stride": (lambda **k: RPNHead(2, 2, 16, **k), FEATURE),
    "box": (lambda **k: BoxHead(4, 6, 16, **k), POOLED),
    "box_group": (lambda **k: BoxHead(4, 6, 16, norm="group", **k), POOLED),
    "keypoint": (lambda **k: KeypointHead(5, 8, **k), POOLED),
    "mask": (lambda **k: MaskHead(4, 8, **k), POOLED),
    "mask_group": (lambda **k: MaskHead(4, 8, norm="group", **k), POOLED),
}


@pytest.mark.parametrize("name", HEADS)
class TestEveryHead:
    def test_declares_what_it_returns(self, name):
        make, inputs = HEADS[name]
        head = make()
        declared = keras.tree.flatten(head(keras.Input(batch_shape=(None, *inputs.shape[1:]))))
        outputs = keras.tree.flatten(head(inputs))
        for spec, output in zip(declared, outputs, strict=True):
            assert spec.shape[1:] == output.shape[1:]
            assert spec.dtype == keras.backend.standardize_dtype(output.dtype) == "float32"

    def test_config_round_trip(self, name):
        head = HEADS[name][0](name="head")
        again = type(head).from_config(head.get_config())
        assert again.get_config() == head.get_config()

    def test_half_precision_computes_in_half_and_returns_float32(self, name):
        make, inputs = HEADS[name]
        keras.mixed_precision.set_global_policy("mixed_bfloat16")
        try:
            outputs = keras.tree.flatten(make()(inputs))
        finally:
            keras.mixed_precision.set_global_policy("float32")
        for output in outputs:
            assert keras.backend.standardize_dtype(output.dtype) == "float32"
            assert np.all(np.isfinite(ops.convert_to_numpy(output)))


def test_rpn_orders_anchors_by_row_column_and_shape():
    head = RPNHead(3, 1, 16)
    head.build(FEATURE.shape)
    _, probs, deltas = head(FEATURE)
    hidden = head.hidden(FEATURE)
    raw = ops.convert_to_numpy(head.bbox_pred(hidden))
    np.testing.assert_allclose(ops.convert_to_numpy(deltas)[0, (2 * 7 + 4) * 3 + 1], raw[0, 2, 4, 4:8], rtol=1e-5)
    np.testing.assert_allclose(ops.convert_to_numpy(probs).sum(-1), 1, rtol=1e-5)


def test_window_convolution_is_a_convolution():
    x = RNG.normal(size=(4, 6, 6, 8)).astype("float32")
    window, plain = WindowConv2D(16, 6), keras.layers.Conv2D(16, 6)
    window.build(x.shape)
    plain.build(x.shape)
    bias = RNG.normal(size=16)
    plain.set_weights([window.get_weights()[0], bias])
    window.set_weights(plain.get_weights())
    np.testing.assert_allclose(
        ops.convert_to_numpy(window(x)), ops.convert_to_numpy(plain(x)), rtol=1e-4, atol=1e-5
    )


def test_masks_double_like_torchvisions(golden_torchvision):
    """The recorded transposed convolution has four filters, ours as many as channels, and a ReLU behind it."""
    case = np.load(golden_torchvision / "ops_losses_layers.npz")
    head = MaskHead(4, 6)
    head.build((None, 1, 9, 7, 6))
    head.deconv.set_weights([np.pad(case["w2"].transpose(2, 3, 1, 0), [(0, 0)] * 2 + [(0, 2), (0, 0)]), np.zeros(6)])
    found = ops.convert_to_numpy(head.deconv(case["x"].transpose(0, 2, 3, 1)))[..., :4].transpose(0, 3, 1, 2)
    np.testing.assert_allclose(found, np.maximum(case["deconv2_s2"], 0), atol=1e-5)


def test_heat_maps_double_twice_like_torchvisions(golden_torchvision, monkeypatch):
    case = np.load(golden_torchvision / "ops_losses_layers.npz")
    x = case["x"].transpose(0, 2, 3, 1)
    head = KeypointHead(4, 6)
    head.build((None, 1, 9, 7, 6))
    head.deconv.set_weights([case["w4"].transpose(2, 3, 1, 0), np.zeros(4)])
    found = ops.convert_to_numpy(head.deconv(x)).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(found, case["deconv4_s2_p1"], atol=1e-5)
    monkeypatch.setattr(head, "hidden", [])
    found = ops.convert_to_numpy(head(x[:, None]))[:, 0].transpose(0, 3, 1, 2)
    np.testing.assert_allclose(found, case["deconv4_then_bilinear_x2"], atol=1e-5)


def test_leaves_have_matterports_names():
    heads = [RPNHead(name="rpn_model"), BoxHead(4, 6, 16, name="box"), MaskHead(4, 8, name="mask")]
    for head, shape in zip(heads, (FEATURE.shape, POOLED.shape, POOLED.shape), strict=True):
        head.build(shape)
    names = {weight.path.split("/")[-2] for head in heads for weight in head.weights}
    expected = {"rpn_conv_shared", "rpn_class_raw", "rpn_bbox_pred", "mrcnn_class_conv1", "mrcnn_class_bn1"}
    expected |= {"mrcnn_class_conv2", "mrcnn_class_bn2", "mrcnn_class_logits", "mrcnn_bbox_fc"}
    expected |= {f"mrcnn_mask_{kind}{i}" for kind in ("conv", "bn") for i in range(1, 5)}
    assert names == expected | {"mrcnn_mask_deconv", "mrcnn_mask"}


@pytest.mark.parametrize("norm", ["batch", "group"])
@pytest.mark.parametrize("used", [[[1, 0, 1], [0, 0, 1]], [[0, 0, 0], [0, 0, 0]], [[1, 1, 1], [1, 1, 1]]])
def test_masks_of_used_regions_are_the_same_without_the_others(used, norm):
    head = MaskHead(4, 8, norm=norm)
    expected = ops.convert_to_numpy(head(POOLED))
    used = np.array(used, bool)
    found = ops.convert_to_numpy(head(POOLED, ops.convert_to_tensor(used)))
    assert found.shape == expected.shape and np.isfinite(found).all()
    np.testing.assert_allclose(found[used], expected[used], rtol=1e-4, atol=1e-5)


def test_batch_statistics_are_those_of_the_regions_that_count():
    head = MaskHead(4, 8, norm="batch", train_bn=True)
    used = np.array([[1, 0, 1], [0, 0, 1]], bool)
    expected = ops.convert_to_numpy(head(POOLED[used][None]))[0]
    found = ops.convert_to_numpy(head(POOLED, ops.convert_to_tensor(used)))[used]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_batch_statistics_where_no_region_counts():
    head = MaskHead(4, 8, norm="batch", train_bn=True)
    expected = ops.convert_to_numpy(head(POOLED))
    found = ops.convert_to_numpy(head(POOLED, ops.zeros((2, 3), "bool")))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
