"""Files of Matterport's forks differ in groups and names; every weight of each lands in its layer."""

import h5py
import numpy as np
import pytest
from keras import layers

from mrcnn.engine import h5_layout
from mrcnn.engine.h5_layout import encode_groups
from mrcnn.engine.run_folder import CheckpointPath
from mrcnn.engine.weights import load_weights, save_weights

from .small_models import detector, randomise, same, sequence, values

RPN = ("rpn_conv_shared", "rpn_class_raw", "rpn_bbox_pred")
HEAD = ("mrcnn_class_conv1", "mrcnn_class_bn1", "mrcnn_class_logits", "mrcnn_bbox_fc")


def _group(layer):
    return "rpn_model" if layer in RPN else layer


# Each gives the group and, within it, the whole name of a weight.
FORKS = {
    "matterport": lambda layer, weight: (_group(layer), f"{layer}/{weight}:0"),
    "rpn layers in groups of their own": lambda layer, weight: (layer, f"{layer}/{weight}:0"),
    "rpn layers with the name of their model": lambda layer, weight: (
        _group(layer), f"rpn_model/{layer}/{weight}:0" if layer in RPN else f"{layer}/{weight}:0"
    ),
    "TimeDistributed names twice": lambda layer, weight: (
        _group(layer), f"{layer}/{layer}/{weight}:0" if layer in HEAD else f"{layer}/{weight}:0"
    ),
    "TimeDistributed with the name of what it wraps": lambda layer, weight: (
        _group(layer), f"{layer}/conv2d_{HEAD.index(layer)}/{weight}:0" if layer in HEAD else f"{layer}/{weight}:0"
    ),
    "numbered, as the second model of a process": lambda layer, weight: (_group(layer), f"{layer}_1/{weight}:0"),
    "numbered groups": lambda layer, weight: (f"{_group(layer)}_1", f"{layer}_1/{weight}:0"),
    "names without the output's number": lambda layer, weight: (_group(layer), f"{layer}/{weight}"),
    "names of the weight only": lambda layer, weight: (
        (layer, f"{weight}:0") if layer not in RPN else ("rpn_model", f"{layer}/{weight}:0")
    ),
    "the whole model as one layer of a parallel model": lambda layer, weight: ("mask_rcnn", f"{layer}/{weight}:0"),
    "the whole model as a layer, with its name": lambda layer, weight: (
        "mask_rcnn", "/".join(["mask_rcnn", *(["rpn_model"] if layer in RPN else []), layer, f"{weight}:0"])
    ),
}


def _write(path, stored, name_of, root=None, extra=()):
    """A by-name file of `{path in the model: array}`; `extra` groups hold an array that is no weight of a layer."""
    groups = {"input_image": []}
    for key, value in stored.items():
        *_, layer, weight = key.split("/")
        group, name = name_of(layer, weight)
        groups.setdefault(group, []).append((name, value))
    with h5py.File(path, "w") as file:
        top = file.create_group(root) if root else file
        top.attrs["layer_names"] = [name.encode() for name in groups]
        for group_name, weights in groups.items():
            group = top.create_group(group_name)
            group.attrs["weight_names"] = [name.encode() for name, _ in weights]
            for name, value in weights:
                group.create_dataset(name, data=value)
        for place in extra:
            file.create_group(place).create_dataset("beta_1:0", data=np.float32(0.9))
    return path


@pytest.mark.parametrize("fork", FORKS)
def test_every_weight_lands_in_its_layer(tmp_path, fork):
    source, target = randomise(detector()), detector(reverse=True)
    report = load_weights(target, _write(tmp_path / "f.h5", values(source), FORKS[fork]))
    assert report.missing == report.unused == ()
    assert same(values(source), values(target))


def test_full_model_with_optimizer_and_weights_of_the_model_itself(tmp_path):
    """As TensorFlow 2.8 and later write them beside the layers."""
    source, target = randomise(detector()), detector()
    extra = ["optimizer_weights/training/SGD", "model_weights/top_level_model_weights"]
    path = _write(tmp_path / "f.h5", values(source), FORKS["matterport"], "model_weights", extra)
    report = load_weights(target, path)
    assert report.missing == report.unused == ()
    assert same(values(source), values(target))


