"""`mrcnn.model.MaskRCNN`: methods, attributes, what they print and write, and `keras_model`'s own methods."""

import inspect
import os
import re
from collections import OrderedDict

import keras
import numpy as np
import pytest
import tensorflow as tf

from mrcnn import model as modellib
from mrcnn.engine.training import LAYER_CHOICES
from tests.api.helpers import begins_with, values, weights_in
from tests.small import SIDE, SmallConfig, SmallDataset

SIGNATURES = {
    "__init__": "mode, config, model_dir",
    "load_weights": "filepath, by_name=False, exclude=None",
    "find_last": "",
    "get_imagenet_weights": "",
    "train": "train_dataset, val_dataset, learning_rate, epochs, layers, augmentation=None, custom_callbacks=None, "
             "no_augmentation_sources=None, verbose=1",
    "detect": "images, verbose=0",
    "detect_molded": "molded_images, image_metas, verbose=0",
    "mold_inputs": "images",
    "unmold_detections": "detections, mrcnn_mask, original_image_shape, image_shape, window",
    "run_graph": "images, outputs, image_metas=None",
    "ancestor": "tensor, name, checked=None",
    "get_anchors": "image_shape",
    "get_trainable_layers": "",
    "find_trainable_layer": "layer",
    "set_log_dir": "model_path=None",
    "set_trainable": "layer_regex, keras_model=None, indent=0, verbose=1",
    "compile": "learning_rate, momentum=None",
}  # fmt: skip

LOSSES = ["loss", "rpn_class_loss", "rpn_bbox_loss", "mrcnn_class_loss", "mrcnn_bbox_loss", "mrcnn_mask_loss"]


@pytest.mark.parametrize("name", SIGNATURES)
def test_signature(name):
    begins_with(getattr(modellib.MaskRCNN, name), SIGNATURES[name])


class TestAttributes:
    def test_model_dir_need_not_exist(self, trained):
        assert not trained.made_early and trained.model_dir.exists()

    def test_names_of_matterport(self, trained):
        model = trained.model
        assert model.mode == "training" and model.config.NAME == "Demo purpose" and model.epoch == 1
        assert model.model_dir == str(trained.model_dir) and isinstance(model.keras_model, keras.Model)

    def test_log_dir_is_lower_case_name_and_minute(self, trained):
        assert re.fullmatch(r"demo purpose\d{8}T\d{4}", os.path.relpath(trained.model.log_dir, trained.model_dir))

    def test_checkpoint_path_is_a_template(self, trained):
        assert os.path.basename(trained.model.checkpoint_path) == "mask_rcnn_demo purpose_{epoch:04d}.h5"
        assert trained.model.checkpoint_path.format(epoch=1) == str(trained.model.find_last())

    def test_two_models_in_one_process_have_the_same_layer_names(self, trained, detector):
        names = [{w.path for w in m.keras_model.weights if "seed" not in w.path} for m in (trained.model, detector)]
        assert names[0] == names[1]


