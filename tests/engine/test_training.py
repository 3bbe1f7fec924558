"""How training says what it does."""

import keras
import numpy as np
import pytest

from mrcnn.engine.loss_model import LossModel
from mrcnn.engine.training import compile_model, rate_text
from mrcnn.layers.batch_norm import BatchNorm
from tests.small import SmallConfig


@pytest.mark.parametrize(("rate", "text"), [(0.001, "0.001"), (1, "1"), (np.float32(0.5), "0.5")])
def test_a_number_is_shown_as_it_is(rate, text):
    assert rate_text(rate) == text


def test_a_schedule_is_shown_by_its_kind():
    assert rate_text(keras.optimizers.schedules.CosineDecay(0.1, 10)) == "CosineDecay"


def loss_model():
    """Two "losses" of `[B]`: the mean of a dense layer's, and of a normalised input."""
    image = keras.Input((2,))
    outputs = [
        keras.layers.Lambda(lambda x: x[:, 0], name="mrcnn_class_loss")(keras.layers.Dense(1, name="dense")(image)),
        keras.layers.Lambda(lambda x: x[:, 0], name="mrcnn_mask_loss")(keras.layers.LayerNormalization()(image)),
    ]
    return LossModel(image, outputs)


def trained(optimizer, decay, steps=3, **config):
    model = loss_model()
    config = type("Config", (SmallConfig,), {"OPTIMIZER": optimizer, "WEIGHT_DECAY": decay, **config})()
    compile_model(model, config, 1.0)
    model.get_layer("dense").set_weights([np.ones((2, 1)), np.ones(1)])
    return model, [model.train_on_batch(np.zeros((4, 2)), return_dict=True) for _ in range(steps)]


def test_losses_are_shown_times_their_weights():
    _, (logs, *_) = trained("sgd", 0.0, LOSS_WEIGHTS={"mrcnn_class_loss": 3.0})
    assert logs["mrcnn_class_loss"] == logs["loss"] == pytest.approx(3.0)


@pytest.mark.parametrize(("optimizer", "kernel"), [("adamw", 0.9**3), ("adam", None)])
def test_weight_decay_of_adamw_is_part_of_the_step(optimizer, kernel):
    """The kernel has no gradient here but that of a decay in the loss; scales are not decayed."""
    model, (logs, *_) = trained(optimizer, 0.1)
    found = model.get_layer("dense").get_weights()[0]
    if kernel:
        np.testing.assert_allclose(found, kernel, rtol=1e-5)
        assert logs["loss"] == pytest.approx(1.0)
    else:
        assert logs["loss"] == pytest.approx(1.0 + 0.1 * 2)
    gamma = next(v for v in model.trainable_variables if v.name == "gamma")
    np.testing.assert_allclose(keras.ops.convert_to_numpy(gamma), 1.0)


@pytest.mark.parametrize(("momentum", "kept"), [(None, 0.99), (0.75, 0.75)])
def test_moving_statistics_keep_the_share_that_the_configuration_says(momentum, kept):
    image = keras.Input((2,))
    layer = BatchNorm(train_bn=True, name="norm")
    values = layer(image)
    names = ("mrcnn_class_loss", "mrcnn_mask_loss")
    model = LossModel(image, [keras.layers.Lambda(lambda x: x[:, 0], name=name)(values) for name in names])
    config = type("Config", (SmallConfig,), {"NORM_MOMENTUM": momentum})()
    compile_model(model, config, 0.1)
    model.train_on_batch(np.full((4, 2), 8.0, "float32"))
    np.testing.assert_allclose(keras.ops.convert_to_numpy(layer.moving_mean), 8.0 * (1 - kept), rtol=1e-5)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(layer.moving_variance), kept, rtol=1e-5)
