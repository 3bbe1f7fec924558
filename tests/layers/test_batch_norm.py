"""Batch statistics of `BatchNorm`, and the groups of `norm_layer`."""

import numpy as np
import pytest
from keras import ops

from mrcnn.layers.batch_norm import BatchNorm, norm_layer

pytestmark = pytest.mark.jax


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


@pytest.mark.parametrize("trainable", [True, False])
def test_always_in_training_mode_means_frozen_layers_too(trainable):
    values = np.random.default_rng(0).normal(5.0, 2.0, (4, 8, 8, 3)).astype("float32")
    layer = BatchNorm(train_bn=True)
    layer.build(values.shape)
    layer.trainable = trainable
    found = ops.convert_to_numpy(layer(values, training=True))
    np.testing.assert_allclose(found.mean((0, 1, 2)), 0.0, atol=1e-4)
    moved = ops.convert_to_numpy(layer.moving_mean) != 0
    assert moved.all() if trainable else not moved.any()


@pytest.mark.parametrize(
    ("channels", "groups"), [(4, 1), (16, 2), (64, 8), (144, 18), (256, 32), (2048, 32), (816, 24), (44, 4), (37, 1)]
)
def test_groups_share_the_channels_out_evenly(channels, groups):
    layer = norm_layer("group", False, "norm", channels)
    assert layer.groups == groups
    assert layer(np.ones((1, 2, 2, channels), "float32")).shape == (1, 2, 2, channels)
