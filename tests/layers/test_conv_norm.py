"""A convolution with its normalisation: folded or not, the same numbers and the same gradients."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from mrcnn.layers.batch_norm import BatchNorm
from mrcnn.layers.conv_norm import ConvNorm
from tests.harness import as_arrays, check_compiled, check_declaration, check_round_trip, clone

pytestmark = pytest.mark.jax
RNG = np.random.default_rng(0)
INPUTS = RNG.normal(size=(2, 9, 8, 5)).astype("float32")


def parts(train_bn=False, use_bias=True, **options):
    initial = keras.initializers.RandomNormal(stddev=0.3, seed=1)
    options |= {"kernel_initializer": initial, "bias_initializer": initial, "padding": "same", "use_bias": use_bias}
    conv = layers.Conv2D(6, 3, **options)
    return conv, BatchNorm(train_bn=train_bn)


def with_statistics(norm):
    rng = np.random.default_rng(3)
    for variable in (norm.gamma, norm.beta, norm.moving_mean):
        variable.assign(rng.normal(1, 0.5, variable.shape))
    norm.moving_variance.assign(rng.uniform(0.2, 3, norm.moving_variance.shape))


def one_after_the_other(train_bn, use_bias, strides):
    conv, norm = parts(train_bn, use_bias, strides=strides)
    model = keras.Sequential([keras.Input(INPUTS.shape[1:]), conv, norm])
    with_statistics(norm)
    return model


def together(train_bn, use_bias, strides):
    both = ConvNorm(*parts(train_bn, use_bias, strides=strides))
    model = keras.Sequential([keras.Input(INPUTS.shape[1:]), both])
    with_statistics(both.norm)
    return model


@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize("train_bn", [False, None, True])
@pytest.mark.parametrize("strides", [1, 2])
class TestSameAsOneAfterTheOther:
    def test_outputs(self, train_bn, use_bias, strides):
        expected, found = (make(train_bn, use_bias, strides) for make in (one_after_the_other, together))
        for training in (False, True):
            np.testing.assert_allclose(
                ops.convert_to_numpy(found(INPUTS, training=training)),
                ops.convert_to_numpy(expected(INPUTS, training=training)), rtol=1e-4, atol=1e-5)  # fmt: skip

    def test_training_step(self, train_bn, use_bias, strides):
        changed = []
        for make in (one_after_the_other, together):
            model = make(train_bn, use_bias, strides)
            model.compile(keras.optimizers.SGD(0.1), "mse")
            target = np.random.default_rng(4).normal(size=model.output_shape[1:]).astype("float32")
            model.train_on_batch(INPUTS, np.stack([target, target]))
            changed.append([ops.convert_to_numpy(weight) for weight in model.weights])
        for expected, found in zip(*changed, strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_frozen_by_trainable_uses_the_moving_statistics():
    model = together(None, True, 1)
    before = ops.convert_to_numpy(model(INPUTS, training=False))
    model.layers[0].norm.trainable = False
    np.testing.assert_array_equal(ops.convert_to_numpy(model(INPUTS, training=True)), before)


@pytest.mark.parametrize("norm", ["batch", "group"])
def test_contract(norm):
    last = BatchNorm(train_bn=False) if norm == "batch" else layers.GroupNormalization(groups=2)
    layer = ConvNorm(parts()[0], last, name="both")
    eager = as_arrays(clone(layer)(INPUTS))
    assert [output.shape for output in eager] == [(2, 9, 8, 6)]
    check_round_trip(layer, INPUTS, eager)
    check_declaration(layer, INPUTS, None, eager)
    check_compiled(layer, INPUTS, None, 1e-5)


def test_half_precision_folds_in_single():
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        half = together(False, True, 1)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    full = together(False, True, 1)
    outputs = half(INPUTS)
    assert keras.backend.standardize_dtype(outputs.dtype) == "bfloat16"
    expected = ops.convert_to_numpy(full(INPUTS))
    difference = np.abs(ops.convert_to_numpy(ops.cast(outputs, "float32")) - expected)
    assert difference.max() < 0.03 * np.abs(expected).max()
