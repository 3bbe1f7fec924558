"""Exported files find in their own runtimes what `detect` finds."""

import contextlib
import functools
import http.server
import importlib.util
import json
import re
import subprocess
import sys
import threading
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers
from PIL import Image
from skimage.io import imread

from benchmarks.exported import RUNTIMES
from mrcnn import FasterRCNN, KeypointRCNN, MaskRCNN
from mrcnn.configurations import TorchvisionMaskRCNN
from mrcnn.engine.export import export_graph
from tests.small import SIDE, SmallConfig

on_tensorflow = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="exporting runs on TensorFlow")


def plain_backbone(image, stage5=True, train_bn=None):
    """Five convolutions: the graph around them is what is exported here."""
    x, features = image, []
    for width in (8, 16, 32, 32, 32):
        x = layers.Conv2D(width, 3, 2, "same", activation="relu", kernel_initializer="he_normal")(x)
        features.append(x)
    return features


# The others than the first take as long again, and are the same graph.
FORMATS_IN_TURN = ["tf_saved_model"] + [
    pytest.param(format, marks=pytest.mark.longest) for format in sorted(RUNTIMES.keys() - {"tf_saved_model"})
]


class ExportConfig(SmallConfig):
    BACKBONE = staticmethod(plain_backbone)
    NORM = "batch"
    PIXEL_STD = (64.0, 64.0, 64.0)
    DETECTION_MIN_CONFIDENCE = 0.5


class AsInTorchvision(TorchvisionMaskRCNN, ExportConfig):
    """torchvision's parts in the small network."""

    NAME = "small"
    BACKBONE = staticmethod(plain_backbone)
    NUM_CLASSES = 3
    IMAGE_MIN_DIM = IMAGE_MAX_DIM = SIDE
    PIXEL_STD = 64.0
    RPN_CHANNELS = 16
    PRE_NMS_LIMIT = 100
    POST_NMS_ROIS_INFERENCE = 30
    DETECTION_MIN_CONFIDENCE = 0.5


class AsInDetectron2(AsInTorchvision):
    """Detectron2's in its place."""

    IMAGE_RESIZE_MODE = "pad32_smooth"
    ROI_ALIGN = "aligned"
    ROI_SAMPLING_RATIO = 0
    MASK_PASTE = "centers"


@pytest.fixture(scope="module")
def detector(tmp_path_factory):
    return make_detector(ExportConfig, tmp_path_factory.mktemp("logs"))


def make_detector(config_class, folder, model_class=MaskRCNN):
    """Random weights under which photographs show something and a grey wall nothing."""
    keras.utils.set_random_seed(2)
    model = model_class("inference", config_class(), folder)
    for weight in model.keras_model.weights:
        # Scores and mask values further apart than rounding can move them.
        if weight.path.endswith(("mrcnn_class_logits/kernel", "mrcnn_mask/kernel")):
            weight.assign(weight * 4)
    return model


@pytest.fixture(scope="module")
def photo(test_data):
    """A real image, every fourth pixel of it: small enough to be quick, and of no size that the model has."""
    return imread(test_data / "coco_mini" / "val2017" / "000000000139.jpg")[::4, ::4]


@pytest.fixture(scope="module")
def exported(detector, photo, tmp_path_factory):
    """Format -> path of the file, written once."""

    @functools.cache
    def path_of(format):
        path = tmp_path_factory.mktemp(format) / RUNTIMES[format][0]
        detector.export(path, format=format, image_size=photo.shape[:2] if format == "litert" else None)
        return str(path)

    return path_of


def wall(photo):
    return np.full((1, *photo.shape), 128, np.uint8)


# === What every format promises ===


def check_agreement(detector, images, found, pasted=True):
    """Detections row by row; boxes to the pixel, but for rounding, and masks but for pixels on the threshold."""
    for index, expected in enumerate(detector.detect(list(images))):
        count = len(expected["scores"])
        assert found["num_detections"][index] == count
        np.testing.assert_array_equal(found["class_ids"][index, :count], expected["class_ids"])
        np.testing.assert_allclose(found["scores"][index, :count], expected["scores"], atol=1e-3)
        assert np.abs(found["boxes"][index, :count] - expected["rois"]).max(initial=0) <= 1
        if pasted:
            masks = np.moveaxis(expected["masks"], -1, 0)
            assert found["masks"][index, :count].dtype == bool
            assert np.sum(found["masks"][index, :count] != masks) <= 0.01 * max(1, masks.sum())
        for name, values in found.items():
            if name != "num_detections":
                assert not values[index, count:].any(), f"{name} has values behind the last detection"


