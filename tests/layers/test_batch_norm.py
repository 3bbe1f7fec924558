"""Batch statistics of `BatchNorm`, and the groups of `norm_layer`."""

import numpy as np
import pytest
from keras import ops

from mrcnn.layers.batch_norm import BatchNorm, norm_layer
from mrcnn.ops.backend import kernel
from tests.harness import gradient_at

pytestmark = pytest.mark.jax

CHANNELS = 6
RNG = np.random.default_rng(0)
MEAN, BETA = RNG.normal(size=(2, CHANNELS)).astype("float32")
VARIANCE, GAMMA = RNG.uniform(0.5, 2.0, (2, CHANNELS)).astype("float32")
SHAPES = [(2, 5, 7, CHANNELS), (9, CHANNELS), (2, 3, 4, 5, CHANNELS)]


def frozen(shape, dtype="float32", gamma=GAMMA, beta=BETA):
    """A layer that normalises with known statistics."""
    layer = BatchNorm(dtype=dtype, epsilon=1e-3, center=beta is not None, scale=gamma is not None)
    layer.build(shape)
    layer.set_weights([weight for weight in (gamma, beta, MEAN, VARIANCE) if weight is not None])
    return layer


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("policy, tolerance", [("float32", 2e-6), ("mixed_bfloat16", 2**-8), ("mixed_float16", 2**-11)])
def test_frozen_statistics(shape, policy, tolerance):
    """The formula in float32, rounded once."""
    layer = frozen(shape, policy)
    values = ops.cast(RNG.normal(size=shape), layer.compute_dtype)
    exact = ops.convert_to_numpy(ops.cast(values, "float32")).astype("float64")
    expected = (exact - MEAN) / np.sqrt(VARIANCE + 1e-3) * GAMMA + BETA
    found = layer(values, training=True)
    assert found.dtype == values.dtype
    found = ops.convert_to_numpy(ops.cast(found, "float32"))
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=2e-6)


@pytest.mark.parametrize("gamma, beta", [(None, BETA), (GAMMA, None), (None, None)])
def test_frozen_without_scale_or_offset(gamma, beta):
    values = RNG.normal(size=SHAPES[0]).astype("float32")
    expected = (values - MEAN) / np.sqrt(VARIANCE + 1e-3) * (1 if gamma is None else gamma)
    found = ops.convert_to_numpy(frozen(values.shape, gamma=gamma, beta=beta)(values))
    np.testing.assert_allclose(found, expected + (0 if beta is None else beta), atol=2e-6)


def test_another_axis_is_refused():
    with pytest.raises(ValueError, match="axis=1 for an input of shape .*normalises the last axis"):
        BatchNorm(axis=1)(np.zeros((2, CHANNELS, 4, 5), "float32"))
    BatchNorm(axis=3)(np.zeros((2, 4, 5, CHANNELS), "float32"))


@pytest.mark.parametrize("shape", SHAPES)
def test_gradients_of_frozen_statistics(shape):
    values, pull = RNG.normal(size=(2, *shape)).astype("float32")
    rows = tuple(range(len(shape) - 1))
    arguments = values, GAMMA, BETA
    expected = pull * GAMMA, (pull * values).sum(rows), pull.sum(rows)

    def pulled(*arguments):
        found = kernel("scale_and_shift")(*(ops.convert_to_tensor(array) for array in arguments))
        return ops.sum(ops.multiply(found, pull))

    for i, exact in enumerate(expected):
        found = gradient_at(arguments[i], lambda tensor, i=i: pulled(*arguments[:i], tensor, *arguments[i + 1 :]))
        np.testing.assert_allclose(found, exact, rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("masked", [False, True])
def test_statistics_of_many_rows_are_as_exact_as_float32(masked):
    rng = np.random.default_rng(0)
    values = rng.normal(2.0, 1.0, (2, 224, 224, 16)).astype("float32")
    mask = rng.random(values.shape[:3]) < 0.5 if masked else np.ones(values.shape[:3], bool)
    counted = values.astype("float64")[mask]
    expected = (values - counted.mean(0)) / np.sqrt(counted.var(0) + 1e-3)
    layer = BatchNorm(train_bn=True, epsilon=1e-3)
    found = layer(values, mask=ops.convert_to_tensor(mask) if masked else None)
    np.testing.assert_allclose(ops.convert_to_numpy(found)[mask], expected[mask], atol=3e-6)


def test_moving_statistics_follow_the_batch():
    values = np.random.default_rng(0).normal(5.0, 2.0, (4, 8, 8, 3)).astype("float32")
    layer = BatchNorm(train_bn=None, momentum=0.0)
    layer(values, training=True)
    np.testing.assert_allclose(ops.convert_to_numpy(layer.moving_mean), values.mean((0, 1, 2)), rtol=1e-5)
    np.testing.assert_allclose(ops.convert_to_numpy(layer.moving_variance), values.var((0, 1, 2)), rtol=1e-5)


@pytest.mark.parametrize("trainable, training", [(True, True), (False, True), (True, False), (True, None)])
def test_always_statistics_of_the_batch(trainable, training):
    """Frozen layers and detection have them too; the moving ones follow only while the layer learns."""
    values = np.random.default_rng(0).normal(5.0, 2.0, (4, 8, 8, 3)).astype("float32")
    layer = BatchNorm(train_bn=True)
    layer.build(values.shape)
    layer.trainable = trainable
    found = ops.convert_to_numpy(layer(values, training=training))
    np.testing.assert_allclose(found.mean((0, 1, 2)), 0.0, atol=1e-4)
    moved = ops.convert_to_numpy(layer.moving_mean) != 0
    assert moved.all() if trainable and training else not moved.any()


@pytest.mark.parametrize(
    ("channels", "groups"), [(4, 1), (16, 2), (64, 8), (144, 18), (256, 32), (2048, 32), (816, 24), (44, 4), (37, 1)]
)
def test_groups_share_the_channels_out_evenly(channels, groups):
    layer = norm_layer("group", False, "norm", channels)
    assert layer.groups == groups
    assert layer(np.ones((1, 2, 2, channels), "float32")).shape == (1, 2, 2, channels)