class TestTrain:
    def test_prints_epoch_rate_and_checkpoint_path(self, trained):
        assert "\nStarting at epoch 0. LR=0.001\n\n" in trained.printed
        assert f"Checkpoint Path: {trained.model.checkpoint_path}\n" in trained.printed

    def test_writes_a_checkpoint_and_events(self, trained):
        names = os.listdir(trained.model.log_dir)
        assert "mask_rcnn_demo purpose_0001.h5" in names
        assert any(name.startswith("events.out.tfevents") for name in names)

    def test_history_has_every_loss_twice(self, trained):
        for history in (trained.history, trained.model.keras_model.history):
            assert {name for loss in LOSSES for name in (loss, f"val_{loss}")} <= set(history.history)

    @pytest.mark.parametrize("name", ["best.h5", "whole.01.hdf5"])
    def test_custom_callbacks_with_model_checkpoint_to_h5(self, trained, name):
        written, last = weights_in(trained.model_dir.parent / name), weights_in(trained.model.find_last())
        assert "fpn_c5p5/kernel" in last
        np.testing.assert_equal(written, last)

    def test_nothing_left_to_do(self, trained, capsys):
        before = values(trained.model, "fpn_c5p5")
        history = trained.model.train(trained.train, trained.val, learning_rate=0.001, epochs=1, layers="heads")
        assert "Nothing to do" in capsys.readouterr().out and history.history == {}
        np.testing.assert_equal(values(trained.model, "fpn_c5p5"), before)
        assert trained.model.epoch == 1

    def test_by_keywords_alone(self, trained, capsys):
        trained.model.train(train_dataset=trained.train, val_dataset=trained.val, epochs=1, layers="heads",
                            learning_rate=trained.model.config.LEARNING_RATE / 10, augmentation=None,
                            custom_callbacks=[], no_augmentation_sources=["small"])
        assert "Starting at epoch 1. LR=0.0001" in capsys.readouterr().out

    def test_arguments_of_forks(self, trained, monkeypatch, caplog):
        seen = []
        fit = trained.model.keras_model.fit

        def watched_fit(data, **more):
            seen.append(data)
            return fit(data, **more)

        monkeypatch.setattr(trained.model.keras_model, "fit", watched_fit)
        trained.model.train(trained.train, trained.val, 0.001, 1, "heads", verbose=0, n_worker_threads=3,
                            class_weights={0: 1.0, 1: 2.0})
        assert seen[0].workers == 3 and "class_weights is not used" in caplog.text

    @pytest.mark.parametrize("layers", ["heads", "3+", "4+", "5+", "all", r"(mrcnn_mask.*)|(fpn_p\d)"])
    def test_layers_that_select_something(self, trained, layers, caplog):
        chosen = trained.model.set_trainable(LAYER_CHOICES.get(layers, layers), verbose=0)
        assert "mrcnn_mask_conv1" in chosen and not caplog.text

    def test_a_typo_in_layers_trains_nothing_and_is_said(self, trained, caplog, capsys):
        trained.model.train(trained.train, trained.val, learning_rate=0.001, epochs=1, layers="head")
        assert "Did you mean 'heads'?" in caplog.text and not trained.model.keras_model.trainable_weights
        capsys.readouterr()


def assert_result(result, shape):
    count = len(result["rois"])
    assert set(result) == {"rois", "class_ids", "scores", "masks"}
    assert result["rois"].shape == (count, 4) and result["rois"].dtype == np.int32
    assert result["class_ids"].shape == (count,) and result["class_ids"].dtype == np.int32
    assert result["scores"].shape == (count,) and result["scores"].dtype == np.float32
    assert result["masks"].shape == (*shape[:2], count) and result["masks"].dtype == bool
    assert (np.diff(result["scores"]) <= 0).all()


class TestDetect:
    def test_result_of_one_image(self, detector, image):
        r = detector.detect([image], verbose=0)[0]
        assert len(r["rois"])
        assert_result(r, image.shape)

    def test_four_dimensional_float_array_of_molded_images(self, detector, image):
        molded = np.expand_dims(modellib.mold_image(image, detector.config), 0)
        results = detector.detect(molded, verbose=0)
        assert molded.dtype == np.float32 and len(results) == 1
        assert_result(results[0], image.shape)

    @pytest.mark.parametrize("dtype", [np.uint16, np.float32, np.float64])
    def test_other_dtypes(self, detector, image, dtype):
        assert_result(detector.detect([image[:50].astype(dtype)])[0], (50, SIDE))

    def test_one_image_without_a_list(self, detector, image):
        with pytest.raises(ValueError, match=r"detect\(\[image\]\)"):
            detector.detect(image)

    def test_sides_that_no_pyramid_can_halve(self, detector, image, monkeypatch):
        monkeypatch.setattr(detector.config, "IMAGE_RESIZE_MODE", "none")
        with pytest.raises(ValueError, match=r"images\[1\] is 40 x 64 pixels.*multiples of 32.*pad64"):
            detector.detect([image, image[:40]])

    def test_nothing_found(self, detector, image, monkeypatch):
        def nothing(batch):
            rows = np.zeros((1, 10, 6), np.float32)
            return [rows, None, None, np.zeros((1, 10, 28, 28, 3), np.float32), None, None, None]

        monkeypatch.setattr(detector, "_predict", lambda molded, metas: nothing(molded))
        result = detector.detect([image])[0]
        assert result["rois"].shape == (0, 4) and result["masks"].shape == (SIDE, SIDE, 0)
        assert_result(result, image.shape)

    def test_verbose_prints_log_lines(self, detector, image, capsys):
        detector.detect([image], verbose=1)
        lines = capsys.readouterr().out.splitlines()
        assert lines[0] == "Processing 1 images"
        assert lines[1].startswith("image                    shape: (64, 64, 3)           min: ")
        assert lines[2].startswith("molded_images            shape: (1, 64, 64, 3)        min: ")
        assert lines[3].startswith("image_metas              shape: (1, 15)               min: ")

    def test_inside_a_device_that_is_not_there(self, detector, image):
        with tf.device("/gpu:0"):
            assert_result(detector.detect([image])[0], image.shape)