@on_tensorflow
@pytest.mark.slow
@pytest.mark.parametrize("format", sorted(RUNTIMES))
def test_a_file_finds_what_detect_finds(detector, photo, exported, format):
    find = RUNTIMES[format][1](exported(format))
    pair = np.stack([photo, photo[:, ::-1]])
    found = find(pair)
    assert set(found) == {"boxes", "class_ids", "scores", "masks", "num_detections"}
    assert found["num_detections"].min() >= 2
    check_agreement(detector, pair, found)
    check_agreement(detector, pair[:1], find(pair[:1]))
    nothing = find(wall(photo))
    assert nothing["num_detections"].tolist() == [0]
    check_agreement(detector, wall(photo), nothing)
    if format != "litert":
        upright = np.ascontiguousarray(np.swapaxes(pair, 1, 2)[:1])
        check_agreement(detector, upright, find(upright))


def script_of_the_serving_page(words):
    """The piece of Python there that begins with `words`."""
    page = (Path(__file__).parents[2] / "docs" / "serving.md").read_text(encoding="utf-8")
    (script,) = re.findall(rf"^```python\n({re.escape(words)}.*?)^```", page, re.DOTALL | re.MULTILINE)
    return script


@on_tensorflow
@pytest.mark.slow
def test_the_script_of_the_serving_page(detector, photo, exported, tmp_path):
    (tmp_path / "find.py").write_text(script_of_the_serving_page('"""Prints the objects'))
    Image.fromarray(photo).save(tmp_path / "picture.png")
    command = [sys.executable, "find.py", exported("onnx"), "picture.png"]
    lines = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout.splitlines()
    (expected,) = detector.detect([photo])
    assert [line.split()[:2] for line in lines] == [["class", str(class_id)] for class_id in expected["class_ids"]]


@on_tensorflow
@pytest.mark.slow
def test_the_request_of_the_serving_page(detector, photo, tmp_path):
    """A stand-in answers as TensorFlow Serving's REST interface is documented to, a dict of values an instance."""
    detector.export(tmp_path / "1", masks="box")
    Image.fromarray(photo).save(tmp_path / "picture.jpg", quality=95)
    with serving(str(tmp_path / "1")) as port:
        script = script_of_the_serving_page("import json").replace(":8501", f":{port}")
        command = [sys.executable, "-c", script]
        printed = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    (expected,) = detector.detect([imread(tmp_path / "picture.jpg")])
    count, boxes = printed.split(maxsplit=1)
    assert int(count) == len(expected["scores"]) >= 1
    assert np.abs(np.array(json.loads(boxes))[: int(count)] - expected["rois"]).max() <= 1


