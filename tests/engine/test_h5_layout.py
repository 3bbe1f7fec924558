"""Every kind of weight file: read, written, and refused where it is damaged or foreign."""

import importlib.util
import json
import zipfile

import h5py
import numpy as np
import pytest
from keras import layers

from mrcnn.engine.atomic_file import write_atomically
from mrcnn.engine.h5_layout import encode_groups
from mrcnn.engine.weight_names import matterport_resnet_name, weights_by_order
from mrcnn.engine.weights import load_weights, read_weights, save_weights

from .small_models import detector, randomise, same, sequence, values


def _write(path, groups, names=None, root=None, as_text=False):
    """A by-name file: {group: [(full weight name, array)]}."""
    encode = str if as_text else str.encode
    with h5py.File(path, "w") as file:
        top = file.create_group(root) if root else file
        top.attrs["layer_names"] = [encode(name) for name in (names or groups)]
        for group_name, weights in groups.items():
            group = top.create_group(group_name)
            group.attrs["weight_names"] = [encode(name) for name, _ in weights]
            for name, value in weights:
                group.create_dataset(name, data=value)
    return path


def test_file_has_matterports_layout(tmp_path):
    save_weights(detector(), tmp_path / "w.h5")
    with h5py.File(tmp_path / "w.h5") as file:
        names = [name.decode() for name in file.attrs["layer_names"]]
        assert names[:4] == ["input_image", "conv1", "bn_conv1", "activation"]
        assert "mrcnn_class_conv1" in names and "mrcnn_classifier" not in names
        assert set(names) == set(file) and "rpn_conv_shared" not in names
        assert file.attrs["backend"] == b"tensorflow" and file.attrs["keras_version"].startswith(b"2.")
        assert list(file["activation"].attrs["weight_names"]) == []
        assert list(file["conv1"].attrs["weight_names"]) == [b"conv1/kernel:0", b"conv1/bias:0"]
        assert list(file["bn_conv1"].attrs["weight_names"]) == [
            b"bn_conv1/gamma:0", b"bn_conv1/beta:0", b"bn_conv1/moving_mean:0", b"bn_conv1/moving_variance:0"
        ]
        assert list(file["bn2a_branch2a"].attrs["weight_names"]) == [
            b"bn2a_branch2a/gamma:0", b"bn2a_branch2a/beta:0"
        ]
        assert list(file["rpn_model"].attrs["weight_names"])[::2] == [
            b"rpn_conv_shared/kernel:0", b"rpn_class_raw/kernel:0", b"rpn_bbox_pred/kernel:0"
        ]
        assert file["mrcnn_class_conv1/mrcnn_class_conv1/kernel:0"].dtype == np.float32
        assert "rpn_model/rpn_conv_shared/bias:0" in file


