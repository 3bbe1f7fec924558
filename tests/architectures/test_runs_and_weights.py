"""Weights of a training run: the names of its classes, Keras' own files, and when a loaded file goes on with a run."""

import json
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from mrcnn import MaskRCNN
from tests.small import SmallConfig, SmallDataset

NAMES = ["BG", "bright", "dark"]


class MoreClasses(SmallConfig):
    NUM_CLASSES = 4


def values(model):
    return {w.path: keras.ops.convert_to_numpy(w) for w in model.keras_model.weights if "seed" not in w.path}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A detector whose `train` ran without its epochs, and the checkpoint of its third epoch."""
    model = MaskRCNN("training", SmallConfig(), tmp_path_factory.mktemp("logs"))
    model.keras_model.fit = lambda *args, **options: SimpleNamespace(epoch=[])
    model.train(SmallDataset(), None, 0.001, 1, "heads", verbose=0)
    del model.keras_model.fit
    path = model.checkpoint_path.format(epoch=3)
    model.save_weights(path)
    return model, path


def test_run_keeps_the_names_of_its_classes(checkpoint):
    folder = checkpoint[0].log_dir
    with open(f"{folder}/class_names.json", encoding="utf8") as file:
        assert json.load(file) == NAMES


def test_same_classes_go_on_with_the_run(checkpoint):
    source, path = checkpoint
    model = MaskRCNN("training", SmallConfig(), source.model_dir)
    report = model.load_weights(model.find_last(), by_name=True, class_names=NAMES)
    assert report.classes.changes_nothing and model.epoch == 3 and model.log_dir == source.log_dir
    for (name, there), here in zip(values(source).items(), values(model).values(), strict=True):
        np.testing.assert_array_equal(there, here, err_msg=name)


def test_more_classes_keep_the_old_ones_and_start_a_run(checkpoint):
    source, path = checkpoint
    model = MaskRCNN("training", MoreClasses(), source.model_dir)
    with pytest.raises(ValueError, match="The file has 3 classes, the model 4 .* pass class_names"):
        model.load_weights(path)
    report = model.load_weights(path, class_names=["BG", "dark", "grey", "bright"])
    assert report.classes.kept == ("BG", "dark", "bright") and report.classes.new == ("grey",)
    assert model.epoch == 0
    there, here = (
        next(value for key, value in values(m).items() if key.endswith("mrcnn_bbox_fc/kernel")) for m in (source, model)
    )
    np.testing.assert_array_equal(here.reshape(-1, 4, 4)[:, [0, 1, 3]], there.reshape(-1, 3, 4)[:, [0, 2, 1]])


@pytest.mark.parametrize("name", ["w.weights.h5", "m.keras", "m.h5"])
def test_keras_own_files_of_a_training_model_fill_the_inference_model(checkpoint, tmp_path, name):
    source, _ = checkpoint
    path = tmp_path / name
    (source.keras_model.save_weights if "weights" in name else source.keras_model.save)(path)
    target = MaskRCNN("inference", SmallConfig(), tmp_path)
    report = target.load_weights(path, by_name=True)
    assert report.missing == report.unused == ()
    stored = values(source)
    for key, value in values(target).items():
        np.testing.assert_array_equal(value, stored[key], err_msg=key)
