"""Pooling out of the pyramid: the peer's numbers, both samplings, gradients, precision."""

import keras
import numpy as np
import pytest
from keras import ops

from mrcnn.layers.pyramid_roi_align import PyramidROIAlign
from tests.harness import check_layer, input_gradients
from tests.oracle import roi_align as oracle


def _inputs(batch=2, count=6, side=128, channels=3):
    generator = np.random.default_rng(0)
    start = generator.uniform(0, 0.5, (batch, count, 2))
    # Off the border, where the last samples depend on rounding.
    boxes = np.concatenate([start, start + generator.uniform(0.02, 0.45, (batch, count, 2))], axis=-1)
    boxes[:, -1] = 0
    meta = np.zeros((batch, 14), "float32")
    meta[:, 4:6] = side
    levels = [generator.normal(size=(batch, side // s, side // s, channels)) for s in (4, 8, 16, 32)]
    return [boxes.astype("float32"), meta, *(level.astype("float32") for level in levels)]


@pytest.mark.jax
@pytest.mark.parametrize("side", [7, 14])
def test_like_the_peer(golden, side):
    pure = np.load(golden / "pure.npz")
    levels = [pure[f"roialign/P{level}"] for level in (2, 3, 4, 5)]
    pooled = PyramidROIAlign((side, side))([pure["roialign/boxes"], pure["roialign/image_meta"], *levels])
    np.testing.assert_allclose(ops.convert_to_numpy(pooled), pure[f"roialign/out_{side}"], atol=2e-6)


@pytest.mark.jax
@pytest.mark.parametrize("sampling", ["matterport", "aligned", "unaligned"])
def test_contract(sampling):
    (pooled,) = check_layer(PyramidROIAlign((7, 5), sampling), _inputs())
    assert pooled.shape == (2, 6, 7, 5, 3)


@pytest.mark.parametrize("aligned", [True, False])
def test_like_the_oracle(aligned):
    inputs = _inputs(side=512)
    boxes, _, *levels = inputs
    pooled = ops.convert_to_numpy(PyramidROIAlign((3, 3), "aligned" if aligned else "unaligned")(inputs))
    boxes_px = boxes * 511 + np.array([0, 0, 1, 1])
    chosen = set()
    for b, r in np.ndindex(boxes.shape[:2]):
        area = np.prod(boxes_px[b, r, 2:] - boxes_px[b, r, :2])
        level = int(np.clip(np.floor(4 + np.log2(max(np.sqrt(area), 1) / 224)), 2, 5))
        chosen.add(level)
        expected = oracle.roi_align(levels[level - 2][b], boxes_px[b, r], 2**level, (3, 3), 2, aligned)
        np.testing.assert_allclose(pooled[b, r], expected, atol=1e-4)
    assert len(chosen) > 1


@pytest.mark.jax
@pytest.mark.parametrize("sampling", ["matterport", "aligned"])
def test_gradient_goes_to_the_levels_and_not_to_the_boxes(sampling):
    """The result is linear in the levels: the factors' gradients add up to the sum of the result."""
    inputs = _inputs(side=512)
    layer = PyramidROIAlign((7, 7), sampling)
    boxes, meta, *levels = input_gradients(layer, inputs)
    assert boxes == meta == 0 and np.count_nonzero(levels) >= 2
    np.testing.assert_allclose(sum(levels), ops.convert_to_numpy(layer(inputs)).sum(), rtol=1e-3)


@pytest.mark.parametrize("sampling", ["matterport", "aligned"])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_levels_keep_their_dtype(sampling, dtype):
    boxes, meta, *levels = _inputs()
    low = [ops.cast(level, dtype) for level in levels]
    pooled = PyramidROIAlign((7, 7), sampling)([boxes, meta, *low])
    full = PyramidROIAlign((7, 7), sampling)([boxes, meta, *(ops.cast(level, "float32") for level in low)])
    assert keras.backend.standardize_dtype(pooled.dtype) == dtype
    difference = ops.cast(pooled, "float32") - full
    assert ops.convert_to_numpy(ops.max(ops.abs(difference))) < 0.02


def test_mixed_policy_in_a_model():
    inputs = [array.astype("float16") if i > 1 else array for i, array in enumerate(_inputs())]
    check_layer(PyramidROIAlign((7, 7)), inputs, tolerance=2e-3)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="graphs with open sizes")
@pytest.mark.parametrize("sampling", ["matterport", "aligned"])
def test_image_size_unknown_in_the_graph(sampling):
    symbols = [keras.Input((None, 4)), keras.Input((14,)), *(keras.Input((None, None, 3)) for _ in range(4))]
    model = keras.Model(symbols, PyramidROIAlign((7, 7), sampling)(symbols))
    for side in (64, 128):
        expected = PyramidROIAlign((7, 7), sampling)(_inputs(side=side))
        np.testing.assert_allclose(model.predict_on_batch(_inputs(side=side)), expected, atol=1e-5)


def test_unknown_sampling_is_named():
    with pytest.raises(ValueError, match="nearest"):
        PyramidROIAlign((7, 7), "nearest")
