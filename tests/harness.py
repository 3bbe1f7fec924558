"""What every layer promises, checked without knowing any layer by name."""

from unittest import mock

import keras
import numpy as np
from keras import ops


def check_layer(layer, inputs, batched=None, tolerance=1e-5):
    """Check the declared shapes and dtypes, the config round trip, compiled = eager and finite gradients.

    Args:
        layer: an unused layer; one that draws at random needs a seed.
        inputs: an array or a list of arrays.
        batched: for every input whether its first axis is the batch (all, if None).
        tolerance: allowed difference, absolute and relative, of compiled from eager floats.

    Returns:
        The eager outputs as a list of numpy arrays.
    """
    eager = as_arrays(clone(layer)(inputs))
    check_round_trip(layer, inputs, eager)
    check_declaration(layer, inputs, batched, eager)
    check_compiled(layer, inputs, batched, tolerance)
    input_gradients(layer, inputs, batched)
    return eager


def as_arrays(outputs):
    """A layer's outputs as a flat list of numpy arrays."""
    return [ops.convert_to_numpy(output) for output in keras.tree.flatten(outputs)]


def clone(layer):
    """The layer again, from its serialised form; it starts from the same seed."""
    return keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))


def check_round_trip(layer, inputs, eager):
    """`from_config(get_config())` is the same layer, for Keras and in its results."""
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    for output, expected in zip(as_arrays(again(inputs)), eager, strict=True):
        np.testing.assert_array_equal(output, expected)


def check_declaration(layer, inputs, batched, eager):
    """What the layer declares for an open batch size is what it returns."""
    declared = keras.tree.flatten(_functional(clone(layer), inputs, batched).outputs)
    for spec, output in zip(declared, eager, strict=True):
        assert keras.backend.standardize_dtype(spec.dtype) == str(output.dtype)
        assert len(spec.shape) == output.ndim
        for axis, (side, real) in enumerate(zip(spec.shape, output.shape, strict=True)):
            fits = side == real or (axis == 0 and side is None)
            assert fits, f"declared {spec.shape}, got {output.shape}"


def check_compiled(layer, inputs, batched, tolerance):
    """The compiled graph, with XLA where the layer allows it, gives the eager results for the same draws."""
    with mock.patch.object(keras.random, "uniform", _same_draws):
        eager = as_arrays(clone(layer)(inputs))
        for jit_compile in sorted({False, layer.supports_jit}):
            model = _functional(clone(layer), inputs, batched)
            model.compile(jit_compile=jit_compile)
            outputs = as_arrays(model.predict_on_batch(_as_list(inputs)))
            for output, expected in zip(outputs, eager, strict=True):
                np.testing.assert_allclose(output, expected, rtol=tolerance, atol=tolerance)


def _same_draws(shape, seed=None):
    # TensorFlow's own draws are not the same inside and outside of XLA.
    draws = np.random.default_rng(0).uniform(size=[int(side) for side in shape])
    return ops.convert_to_tensor(draws, "float32")


def input_gradients(layer, inputs, batched=None):
    """Gradient of the sum of the layer's float outputs, by a factor on each float input; all are finite.

    Returns:
        One number for each float input.
    """
    model = _functional(clone(layer), inputs, batched, scaled=True)
    before = [float(ops.convert_to_numpy(weight)) for weight in model.trainable_variables]
    model.compile(keras.optimizers.SGD(1.0), jit_compile=False)
    loss = model.train_on_batch(_as_list(inputs))
    after = [float(ops.convert_to_numpy(weight)) for weight in model.trainable_variables]
    gradients = np.subtract(before, after)
    assert np.isfinite(loss).all() and np.isfinite(gradients).all()
    return gradients


def _as_list(inputs):
    return inputs if isinstance(inputs, list) else [inputs]


def _functional(layer, inputs, batched, scaled=False):
    arrays = _as_list(inputs)
    symbols = [
        keras.Input(batch_shape=(None if has_batch else len(array), *array.shape[1:]), dtype=str(array.dtype))
        for array, has_batch in zip(arrays, batched or [True] * len(arrays), strict=True)
    ]
    if not scaled:
        return keras.Model(symbols, layer(symbols if isinstance(inputs, list) else symbols[0]))
    factors = [Factor(dtype=str(array.dtype)) if array.dtype.kind == "f" else None for array in arrays]
    pairs = zip(symbols, factors, strict=True)
    fed = [symbol if factor is None else factor(symbol) for symbol, factor in pairs]
    return SumModel(symbols, layer(fed if isinstance(inputs, list) else fed[0]))


class Factor(keras.layers.Layer):
    """Its input times a trainable 1."""

    def build(self, input_shape):
        self.factor = self.add_weight(shape=(), initializer="ones", dtype="float32")

    def call(self, x):
        return x * ops.cast(self.factor, x.dtype)


class SumModel(keras.Model):
    """Minimises the sum of its float outputs."""

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        outputs = [ops.cast(output, "float32") for output in keras.tree.flatten(y_pred)]
        # The second sum gives every weight a gradient, 0, when the layer stops its own.
        still = sum(0.0 * ops.sum(ops.convert_to_tensor(weight)) for weight in self.trainable_variables)
        return sum(ops.sum(output) for output in outputs) + still


def gradient_at(value, function):
    """Gradient of the sum of `function(tensor)` at the float32 array `value`, as a training step on it has it."""
    inputs = keras.Input((1,))
    layer = _Learned(value, function)
    model = SumModel(inputs, layer(inputs))
    model.compile(keras.optimizers.SGD(1.0), jit_compile=False)
    model.train_on_batch(np.zeros((1, 1), "float32"))
    return value - ops.convert_to_numpy(layer.value)


class _Learned(keras.layers.Layer):
    def __init__(self, value, function):
        super().__init__()
        self.initial, self.function = value, function

    def build(self, input_shape):
        self.value = self.add_weight(shape=self.initial.shape, initializer=lambda *_, **__: self.initial)

    def call(self, inputs):
        return self.function(ops.convert_to_tensor(self.value))

    def compute_output_spec(self, inputs):
        return keras.KerasTensor(())