@contextlib.contextmanager
def serving(path):
    """The port of a server that runs a file in a session of TensorFlow's, without its Python objects."""
    import tensorflow as tf

    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        signature = tf.compat.v1.saved_model.load(session, ["serve"], path).signature_def["serving_default"]
        outputs = {name: info.name for name, info in signature.outputs.items()}

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                assert self.path == "/v1/models/detector:predict"
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                images = np.array(body["instances"], np.uint8)
                found = session.run(outputs, {signature.inputs["images"].name: images})
                rows = [{name: found[name][row].tolist() for name in found} for row in range(len(images))]
                self.send_response(200)
                self.end_headers()
                self.wfile.write(json.dumps({"predictions": rows}).encode())

        server = http.server.HTTPServer(("localhost", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            server.server_close()


@on_tensorflow
@pytest.mark.parametrize("mode", ["square", "pad64"])
def test_the_graph_that_is_exported(detector, photo, mode, tmp_path):
    """Masks over the image and over the box, sizes known and open; no file is written."""
    config = ExportConfig()
    config.IMAGE_RESIZE_MODE = mode
    model = MaskRCNN("inference", config, tmp_path)
    model.keras_model.set_weights(detector.keras_model.get_weights())
    for image_size in (photo.shape[:2], None):
        graph = export_graph(model, image_size, paste=True)
        found = {name: keras.ops.convert_to_numpy(value) for name, value in graph(photo[None]).items()}
        check_agreement(model, photo[None], found)
    boxed = export_graph(model, None, paste=False)(photo[None])["masks"]
    assert tuple(boxed.shape) == (1, config.DETECTION_MAX_INSTANCES, *config.MASK_SHAPE)


@on_tensorflow
@pytest.mark.slow
@pytest.mark.parametrize("config_class", [AsInTorchvision, AsInDetectron2])
@pytest.mark.parametrize("format", FORMATS_IN_TURN)
def test_the_parts_of_torchvision_and_detectron2_are_exported(config_class, photo, tmp_path, format):
    model = make_detector(config_class, tmp_path)
    pair = np.stack([photo, photo[:, ::-1]])
    path = tmp_path / RUNTIMES[format][0]
    model.export(path, format=format, image_size=photo.shape[:2])
    find = RUNTIMES[format][1](str(path))
    found = find(pair)
    assert found["num_detections"].min() >= 2 and found["boxes"].dtype == np.float32
    check_agreement(model, pair, found)
    assert find(wall(photo))["num_detections"].tolist() == [len(model.detect(list(wall(photo)))[0]["scores"])]


@on_tensorflow
@pytest.mark.slow
@pytest.mark.parametrize("format", FORMATS_IN_TURN)
def test_a_detector_of_boxes_is_exported(photo, tmp_path, format):
    model = make_detector(ExportConfig, tmp_path, FasterRCNN)
    pair = np.stack([photo, photo[:, ::-1]])
    path = tmp_path / RUNTIMES[format][0]
    model.export(path, format=format, image_size=photo.shape[:2])
    found = RUNTIMES[format][1](str(path))(pair)
    assert set(found) == {"boxes", "class_ids", "scores", "num_detections"}
    assert found["num_detections"].min() >= 2
    check_agreement(model, pair, found, pasted=False)


# === Refusals ===


@on_tensorflow
@pytest.mark.parametrize(
    "path, options, message",
    [
        ("model", {"format": "coreml"}, "'coreml', expected one of"),
        ("model.pt2", {"format": "torch"}, "PyTorch backend only"),
        ("model.pb", {"format": "onnx"}, "ends in '.onnx'"),
        ("model.tflite", {"format": "litert"}, "image_size=\\(height, width\\)"),
        ("model", {"masks": "polygons"}, "'polygons', expected one of"),
    ],
)
def test_what_cannot_be_is_refused(detector, tmp_path, path, options, message):
    with pytest.raises(ValueError, match=message):
        detector.export(tmp_path / path, **options)
    assert not list(tmp_path.iterdir())


@on_tensorflow
@pytest.mark.parametrize(
    "setting, value, message",
    [
        ("IMAGE_RESIZE_MODE", "crop", "cuts a piece out at random. Set one of .*'square'"),
        ("IMAGE_RESIZE_MODE", "pad32", "must know the size of the images: pass image_size"),
        ("IMAGE_RESIZE_MODE", "pad32_smooth", "must know the size of the images: pass image_size"),
    ],
)
def test_a_mode_that_does_not_fit_is_refused(detector, monkeypatch, tmp_path, setting, value, message):
    monkeypatch.setattr(detector.config, setting, value)
    with pytest.raises(ValueError, match=f"{setting} is '{value}', who?.*{message}"):
        detector.export(tmp_path / "model")


@on_tensorflow
def test_a_detector_of_keypoints_is_refused(tmp_path):
    config = ExportConfig()
    config.NUM_KEYPOINTS = 5
    with pytest.raises(ValueError, match="KeypointRCNN is not exported"):
        KeypointRCNN("inference", config, tmp_path).export(tmp_path / "model")


@on_tensorflow
def test_a_missing_package_is_named(detector, tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match="pip install tf2onnx onnx"):
        detector.export(tmp_path / "model.onnx", format="onnx")


@on_tensorflow
def test_a_version_of_keras_that_cannot_write_the_format_is_named(detector, tmp_path, monkeypatch):
    monkeypatch.setattr(keras, "__version__", "3.12.1")
    with pytest.raises(ImportError, match="Keras 3.12.1 cannot write format 'litert'.*keras>=3.13"):
        detector.export(tmp_path / "model.tflite", format="litert", image_size=(64, 64))


@on_tensorflow
def test_sides_that_no_pyramid_can_halve_are_refused(detector, tmp_path, monkeypatch):
    monkeypatch.setattr(detector.config, "IMAGE_RESIZE_MODE", "none")
    with pytest.raises(ValueError, match="image_size is 64 x 72 pixels.*multiples of 32"):
        detector.export(tmp_path / "model", image_size=(64, 72))


@pytest.mark.jax
@pytest.mark.skipif(keras.backend.backend() == "tensorflow", reason="for the other backends")
def test_another_backend_is_refused(detector, tmp_path):
    with pytest.raises(ValueError, match="KERAS_BACKEND=tensorflow"):
        detector.export(tmp_path / "model")