class TestMolding:
    def test_mold_inputs(self, detector, image):
        molded, metas, windows = detector.mold_inputs([image[:32]])
        assert molded.shape == (1, SIDE, SIDE, 3) and metas.shape == (1, 15)
        assert windows.tolist() == [[16, 0, 48, 64]]

    def test_unmold_detections(self, detector):
        detections = np.zeros((5, 6), np.float32)
        detections[0] = [0, 0, 1, 1, 2, 0.9]
        mask = np.ones((5, 28, 28, 3), np.float32)
        rois, class_ids, scores, masks = detector.unmold_detections(
            detections, mask, (40, 40, 3), (SIDE, SIDE, 3), (0, 0, SIDE, SIDE))
        assert rois.tolist() == [[0, 0, 40, 40]] and class_ids.tolist() == [2] and masks.shape == (40, 40, 1)
        assert scores[0] == np.float32(0.9)

    def test_detect_molded_takes_the_whole_image_as_window(self, detector, trained):
        image, meta, *_ = modellib.load_image_gt(trained.val, detector.config, 0)
        molded = np.expand_dims(modellib.mold_image(image, detector.config), 0)
        assert_result(detector.detect_molded(molded, np.expand_dims(meta, 0), verbose=0)[0], image.shape)

    def test_get_anchors_are_normalised_and_leaves_pixels(self, detector):
        anchors = detector.get_anchors((SIDE, SIDE, 3))
        assert anchors.dtype == np.float32 and anchors.shape == detector.anchors.shape == (1023, 4)
        np.testing.assert_allclose(anchors[:, 0] * (SIDE - 1), detector.anchors[:, 0], atol=1e-4)


    def test_anchors_of_the_last_image(self, tmp_path):
        config = SmallConfig()
        config.IMAGES_PER_GPU = 1
        model = modellib.MaskRCNN("inference", config, tmp_path)
        assert model.anchors.shape == (1023, 4)
        model.anchors = [1]
        assert model.anchors == [1]
        model.get_anchors((2 * SIDE, SIDE, 3))
        assert len(model.anchors) == 2046
        molded = np.zeros((1, SIDE, SIDE, 3), np.float32)
        model._predict = lambda *inputs: [np.zeros((1, 10, 6)), None, None, np.zeros((1, 10, 28, 28, 3))]
        model.detect_molded(molded, np.zeros((1, config.IMAGE_META_SIZE), np.float32))
        assert model.anchors.shape == (1023, 4)


