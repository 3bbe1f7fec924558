"""Weight files through `MaskRCNN`, and the methods of `keras_model` itself."""

import os
import pathlib
import re

import keras
import numpy as np
import pytest

from tests.api.helpers import values, weights_in

EXCLUDE = ["mrcnn_class_logits", "mrcnn_bbox_fc", "mrcnn_bbox", "mrcnn_mask"]
LOSSES = ["loss", "rpn_class_loss", "rpn_bbox_loss", "mrcnn_class_loss", "mrcnn_bbox_loss", "mrcnn_mask_loss"]


def disturb(model):
    for weight in model.keras_model.weights:
        if "seed" not in weight.path:
            weight.assign(keras.ops.ones_like(weight) * 0.125)


def weight_of(model, ending):
    return next(w for w in model.keras_model.weights if w.path.endswith(ending))


class TestLoadWeights:
    def test_find_last_is_a_path_and_a_pair(self, trained):
        last = trained.model.find_last()
        assert isinstance(last, str) and os.path.isfile(last)
        assert last[1] == str(last) and last[0] == os.path.dirname(last)
        folder, path = last
        assert os.path.join(folder, os.path.basename(path)) == last

    def test_find_last_without_a_run(self, other, tmp_path, monkeypatch):
        monkeypatch.setattr(other, "model_dir", str(tmp_path))
        with pytest.raises(FileNotFoundError, match=re.escape(str(tmp_path))):
            other.find_last()

    @pytest.mark.parametrize("form", [str, pathlib.Path, lambda last: last[1], lambda last: last])
    def test_by_name_from_every_form_of_a_path(self, trained, other, form):
        disturb(other)
        other.load_weights(filepath=form(trained.model.find_last()), by_name=True)
        np.testing.assert_equal(values(other, "fpn_c5p5"), values(trained.model, "fpn_c5p5"))

    def test_by_name_off_is_by_name_too(self, trained, other):
        disturb(other)
        other.load_weights(trained.model.find_last())
        np.testing.assert_equal(values(other, "fpn_c5p5"), values(trained.model, "fpn_c5p5"))

    def test_sets_epoch_and_log_dir(self, trained, other, capsys):
        other.set_log_dir()
        assert other.epoch == 0
        other.load_weights(trained.model.find_last(), by_name=True)
        assert other.epoch == 1 and other.log_dir == trained.model.log_dir
        assert "Re-starting from epoch 1\n" in capsys.readouterr().out

    def test_exclude_of_the_class_layers(self, trained, other):
        disturb(other)
        other.load_weights(trained.model.find_last(), by_name=True, exclude=EXCLUDE)
        for layer in ("mrcnn_class_logits", "mrcnn_bbox_fc", "mrcnn_mask"):
            kernel = keras.ops.convert_to_numpy(weight_of(other, f"{layer}/kernel"))
            assert (kernel == 0.125).all()
        np.testing.assert_equal(values(other, "rpn_model"), values(trained.model, "rpn_model"))

    @pytest.mark.parametrize("exclude", [["rpn_model"], "rpn_model"])
    def test_exclude_of_rpn_model_and_as_a_text(self, trained, other, exclude):
        disturb(other)
        other.load_weights(trained.model.find_last(), by_name=True, exclude=exclude)
        assert all((value == 0.125).all() for value in values(other, "rpn_model"))

    def test_missing_file_is_named(self, other):
        with pytest.raises(FileNotFoundError, match="nowhere.h5"):
            other.load_weights("/data/nowhere.h5", by_name=True)

    @pytest.mark.parametrize("ending", ["model.h5", "model.keras", "w.weights.h5", "w.h5", "w.hdf5"])
    def test_whole_models_and_keras_own_files(self, trained, detector, other, tmp_path, ending):
        path = str(tmp_path / ending)
        if "model" in ending:
            detector.keras_model.save(path)
        else:
            detector.keras_model.save_weights(path)
        disturb(other)
        other.load_weights(path, by_name=True)
        np.testing.assert_equal(values(other, "fpn_c5p5"), values(detector, "fpn_c5p5"))
        np.testing.assert_equal(values(other, "mrcnn_masks"), values(detector, "mrcnn_masks"))

    def test_get_imagenet_weights_is_a_path(self, trained, monkeypatch):
        monkeypatch.setattr("mrcnn.engine.detector.imagenet_weights_path", lambda: "/cache/resnet50.h5")
        assert trained.model.get_imagenet_weights() == "/cache/resnet50.h5"


class TestKerasModel:
    def test_save_weights_to_h5(self, detector, tmp_path):
        detector.keras_model.save_weights(str(tmp_path / "mask_rcnn_shapes.h5"))
        assert set(weights_in(tmp_path / "mask_rcnn_shapes.h5")) == set(weights_in(detector.find_last()))

    def test_load_weights_by_name(self, detector, other):
        disturb(other)
        other.keras_model.load_weights(detector.find_last(), by_name=True)
        np.testing.assert_equal(values(other, "fpn_c5p5"), values(detector, "fpn_c5p5"))

    def test_inputs_and_outputs(self, detector):
        model = detector.keras_model
        assert [tensor.name for tensor in model.inputs] == ["input_image", "input_image_meta"]
        assert [tuple(tensor.shape[1:]) for tensor in model.outputs] == [
            (10, 6), (30, 3), (30, 3, 4), (10, 28, 28, 3), (30, 4), (1023, 2), (1023, 4)]  # fmt: skip

    @pytest.mark.parametrize("count", [2, 3])
    def test_predict_with_and_without_anchors(self, detector, image, count):
        molded, metas, _ = detector.mold_inputs([image])
        anchors = np.broadcast_to(detector.get_anchors(molded[0].shape), (1, 1023, 4))
        outputs = detector.keras_model.predict([molded, metas, anchors][:count], verbose=0)
        detections, mrcnn_class, mrcnn_bbox, mrcnn_mask, rpn_rois, rpn_class, rpn_bbox = outputs
        assert detections.shape == (1, 10, 6) and mrcnn_mask.shape == (1, 10, 28, 28, 3)
        np.testing.assert_allclose(detections[0, 0, 5], detector.detect([image])[0]["scores"][0], rtol=1e-5)

    def test_summary_layers_and_to_json(self, detector):
        lines = []
        detector.keras_model.summary(print_fn=lines.append)
        assert "fpn_c5p5" in "\n".join(lines) and len(detector.keras_model.layers) > 50
        assert '"mrcnn_detection"' in detector.keras_model.to_json()

    def test_get_layer_finds_layers_inside_the_heads(self, detector):
        logits = detector.keras_model.get_layer("mrcnn_class_logits")
        assert logits.name == "mrcnn_class_logits" and logits.get_weights()[1].shape == (3,)
        assert detector.keras_model.get_layer("rpn_model").name == "rpn_model"
        with pytest.raises(ValueError, match="nothing_of_this_name"):
            detector.keras_model.get_layer("nothing_of_this_name")

    def test_metrics_tensors_are_the_losses(self, trained):
        tensors = trained.model.keras_model.metrics_tensors
        assert [tuple(tensor.shape) for tensor in tensors] == [(None,)] * 5

    def test_training_model_has_no_regular_outputs_but_losses(self, trained):
        assert trained.model.keras_model.output_names == LOSSES[1:]
