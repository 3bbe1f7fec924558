"""A convolution in groups: native = generic = Keras', the layer's promises, and that every runtime can have it."""

import keras
import numpy as np
import pytest

from benchmarks.exported import RUNTIMES
from mrcnn.layers.grouped_conv import GroupedConv2D
from mrcnn.ops.backend import generic_kernels
from tests.harness import check_layer

RNG = np.random.default_rng(0)
X = RNG.normal(size=(2, 7, 9, 12)).astype("float32")


@pytest.mark.jax
@pytest.mark.parametrize("strides, padding", [(1, "same"), (2, "valid"), (2, "same")])
def test_is_a_convolution_in_groups(strides, padding):
    options = {"filters": 8, "kernel_size": 3, "strides": strides, "padding": padding, "groups": 4}
    plain, ours = keras.layers.Conv2D(**options), GroupedConv2D(**options)
    expected = keras.ops.convert_to_numpy(plain(X))
    ours.build(X.shape)
    ours.set_weights([plain.get_weights()[0], RNG.normal(size=8)])
    expected = expected + ours.get_weights()[1]
    np.testing.assert_allclose(keras.ops.convert_to_numpy(ours(X)), expected, rtol=1e-4, atol=1e-5)
    with generic_kernels():
        np.testing.assert_allclose(keras.ops.convert_to_numpy(ours(X)), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.jax
def test_contract():
    kernel = keras.initializers.HeNormal(0)
    # Frozen, for the gradients by the input are the ones that are looked at.
    check_layer(GroupedConv2D(4, 3, groups=2, kernel_initializer=kernel, trainable=False), X)


@pytest.mark.slow
@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="exporting runs on TensorFlow")
@pytest.mark.parametrize("format", sorted(RUNTIMES))
def test_every_format_has_it(format, tmp_path):
    images = keras.Input(X.shape[1:], name="images")
    model = keras.Model(images, {"features": GroupedConv2D(8, 3, groups=4, name="features")(images)})
    name, run, _ = RUNTIMES[format]
    signature = [keras.InputSpec("float32", (None, *X.shape[1:]), name="images")]
    model.export(str(tmp_path / name), format=format, input_signature=signature, verbose=False)
    np.testing.assert_allclose(run(str(tmp_path / name))(X)["features"], model(X)["features"], rtol=1e-4, atol=1e-5)
