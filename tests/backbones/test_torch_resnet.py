"""ResNets and ResNeXts as in PyTorch: each block against plain arithmetic, which is checked against torchvision."""

import keras
import numpy as np
import pytest

from mrcnn.backbones import torch_resnet
from mrcnn.layers.batch_norm import norm_layer
from tests.oracle.convolution import convolve, max_pool

pytestmark = pytest.mark.jax


@pytest.fixture(scope="module")
def case(golden_torchvision):
    return np.load(golden_torchvision / "ops_losses_layers.npz")


def last(channels_first):
    return channels_first.transpose(0, 2, 3, 1)


@pytest.mark.parametrize("size, name", [(7, "conv7_s2_p3"), (3, "conv3_s2_p1")])
def test_the_plain_convolution_is_torchvisions(case, size, name):
    found = convolve(last(case["x"]), case[f"w{size}"].transpose(2, 3, 1, 0), stride=2)
    np.testing.assert_allclose(found, last(case[name]), atol=1e-5)


def test_the_plain_pooling_is_torchvisions(case):
    np.testing.assert_array_equal(max_pool(last(case["x"]), 3, 2), last(case["pool_k3_s2_p1"]))


@pytest.mark.parametrize("epsilon, name", [(0.0, "eps0"), (1e-5, "eps1e-5")])
def test_frozen_batch_norm_like_torchvision(case, epsilon, name):
    norm = norm_layer("batch", False, "norm", 6, epsilon)
    norm.build((None, None, None, 6))
    norm.set_weights(case["bn"])
    found = keras.ops.convert_to_numpy(norm(last(case["x"])))
    np.testing.assert_allclose(found, last(case[f"frozen_bn_{name}"]), rtol=1e-5, atol=1e-5)


@pytest.fixture(
    scope="module", params=[(1, 64, True), (1, 64, False), (32, 256, False)], ids=["msra", "resnet", "resnext"]
)
def network(request):
    """A network of one block a stage with random weights, and what its layers give for a picture of odd sides."""
    groups, width, stride_in_1x1 = request.param
    architecture = torch_resnet.Architecture((1, 1, 1, 1), groups, width, stride_in_1x1)
    image = keras.Input((None, None, 3))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(torch_resnet.ARCHITECTURES, "short", architecture)
        features = torch_resnet.torch_resnet_graph(image, "short", norm="batch", train_bn=False, epsilon=1e-5)
    model = keras.Model(image, features)
    generator = np.random.default_rng(0)
    for layer in model.layers:
        if layer.name.startswith("bn"):
            layer.set_weights([generator.uniform(0.5, 1.5, weight.shape) for weight in layer.get_weights()])
    picture = generator.normal(size=(1, 45, 39, 3)).astype("float32")
    return architecture, model, picture, [np.asarray(output) for output in model.predict_on_batch(picture)]


def conv_norm(model, x, name, **options):
    gamma, beta, mean, variance = (weight.astype("float64") for weight in model.get_layer(f"bn{name}").get_weights())
    x = convolve(x, model.get_layer("conv1" if name == "_conv1" else f"res{name}").get_weights()[0], **options)
    return (x - mean) / np.sqrt(variance + 1e-5) * gamma + beta


def test_the_stem(network):
    _, model, picture, (stem, *_) = network
    expected = max_pool(np.maximum(conv_norm(model, picture, "_conv1", stride=2), 0), 3, 2)
    np.testing.assert_allclose(stem, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("stage", [2, 3, 4, 5])
def test_a_bottleneck(network, stage):
    architecture, model, _, features = network
    x, stride, name = features[stage - 2], 1 if stage == 2 else 2, f"{stage}a_branch"
    strides = (stride, 1) if architecture.stride_in_1x1 else (1, stride)
    branch = np.maximum(conv_norm(model, x, f"{name}2a", stride=strides[0]), 0)
    branch = conv_norm(model, branch, f"{name}2b", stride=strides[1], groups=architecture.groups)
    branch = conv_norm(model, np.maximum(branch, 0), f"{name}2c")
    expected = np.maximum(branch + conv_norm(model, x, f"{name}1", stride=stride), 0)
    np.testing.assert_allclose(features[stage - 1], expected, rtol=1e-4, atol=1e-4 * expected.std())