def test_lists_of_names_in_parts(tmp_path, monkeypatch):
    """Both lists, as Keras splits what is too long for one attribute."""
    monkeypatch.setattr(h5_layout, "_ATTRIBUTE_LIMIT", 100)
    source, target = randomise(detector()), detector()
    save_weights(source, tmp_path / "f.h5")
    with h5py.File(tmp_path / "f.h5") as file:
        assert "layer_names2" in file.attrs and "layer_names" not in file.attrs
        assert "weight_names1" in file["rpn_model"].attrs and "weight_names" not in file["rpn_model"].attrs
    assert load_weights(target, tmp_path / "f.h5").missing == ()
    assert same(values(source), values(target))


@pytest.mark.parametrize("name", ["w.weights.h5", "m.keras", "m.h5"])
def test_wrapped_layers_of_keras_3_go_by_the_name_of_the_wrapper(tmp_path, name):
    source = randomise(sequence(
        layers.TimeDistributed(layers.Conv2D(4, 1), name="mrcnn_class_conv1"),
        layers.TimeDistributed(layers.BatchNormalization(), name="mrcnn_class_bn1"),
        shape=(2, 8, 8, 3),
    ))
    (source.save_weights if "weights" in name else source.save)(tmp_path / name)
    target = sequence(
        layers.Conv2D(4, 1, name="mrcnn_class_conv1"), layers.BatchNormalization(name="mrcnn_class_bn1")
    )
    assert load_weights(target, tmp_path / name).missing == ()
    for there, here in zip(source.get_weights(), target.get_weights(), strict=True):
        np.testing.assert_array_equal(there, here)


def test_imagenet_file_of_the_first_keras_fills_the_backbone(tmp_path):
    """Layer lists in alphabetical order, joined names, the batch statistics under the names of Keras 1."""
    words = {"kernel": "W", "bias": "b", "moving_mean": "running_mean", "moving_variance": "running_std"}
    stored = {
        key: value
        for key, value in sorted(values(randomise(detector())).items())
        if key.startswith(("conv1", "bn_conv1", "res2a"))
    }
    model = detector()
    before = values(model)
    path = _write(
        tmp_path / "f.h5", stored, lambda layer, weight: (layer, f"{layer}_{words.get(weight, weight)}_1:0")
    )
    report = load_weights(model, path)
    assert set(report.loaded_layers) == {"conv1", "bn_conv1", "res2a_branch2a"} and report.unused == ()
    assert same(values(model), before | stored)


@pytest.mark.parametrize("kind", [str, CheckpointPath, lambda path: path], ids=["text", "find_last", "pathlib"])
def test_kinds_of_path(tmp_path, kind):
    source, target = randomise(detector()), detector()
    path = tmp_path / "mask rcnn ü.h5"
    save_weights(source, kind(path))
    assert load_weights(target, kind(path)).path == str(path)
    assert same(values(source), values(target))


@pytest.mark.parametrize("wrong", [None, 3, ("folder", "file.h5")])
def test_what_is_no_path_is_named(wrong):
    with pytest.raises(TypeError, match="The path of the weight file is"):
        load_weights(detector(), wrong)


def test_checkpoint_of_tensorflow_is_told_from_an_absent_file(tmp_path):
    (tmp_path / "cp.ckpt.index").touch()
    with pytest.raises(ValueError, match="cp.ckpt is a checkpoint in TensorFlow's own format"):
        load_weights(detector(), tmp_path / "cp.ckpt")


def test_groups_are_written_for_any_reader(tmp_path):
    """Names are bytes of fixed length, versions are bytes: what `decode` of old Keras needs, and new Keras accepts."""
    (tmp_path / "f.h5").write_bytes(encode_groups({"conv1": [("conv1/kernel", np.ones(2, "float32"))], "pool": []}))
    with h5py.File(tmp_path / "f.h5") as file:
        assert sorted(file.attrs) == ["backend", "keras_version", "layer_names"]
        assert file.attrs["layer_names"].dtype.kind == file["conv1"].attrs["weight_names"].dtype.kind == "S"
        assert file.attrs["backend"].decode() == "tensorflow" and file.attrs["keras_version"].decode() == "2.5.0"
        for group in ("conv1", "pool"):
            assert list(file[group].attrs) == ["weight_names"]
            assert isinstance(file[group].attrs["weight_names"], np.ndarray)
