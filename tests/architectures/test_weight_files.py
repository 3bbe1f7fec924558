"""Weight files have the layout of Matterport's, attribute by attribute, and travel both ways."""

import json

import h5py
import keras
import numpy as np
import pytest

from mrcnn import Config, MaskRCNN
from tests.golden_case import Case, assign


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
        names = [text(n) for n in file[name].attrs["weight_names"]]
        if names:
            datasets = [file[name][n] for n in names]
            groups[name] = [
                (n, d.name.lstrip("/"), list(d.shape), str(d.dtype)) for n, d in zip(names, datasets, strict=True)
            ]
    return groups


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
        assert weighted_groups(file) == expected
        for name, value in layout["root_attrs"].items():
            assert text(file.attrs[name]) == value


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
