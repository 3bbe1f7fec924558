"""Weight files have the layout of Matterport's, attribute by attribute, and travel both ways."""

import copy
import json

import h5py
import keras
import numpy as np
import pytest

from mrcnn import Config, MaskRCNN
from tests.golden_case import Case, assign, sample


class CocoLikeConfig(Config):
    NAME = "coco"
    NUM_CLASSES = 81
    IMAGE_MIN_DIM = IMAGE_MAX_DIM = 128


def text(value):
    return value.decode() if isinstance(value, bytes) else str(value)


def weighted_groups(file):
    """`{group: [(name, path, shape, dtype)]}` of the groups that hold weights."""
    groups = {}
    for name in map(text, file.attrs["layer_names"]):
        assert list(file[name].attrs) == ["weight_names"]
        names = [text(n) for n in file[name].attrs["weight_names"]]
        if names:
            datasets = [file[name][n] for n in names]
            groups[name] = [
                (n, d.name.lstrip("/"), list(d.shape), str(d.dtype)) for n, d in zip(names, datasets, strict=True)
            ]
    return groups


def golden_file(golden, weights, path):
    """Writes `weights` as the peer's file of ResNet-101, group by group, with h5py alone."""
    layout = json.loads((golden / "layout_resnet101.json").read_text())
    with h5py.File(path, "w") as file:
        for name, value in layout["root_attrs"].items():
            file.attrs[name] = value.encode()
        file.attrs["layer_names"] = [layer["group"].encode() for layer in layout["layers"]]
        for layer in layout["layers"]:
            file.create_group(layer["group"]).attrs["weight_names"] = [name.encode() for name in layer["weight_names"]]
            for name, dataset in zip(layer["weight_names"], layer["datasets"], strict=True):
                file[dataset["path"]] = weights[tuple(name.removesuffix(":0").split("/"))]
    return path


def held(model):
    """`{(layer, weight): array}` of a detector."""
    return {
        tuple(w.path.split("/")[-2:]): keras.ops.convert_to_numpy(w)
        for w in model.keras_model.weights
        if "seed" not in w.path
    }


@pytest.mark.parametrize("backbone", ["resnet50", pytest.param("resnet101", marks=pytest.mark.slow)])
@pytest.mark.parametrize("mode", ["training", "inference"])
def test_saved_file_has_matterports_layout(golden, tmp_path, backbone, mode):
    config = CocoLikeConfig()
    config.BACKBONE = backbone
    path = tmp_path / "weights.h5"
    MaskRCNN(mode, config, tmp_path).save_weights(path)
    layout = json.loads((golden / f"layout_{backbone}.json").read_text())
    expected = {
        layer["group"]: [
            (name, data["path"], data["shape"], data["dtype"])
            for name, data in zip(layer["weight_names"], layer["datasets"], strict=True)
        ]
        for layer in layout["layers"]
        if layer["weight_names"]
    }
    with h5py.File(path) as file:
        # Loading without names counts on the order.
        assert list(weighted_groups(file).items()) == list(expected.items())
        assert {name: text(file.attrs[name]) for name in file.attrs if name != "layer_names"} == layout["root_attrs"]


def test_weights_of_a_file_give_the_peers_detections(golden, tmp_path):
    """Values go into a file by one model and out of it, by name, into another."""
    case = Case(golden, "infer_a")
    path = tmp_path / "mask_rcnn_peer.h5"
    writer = MaskRCNN("training", case.config, tmp_path)
    assign(writer.keras_model, case.weights())
    writer.save_weights(path)
    keras.backend.clear_session()
    reader = MaskRCNN("inference", case.config, tmp_path)
    reader.load_weights(path, by_name=True)
    inputs = [case["molded_images"], case["image_metas"].astype("float32")]
    detections = np.asarray(reader.keras_model.predict_on_batch(inputs)[0])
    stable = case["detections"][0][case["detections_stable/0"]]
    assert np.abs(stable[:, None] - detections[0][None]).max(-1).min(1).max() <= 1e-3


def test_other_classes_load_with_the_usual_exclude(golden, tmp_path):
    case = Case(golden, "infer_a")
    path = tmp_path / "four_classes.h5"
    MaskRCNN("inference", case.config, tmp_path).save_weights(path)
    case.config.NUM_CLASSES = 7
    other = MaskRCNN("inference", case.config, tmp_path)
    with pytest.raises(ValueError, match="mrcnn_class_logits"):
        other.load_weights(path)
    exclude = ["mrcnn_class_logits", "mrcnn_bbox_fc", "mrcnn_bbox", "mrcnn_mask"]
    weights = [w for w in other.keras_model.weights if w.path.endswith("kernel")]
    before = [keras.ops.convert_to_numpy(w) for w in weights]
    other.load_weights(path, by_name=True, exclude=exclude)
    changed = {
        weight.path.split("/")[-2]
        for weight, value in zip(weights, before, strict=True)
        if not np.array_equal(value, keras.ops.convert_to_numpy(weight))
    }
    assert "conv1" in changed and not changed & set(exclude)


@pytest.fixture(scope="module")
def coco_file(golden, tmp_path_factory):
    """The case of the whole 81-class ResNet-101, its weights and their file."""
    case = Case(golden, "infer_b")
    weights = case.weights()
    return case, weights, golden_file(golden, weights, tmp_path_factory.mktemp("coco") / "mask_rcnn_coco.h5")


