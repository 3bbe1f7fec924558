"""Every backbone gives four feature maps at strides 4, 8, 16 and 32."""

import keras
import numpy as np
import pytest

from mrcnn import MaskRCNN
from mrcnn.backbones.build import backbone_graph
from mrcnn.backbones.resnet import resnet_graph
from mrcnn.engine.model_weights import list_weights
from mrcnn.layers.batch_norm import BatchNorm
from tests.small import SIDE, SmallConfig

MEAN = [123.7, 116.8, 103.9]


def outputs_of(backbone, side=128, **options):
    image = keras.Input((None, None, 3))
    model = keras.Model(image, backbone_graph(image, backbone, MEAN, **options))
    return model, model.predict_on_batch(np.zeros((1, side, side, 3), "float32"))


@pytest.mark.jax
@pytest.mark.parametrize("norm", ["batch", "group"])
@pytest.mark.parametrize("name", ["light", "resnet50"])
def test_own_networks(name, norm):
    model, features = outputs_of(name, norm=norm)
    assert [feature.shape[1] for feature in features] == [32, 16, 8, 4]
    has_batch_norm = any(isinstance(layer, BatchNorm) for layer in model._flatten_layers())
    assert has_batch_norm == (norm == "batch")


@pytest.mark.parametrize("name", ["MobileNetV2", "efficientnet_b0", "resnet50v2", "Xception"])
def test_networks_of_keras_applications(name):
    _, features = outputs_of(name)
    assert [feature.shape[1] for feature in features] == [32, 16, 8, 4]


@pytest.mark.parametrize("size", [(128, 192), (None, None)])
def test_models_inside_an_application_take_the_size_of_the_image(size):
    image = keras.Input((*size, 3))
    model = keras.Model(image, backbone_graph(image, "ConvNeXtTiny", MEAN))
    shapes = model.compute_output_shape((1, 128, 192, 3))
    assert [shape[1:3] for shape in shapes] == [(32, 48), (16, 24), (8, 12), (4, 6)]


def test_group_norm_takes_the_place_of_every_batch_norm_of_an_application():
    model, features = outputs_of("MobileNetV2", norm="group")
    assert [feature.shape[1] for feature in features] == [32, 16, 8, 4]
    kinds = {type(layer) for layer in model._flatten_layers()}
    assert keras.layers.GroupNormalization in kinds and not kinds & {BatchNorm, keras.layers.BatchNormalization}


def test_the_same_application_has_the_same_names_every_time():
    def names():
        image = keras.Input((64, 64, 3))
        model = keras.Model(image, backbone_graph(image, "Xception", MEAN))
        return [f"{weight.path}/{weight.weight}" for weight in list_weights(model)]

    first = names()
    assert names() == first and "backbone_xception/conv2d/kernel" in first


def test_an_application_without_a_pyramid_is_refused(monkeypatch):
    def shallow(include_top, weights, input_shape):
        image = keras.Input(input_shape)
        return keras.Model(image, keras.layers.Conv2D(4, 3, strides=4, padding="same")(image))

    monkeypatch.setattr(keras.applications, "Shallow", shallow, raising=False)
    with pytest.raises(ValueError, match=r"'shallow' has no feature map at stride \[8, 16, 32\]"):
        outputs_of("shallow")


@pytest.mark.parametrize(("mean", "std"), [(0, 1.0), (MEAN, 58.0), (MEAN, [58.4, 57.1, 57.4])])
def test_networks_of_keras_applications_see_the_pixels_as_they_were(mean, std):
    pixels = np.random.default_rng(0).uniform(0, 255, (1, 64, 64, 3)).astype("float32")
    image = keras.Input((None, None, 3))
    keras.utils.set_random_seed(0)
    model = keras.Model(image, backbone_graph(image, "MobileNetV2", mean, std))
    keras.utils.set_random_seed(0)
    plain = keras.Model(image, backbone_graph(image, "MobileNetV2", [0, 0, 0]))
    for found, expected in zip(model((pixels - mean) / std), plain(pixels), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-4)


def test_frozen_batch_norm_reaches_inside_an_application():
    model, _ = outputs_of("MobileNetV2", train_bn=False)
    norms = [layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.BatchNormalization)]
    assert norms and all(isinstance(layer, BatchNorm) and layer.train_bn is False for layer in norms)


def tiny(input_image, stage5=True, train_bn=None):
    maps, x = [], input_image
    for stage in range(1, 6):
        x = keras.layers.Conv2D(4, 3, strides=2, padding="same", name=f"stage{stage}")(x)
        maps.append(x)
    return maps


def tiny_shapes(image_shape):
    return np.array([[image_shape[0] // stride, image_shape[1] // stride] for stride in (4, 8, 16, 32, 64)])


def test_a_callable():
    _, features = outputs_of(tiny)
    assert [feature.shape for feature in features] == [(1, s, s, 4) for s in (32, 16, 8, 4)]


def test_functions_in_the_body_of_a_config(tmp_path):
    class TinyConfig(SmallConfig):
        BACKBONE = tiny
        COMPUTE_BACKBONE_SHAPE = tiny_shapes

    model = MaskRCNN("inference", TinyConfig(), str(tmp_path))
    assert any(weight.layer == "stage5" for weight in list_weights(model.keras_model))
    assert len(model.get_anchors((SIDE, SIDE, 3))) == 3 * (16**2 + 8**2 + 4**2 + 2**2 + 1)


@pytest.mark.parametrize("backbone, message", [("resnet5000", "resnet5000"), (lambda *_, **__: [1, 2], "2 feature")])
def test_errors_name_what_is_wrong(backbone, message):
    with pytest.raises(ValueError, match=message):
        outputs_of(backbone)


def test_resnet101_has_23_blocks_in_stage_four():
    image = keras.Input((64, 64, 3))
    *_, c4, c5 = resnet_graph(image, "resnet101", stage5=True)
    names = {layer.name for layer in keras.Model(image, c5).layers}
    assert "res4w_out" in names and "res4x_out" not in names
    assert c4.shape == (None, 4, 4, 1024)


def test_frozen_batch_norm_ignores_the_batch():
    x = np.random.default_rng(0).normal(5, 3, (8, 4)).astype("float32")
    frozen, live = BatchNorm(train_bn=False), BatchNorm(train_bn=None)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(frozen(x, training=True)), x / np.sqrt(1.001), rtol=1e-4)
    assert abs(keras.ops.convert_to_numpy(live(x, training=True)).mean()) < 1e-3