@pytest.mark.parametrize("backbone", ["resnet50", "resnet101"])
def test_all_golden_weights_survive_a_file(golden, tmp_path, backbone):
    spec = importlib.util.spec_from_file_location("golden_weights", golden / "weights.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    weights = module.all_weights(backbone, 81)
    layout = json.loads((golden / f"layout_{backbone}.json").read_text())
    groups = {
        layer["group"]: [
            (name.removesuffix(":0"), weights[tuple(name.removesuffix(":0").split("/"))])
            for name in layer["weight_names"]
        ]
        for layer in layout["layers"]
    }
    path = tmp_path / "w.h5"
    write_atomically(path, encode_groups(groups))
    read = read_weights(path)
    assert module.digest(read) == module.digest(weights)
    with h5py.File(path) as file:
        assert [name.decode() for name in file.attrs["layer_names"]] == [x["group"] for x in layout["layers"]]
        assert {k: file.attrs[k].decode() for k in layout["root_attrs"]} == layout["root_attrs"]
        for layer in layout["layers"]:
            written = [name.decode() for name in file[layer["group"]].attrs["weight_names"]]
            assert written == layer["weight_names"]
            for dataset in layer["datasets"]:
                stored = file[dataset["path"]]
                assert [list(stored.shape), str(stored.dtype)] == [dataset["shape"], dataset["dtype"]]


@pytest.mark.parametrize("as_text", [False, True])
@pytest.mark.parametrize("root", [None, "model_weights"])
def test_names_may_be_bytes_or_text_and_lie_in_a_full_model(tmp_path, as_text, root):
    kernel, bias = np.full((1, 1, 3, 4), 2.0, "float32"), np.full(4, 3.0, "float32")
    path = _write(
        tmp_path / "f.h5", {"conv1": [("conv1/kernel:0", kernel), ("conv1/bias:0", bias)]}, None, root, as_text
    )
    model = sequence(layers.Conv2D(4, 1, name="conv1"))
    load_weights(model, path)
    np.testing.assert_array_equal(model.get_layer("conv1").get_weights()[0], kernel)


def test_optimizer_and_counters_of_a_full_model_are_no_weights(tmp_path):
    path = tmp_path / "f.h5"
    model = randomise(detector(dropout=0.5))
    model.compile("adam", "mse")
    model.fit(np.ones((2, 8, 8, 3)), np.ones((2, 16)), verbose=0)
    model.save(path)
    read = read_weights(path)
    assert len(read) == 26 and not any("seed" in weight or "adam" in layer for layer, weight in read)
    target = detector()
    assert load_weights(target, path).missing == ()
    assert same(values(model), values(target))


def test_split_layer_names_attribute(tmp_path):
    groups = {f"layer_{i:03d}" + "x" * 300: [] for i in range(400)}
    groups["conv1"] = [("conv1/kernel", np.ones((1, 1, 3, 4), "float32"))]
    path = tmp_path / "f.h5"
    write_atomically(path, encode_groups(groups))
    with h5py.File(path) as file:
        assert "layer_names" not in file.attrs and "layer_names1" in file.attrs
    assert list(read_weights(path)) == [("conv1", "kernel")]


def test_numbered_names_inside_groups(tmp_path):
    rng = np.random.default_rng(0)
    model = detector()
    wanted = {w.path: rng.uniform(size=w.shape).astype("float32") for w in model.weights}

    def named(path, number):
        *_, layer, weight = path.split("/")
        return f"{layer}{number}/{weight}:0"

    groups = {}
    for path, value in wanted.items():
        group = "rpn_model" if path.startswith("rpn_model") else path.split("/")[-2]
        groups.setdefault(group, []).append((named(path, "_1"), value))
    load_weights(model, _write(tmp_path / "f.h5", groups))
    assert same(wanted, values(model))


def test_keras_1_names(tmp_path):
    arrays = [np.full(4, i, "float32") for i in range(1, 5)]
    kernel = np.ones((1, 1, 3, 4), "float32")
    groups = {
        "conv1": [("conv1_W_1:0", kernel), ("conv1_b_1:0", arrays[0])],
        "bn_conv1": [
            (f"bn_conv1_{name}:0", value)
            for name, value in zip(("gamma", "beta", "running_mean", "running_std"), arrays, strict=True)
        ],
    }
    model = sequence(layers.Conv2D(4, 1, name="conv1"), layers.BatchNormalization(name="bn_conv1"))
    load_weights(model, _write(tmp_path / "f.h5", groups))
    np.testing.assert_array_equal(model.get_layer("bn_conv1").moving_variance, arrays[3])
    np.testing.assert_array_equal(model.get_layer("conv1").bias, arrays[0])


@pytest.mark.parametrize(
    ("keras_name", "matterport_name"),
    [
        ("conv1_conv", "conv1"),
        ("conv1_bn", "bn_conv1"),
        ("conv2_block1_0_conv", "res2a_branch1"),
        ("conv2_block1_0_bn", "bn2a_branch1"),
        ("conv3_block4_2_conv", "res3d_branch2b"),
        ("conv4_block23_3_bn", "bn4w_branch2c"),
        ("conv5_block3_1_conv", "res5c_branch2a"),
        ("conv2_block1_out", None),
        ("conv1", None),
    ],
)
def test_keras_applications_names(keras_name, matterport_name):
    assert matterport_resnet_name(keras_name) == matterport_name


def test_keras_applications_file_goes_into_matterports_layers(tmp_path):
    source = randomise(sequence(
        layers.Conv2D(4, 1, name="conv1_conv"), layers.BatchNormalization(name="conv1_bn"),
        layers.Conv2D(4, 1, name="conv2_block1_0_conv"),
    ))
    save_weights(source, tmp_path / "f.h5")
    target = sequence(
        layers.Conv2D(4, 1, name="conv1"), layers.BatchNormalization(name="bn_conv1"),
        layers.Conv2D(4, 1, name="res2a_branch1"),
    )
    assert load_weights(target, tmp_path / "f.h5").missing == ()
    for a, b in zip(source.get_weights(), target.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.jax
@pytest.mark.parametrize("name", ["w.weights.h5", "m.keras"])
def test_keras_3_files_go_by_name_into_another_graph(tmp_path, name):
    source = randomise(detector())
    path = tmp_path / name
    source.compile("adam", "mse")
    source.fit(np.ones((2, 8, 8, 3)), np.ones((2, 16)), verbose=0)
    (source.save_weights if name.endswith("weights.h5") else source.save)(path)
    target = detector(reverse=True)
    assert load_weights(target, path).missing == ()
    assert same(values(source), values(target))


def test_keras_3_file_without_layer_names_is_refused(tmp_path):
    path = tmp_path / "old.weights.h5"
    detector().save_weights(path)
    with h5py.File(path, "r+") as file:
        named = []
        file.visititems(lambda place, item: named.append(place) if "name" in item.attrs else None)
        for place in named:
            del file[place].attrs["name"]
    with pytest.raises(ValueError, match="class and order"):
        load_weights(detector(), path)


def test_layers_whose_weights_have_other_names_load_from_keras_3(tmp_path):
    def make():
        return sequence(layers.DepthwiseConv2D(3, name="dw"), layers.SeparableConv2D(4, 3, name="sep"))

    source, target = randomise(make()), make()
    source.save_weights(tmp_path / "w.weights.h5")
    assert load_weights(target, tmp_path / "w.weights.h5").missing == ()
    assert same(values(source), values(target))


@pytest.fixture(scope="module")
def model():
    return detector()


def test_absent_file_and_folder(tmp_path, model):
    with pytest.raises(FileNotFoundError, match="nowhere.h5"):
        load_weights(model, tmp_path / "nowhere.h5")
    with pytest.raises(ValueError, match="is a folder"):
        load_weights(model, tmp_path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"version https://git-lfs.github.com/spec/v1", "pointer file"),
        (b"<!DOCTYPE html><html>", "web page"),
        (b"PK\x03\x04 broken", "damaged"),
    ],
)
def test_foreign_content(tmp_path, model, content, reason):
    path = tmp_path / "bad.h5"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=reason) as caught:
        load_weights(model, path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("kept", [0.05, 0.5, 0.97])
@pytest.mark.parametrize("suffix", ["h5", "keras"])
def test_truncated_file(tmp_path, model, kept, suffix):
    path = tmp_path / f"w.{suffix}"
    (save_weights(model, path) if suffix == "h5" else model.save(path))
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(ValueError, match="truncated or damaged") as caught:
        load_weights(model, path)
    assert str(path) in str(caught.value)


def test_hdf5_and_zip_without_weights(tmp_path, model):
    with h5py.File(tmp_path / "data.h5", "w") as file:
        file["images"] = np.zeros(3)
    with pytest.raises(ValueError, match="holds no Keras weights.*images"):
        load_weights(model, tmp_path / "data.h5")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("x", "y")
    with pytest.raises(ValueError, match="a.zip"):
        load_weights(model, tmp_path / "a.zip")


def test_order_tells_the_kind_of_layer():
    assert weights_by_order([(3, 3, 2, 4), (4,)]) == ["kernel", "bias"]
    assert weights_by_order([(4,), (4,)]) == ["gamma", "beta"]
    assert weights_by_order([(4,)] * 4) == ["gamma", "beta", "moving_mean", "moving_variance"]
    assert weights_by_order([(4,)]) == ["0"] and weights_by_order([]) == []