@pytest.mark.slow
def test_whole_coco_file_gives_the_peers_outputs(coco_file, tmp_path):
    case, weights, path = coco_file
    model = MaskRCNN("inference", case.config, tmp_path)
    report = model.load_weights(path, by_name=True)
    assert report.missing == report.unused == report.excluded == () and len(report.loaded) == len(weights)
    layers = {"C5": "res5c_out", "P2": "fpn_p2", "P5": "fpn_p5"}
    features = {key: model.keras_model.get_layer(name).output for key, name in layers.items()}
    probe = keras.Model(model.keras_model.inputs, [model.keras_model.outputs, features])
    inputs = [case["molded_images"], case["image_metas"].astype("float32")]
    (detections, *_, rpn_class, rpn_bbox), values = probe.predict_on_batch(inputs)
    for key, value in values.items():
        error = np.abs(sample(value, case, f"feat/{key}") - case[f"feat/{key}/sample"])
        assert error.max() <= 1e-4 * float(case[f"feat/{key}/std"])
    np.testing.assert_allclose(rpn_class, case["rpn_class"], atol=1e-3)
    np.testing.assert_allclose(rpn_bbox, case["rpn_bbox"], atol=1e-3)
    stable = case["detections"][0][case["detections_stable/0"]]
    assert np.abs(stable[:, None] - detections[0][None]).max(-1).min(1).max() <= 1e-3


HEADS = ["mrcnn_class_logits", "mrcnn_bbox_fc", "mrcnn_bbox", "mrcnn_mask"]
RPN = ["rpn_conv_shared", "rpn_class_raw", "rpn_bbox_pred"]


@pytest.mark.slow
def test_whole_coco_file_with_every_usual_exclude(coco_file, tmp_path):
    case, weights, path = coco_file
    config = copy.copy(case.config)
    config.NUM_CLASSES = 3
    model = MaskRCNN("training", config, tmp_path)
    fresh = held(model)
    usual = [
        (HEADS, HEADS),
        (tuple(HEADS), HEADS),
        ([*HEADS, "rpn_model"], HEADS + RPN),
        ([*HEADS, "conv1"], [*HEADS, "conv1"]),
        ([*HEADS, "rpn_model", "conv1"], [*HEADS, *RPN, "conv1"]),
    ]
    for exclude, left_alone in usual:
        assign(model.keras_model, fresh)
        report = model.load_weights(path, by_name=True, exclude=exclude)
        assert report.missing == report.unused == ()
        for (layer, weight), value in held(model).items():
            expected = fresh if layer in left_alone else weights
            np.testing.assert_array_equal(value, expected[layer, weight])


@pytest.mark.slow
def test_whole_coco_file_keeps_its_classes_by_name(coco_file, tmp_path):
    case, weights, path = coco_file
    config = copy.copy(case.config)
    config.NUM_CLASSES = 4
    model = MaskRCNN("training", config, tmp_path)
    fresh = held(model)
    report = model.load_weights(path, class_names=["BG", "dog", "unicorn", "person"])
    assert report.classes.new == ("unicorn",) and report.classes.origin == "COCO"
    after = held(model)
    for layer, unit in (("mrcnn_class_logits", 1), ("mrcnn_bbox_fc", 4), ("mrcnn_mask", 1)):
        for weight in ("kernel", "bias"):
            key = (layer, weight)
            parts = [array[key].reshape(*array[key].shape[:-1], -1, unit) for array in (after, weights, fresh)]
            np.testing.assert_array_equal(parts[0][..., [0, 1, 3], :], parts[1][..., [0, 17, 1], :])
            np.testing.assert_array_equal(parts[0][..., 2, :], parts[2][..., 2, :])
    np.testing.assert_array_equal(after["mrcnn_class_conv1", "kernel"], weights["mrcnn_class_conv1", "kernel"])


@pytest.mark.slow
def test_imagenet_file_of_resnet50_fills_what_resnet101_shares(golden, tmp_path):
    """As `get_imagenet_weights` fetches it: Keras 1's joined names, alphabetical, without the classifier."""
    case = Case(golden, "infer_a")
    weights = {key: value for key, value in case.weights().items() if key[0].startswith(("conv1", "bn", "res"))}
    words = {"kernel": "W", "bias": "b", "moving_mean": "running_mean", "moving_variance": "running_std"}
    path = tmp_path / "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5"
    with h5py.File(path, "w") as file:
        layers = sorted({layer for layer, _ in weights})
        file.attrs["layer_names"] = [name.encode() for name in [*layers, "avg_pool"]]
        file.create_group("avg_pool").attrs["weight_names"] = []
        for layer in layers:
            names = {f"{layer}_{words.get(w, w)}_1:0": value for (owner, w), value in weights.items() if owner == layer}
            file.create_group(layer).attrs["weight_names"] = [name.encode() for name in names]
            for name, value in names.items():
                file[layer][name] = value
    case.config.BACKBONE = "resnet101"
    model = MaskRCNN("training", case.config, tmp_path)
    report = model.load_weights(path, by_name=True)
    assert report.unused == () and set(report.loaded_layers) == {layer for layer, _ in weights}
    after = held(model)
    for key, value in weights.items():
        np.testing.assert_array_equal(after[key], value)
