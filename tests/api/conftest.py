"""One small model, trained once, for all tests of the public names."""

import contextlib
import io
from types import SimpleNamespace

import keras
import matplotlib
import numpy as np
import pytest

from mrcnn import model as modellib
from tests.small import SmallConfig, SmallDataset

matplotlib.use("Agg")


class SpacedConfig(SmallConfig):
    """A name with a space and capitals, as users give."""

    NAME = "Demo purpose"


class SpacedInferenceConfig(SpacedConfig):
    GPU_COUNT = 1
    IMAGES_PER_GPU = 1


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """A model after one epoch: `model`, `history`, `printed`, `model_dir`, `train` and `val` data sets."""
    from imgaug import augmenters as iaa

    keras.utils.set_random_seed(3)
    model_dir = tmp_path_factory.mktemp("api") / "logs"
    train, val = SmallDataset(6), SmallDataset(2)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        model = modellib.MaskRCNN(mode="training", config=SpacedConfig(), model_dir=str(model_dir))
        made_early = model_dir.exists()
        history = model.train(
            train, val, learning_rate=0.001, epochs=1, layers="all", augmentation=iaa.Fliplr(0.5), verbose=0,
            custom_callbacks=[keras.callbacks.ModelCheckpoint(f"{model_dir.parent}/best.h5", save_weights_only=True),
                              keras.callbacks.ModelCheckpoint(f"{model_dir.parent}/whole.{{epoch:02d}}.hdf5")])
    return SimpleNamespace(model=model, history=history, printed=printed.getvalue(), model_dir=model_dir,
                           made_early=made_early, train=train, val=val)


@pytest.fixture(scope="session")
def detector(trained):
    """The model for inference, built as users do it: a second one in the process, weights from `find_last`."""
    model = modellib.MaskRCNN(mode="inference", config=SpacedInferenceConfig(), model_dir=str(trained.model_dir))
    model.load_weights(model.find_last(), by_name=True)
    # After one short epoch chance decides whether the background always wins: here it never does.
    logits = model.keras_model.get_layer("mrcnn_class_logits")
    logits.bias.assign(logits.bias + np.array([-20.0, 0.0, 0.0], "float32"))
    return model


@pytest.fixture(scope="session")
def other(trained):
    """Another model for inference, to load into."""
    return modellib.MaskRCNN(config=SpacedInferenceConfig(), model_dir=trained.model_dir, mode="inference")


@pytest.fixture
def image():
    """A picture of the small data set, uint8 [64, 64, 3]."""
    return SmallDataset(1).load_image(0)


@pytest.fixture
def masks():
    """Three full-size masks, bool [40, 50, 3], with their boxes."""
    masks = np.zeros((40, 50, 3), bool)
    masks[4:20, 5:25, 0] = masks[10:36, 30:48, 1] = masks[22:38, 2:20, 2] = True
    boxes = np.array([[4, 5, 20, 25], [10, 30, 36, 48], [22, 2, 38, 20]], np.int32)
    return masks, boxes


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    import matplotlib.pyplot as plt
    plt.close("all")