class TestInspection:
    NODES = ["ROI/rpn_non_max_suppression:0", "ROI/rpn_non_max_suppression/NonMaxSuppressionV2:0",
             "ROI/rpn_non_max_suppression/NonMaxSuppressionV3:0", "ROI/pre_nms_anchors:0", "ROI/refined_anchors:0",
             "ROI/refined_anchors_clipped:0"]
    LAYERS = ["ROI", "rpn_class", "rpn_bbox", "mrcnn_class", "mrcnn_bbox", "mrcnn_mask", "mrcnn_detection",
              "roi_align_mask", "input_image"]

    @pytest.mark.parametrize("node", NODES)
    def test_ancestor(self, detector, node):
        assert detector.ancestor(detector.keras_model.get_layer("ROI").output, node) is not None

    def test_ancestor_of_an_unknown_name(self, detector):
        assert detector.ancestor(detector.keras_model.get_layer("ROI").output, "ROI/unknown:0") is None

    def test_run_graph(self, detector, image, capsys):
        model = detector.keras_model
        nodes = [(name, model.get_layer(name).output) for name in self.LAYERS]
        nodes += [(name, detector.ancestor(model.get_layer("ROI").output, name)) for name in self.NODES]
        found = detector.run_graph([image], nodes)
        assert isinstance(found, OrderedDict) and list(found) == self.LAYERS + self.NODES
        assert all(isinstance(value, np.ndarray) for value in found.values())
        assert found["ROI"].shape == (1, 30, 4) and found["mrcnn_mask"].shape == (1, 10, 28, 28, 3)
        assert found[self.NODES[0]].ndim == 1 and found["ROI/pre_nms_anchors:0"].shape[-1] == 4
        assert "mrcnn_detection          shape: (1, 10, 6)" in capsys.readouterr().out

    def test_get_trainable_layers_have_weights(self, detector):
        layers = detector.get_trainable_layers()
        assert all(layer.get_weights() for layer in layers)
        assert {"fpn_c5p5", "rpn_conv_shared", "mrcnn_class_logits", "mrcnn_mask"} <= {layer.name for layer in layers}

    def test_find_trainable_layer_unwraps(self, detector):
        inner = keras.layers.Dense(1)
        assert detector.find_trainable_layer(keras.layers.TimeDistributed(inner)) is inner
        assert detector.find_trainable_layer(inner) is inner

    def test_set_trainable_prints_heading_and_layers(self, trained, capsys):
        trained.model.set_trainable(r"fpn_p\d", indent=2)
        assert capsys.readouterr().out.splitlines() == ["Selecting layers to train"] + [
            f"  {f'fpn_p{level}':20}   (Conv2D)" for level in (5, 2, 3, 4)
        ]

    def test_set_trainable_of_another_model(self, trained):
        dense = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, name="a"), keras.layers.Dense(2, name="b")])
        trained.model.set_trainable("a", keras_model=dense, verbose=0)
        assert [layer.trainable for layer in dense.layers] == [True, False]

    def test_compile_sets_rate_and_momentum(self, trained, monkeypatch):
        monkeypatch.setattr(trained.model.config, "OPTIMIZER", "sgd")
        trained.model.compile(0.02, 0.5)
        optimizer = trained.model.keras_model.optimizer
        assert float(optimizer.learning_rate) == pytest.approx(0.02) and optimizer.momentum == 0.5

    def test_set_log_dir(self, other, capsys):
        other.set_log_dir("/data/logs/demo purpose20180102T0304/mask_rcnn_demo purpose_0012.h5")
        assert other.epoch == 12 and os.path.basename(other.log_dir) == "demo purpose20180102T0304"
        assert capsys.readouterr().out == "Re-starting from epoch 12\n"
        other.set_log_dir(r"C:\logs\demo20180102T0304\mask_rcnn_demo_0003.h5")
        assert other.epoch == 3
        other.set_log_dir()
        assert other.epoch == 0


class TestResume:
    def test_second_model_goes_on_from_the_checkpoint(self, trained, capsys):
        model = modellib.MaskRCNN(mode="training", config=trained.model.config, model_dir=str(trained.model_dir))
        assert model.epoch == 0
        model.load_weights(model.find_last()[1], by_name=True)
        model.train(trained.train, trained.val, learning_rate=0.001, epochs=1, layers="all")
        printed = capsys.readouterr().out
        assert "Re-starting from epoch 1" in printed and "Starting at epoch 1. LR=0.001" in printed

    def test_file_without_an_epoch_starts_a_new_run(self, trained, other, tmp_path):
        path = tmp_path / "mask_rcnn_coco.h5"
        trained.model.save_weights(path)
        other.load_weights(str(path), by_name=True)
        assert other.epoch == 0


def test_constructor_takes_keywords_in_any_order():
    assert list(inspect.signature(modellib.MaskRCNN).parameters) == ["mode", "config", "model_dir"]


def test_value_of_a_misspelt_mode(tmp_path):
    with pytest.raises(ValueError, match='"training" or "inference"'):
        modellib.MaskRCNN(mode="train", config=SmallConfig(), model_dir=str(tmp_path))


def test_images_of_one_set_are_not_changed_by_detection(detector):
    image = SmallDataset(1).load_image(0)
    before = image.copy()
    detector.detect([image])
    assert (image == before).all()
