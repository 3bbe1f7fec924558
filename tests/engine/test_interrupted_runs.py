"""Runs that are stopped, by an error or by the user, and go on."""

import os

import keras
import numpy as np
import pytest

from mrcnn import MaskRCNN
from mrcnn.engine.atomic_file import CheckpointError
from mrcnn.engine.training_state import companion_path
from tests.small import SmallConfig, SmallDataset


class OlderMaskRCNN(MaskRCNN):
    """Overrides what scripts of Matterport's time did, with its signatures."""

    def compile(self, learning_rate, momentum):
        self.momentum = momentum
        super().compile(learning_rate, momentum)

    def set_trainable(self, layer_regex, keras_model=None, indent=0, verbose=1):
        super().set_trainable(layer_regex, keras_model, indent, verbose)


class Recording(SmallDataset):
    """Remembers which pictures were loaded."""

    def __init__(self):
        super().__init__()
        self.loaded = []

    def load_image(self, image_id):
        self.loaded.append(int(image_id))
        return super().load_image(image_id)


def config():
    values = SmallConfig()
    values.WORKERS = 0
    return values


def run(model, data, epochs, callbacks=None):
    model.train(data, None, 1e-3, epochs, "all", verbose=0, custom_callbacks=callbacks)


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """A model whose callback fails at the end of the second epoch, and what the callback found at the end of each."""
    found = []

    def look(epoch, logs):
        found.append(os.path.basename(model.find_last()))
        if epoch == 1:
            raise KeyError("a mistake in a callback")

    model = OlderMaskRCNN("training", config(), tmp_path_factory.mktemp("logs"))
    with pytest.raises(KeyError, match="a mistake"):
        run(model, Recording(), 5, keras.callbacks.LambdaCallback(on_epoch_end=look))
    return model, found


def test_callbacks_find_the_weights_of_their_epoch(stopped):
    assert stopped[1] == ["mask_rcnn_small_0001.h5", "mask_rcnn_small_0002.h5"]


def test_an_error_does_not_cost_the_epochs_before(stopped):
    assert stopped[0].epoch == 2


def test_overrides_of_matterports_methods_are_called_as_there(stopped):
    assert stopped[0].momentum == SmallConfig.LEARNING_MOMENTUM


def test_the_order_of_the_images_goes_on_with_another_seed(tmp_path):
    images = SmallConfig.STEPS_PER_EPOCH * SmallConfig.IMAGES_PER_GPU
    np.random.seed(1)
    model, straight = MaskRCNN("training", config(), tmp_path), Recording()
    run(model, straight, 2)
    os.remove(model.find_last())
    os.rename(*(companion_path(model.checkpoint_path.format(epoch=epoch)) for epoch in (2, 1)))
    np.random.seed(2)
    again = MaskRCNN("training", config(), tmp_path)
    again.load_weights(again.find_last())
    resumed = Recording()
    run(again, resumed, 2)
    assert resumed.loaded[-images:] == straight.loaded[-images:]


def test_early_stopping_takes_any_loss(stopped):
    model = stopped[0]
    stop = keras.callbacks.EarlyStopping("mrcnn_mask_loss", min_delta=100, patience=1)
    run(model, SmallDataset(), 9, [stop])
    assert model.epoch == stop.stopped_epoch + 1 == 4


@pytest.mark.parametrize(("epochs", "layers", "named"), [(1.5, "all", "epochs=1.5"), (1, None, "layers=None")])
def test_wrong_arguments_are_named(stopped, epochs, layers, named):
    with pytest.raises(ValueError, match=named):
        stopped[0].train(SmallDataset(), None, 1e-3, epochs, layers)


@pytest.mark.parametrize("wrong", [SmallConfig, None])
def test_a_configuration_that_is_none(wrong, tmp_path):
    with pytest.raises(TypeError, match="pass an instance"):
        MaskRCNN("training", wrong, tmp_path)


def test_a_folder_that_cannot_be_written_to_is_told_at_once(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    model, data = MaskRCNN("training", config(), tmp_path / "file"), Recording()
    with pytest.raises(CheckpointError, match="choose another model_dir"):
        run(model, data, 1)
    assert data.loaded == []


def test_a_configuration_that_cuts_at_random_has_no_twin_that_detects(tmp_path):
    values = config()
    values.IMAGE_RESIZE_MODE = "crop"
    with pytest.raises(ValueError, match='IMAGE_RESIZE_MODE.*"pad64"'):
        MaskRCNN("training", values, tmp_path).inference_twin()
