"""A person's way through the package: train, stop, go on, detect, evaluate."""

import contextlib
import io
import os
from unittest import mock

import keras
import numpy as np
import pytest

from mrcnn import MaskRCNN
from mrcnn.engine.callbacks import NonFiniteLossError
from mrcnn.evaluation import MeanAPCallback, evaluate
from mrcnn.layers.proposal import ProposalLayer
from tests.small import SIDE, SmallConfig, SmallDataset

LOSSES = ["loss", "rpn_class_loss", "rpn_bbox_loss", "mrcnn_class_loss", "mrcnn_bbox_loss", "mrcnn_mask_loss"]


@contextlib.contextmanager
def counted_traces():
    """A list that grows by one each time a graph with proposals is traced."""
    seen, original = [], ProposalLayer.call
    with mock.patch.object(ProposalLayer, "call", lambda layer, inputs: seen.append(layer) or original(layer, inputs)):
        yield seen


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A model after two epochs with validation, its history and its folder.

    `history.traces` is how often a graph was traced until the end of each step.
    """
    keras.utils.set_random_seed(1)
    folder = tmp_path_factory.mktemp("logs")
    model = MaskRCNN("training", SmallConfig(), folder)
    by_step = []
    with counted_traces() as traces:
        steps = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: by_step.append(len(traces)))
        history = model.train(SmallDataset(), SmallDataset(4), learning_rate=1e-3, epochs=2, layers="all", verbose=0,
                              custom_callbacks=[steps])  # fmt: skip
    history.traces = by_step
    return model, history, folder


@pytest.fixture(scope="module")
def resumed(trained):
    """A model that took the checkpoint and trained its heads for an epoch, its history, what it printed, and its first
    kernel before that."""
    model = MaskRCNN("training", SmallConfig(), trained[2])
    model.load_weights(model.find_last(), by_name=True)
    before = keras.ops.convert_to_numpy(model.keras_model.get_layer("light_stem").kernel)
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        history = model.train(SmallDataset(), None, learning_rate=1e-2, epochs=3, layers="heads", verbose=0,
                              custom_callbacks=[MeanAPCallback(model, SmallDataset(2))])  # fmt: skip
    return model, history, printed.getvalue(), before


@pytest.mark.jax
class TestTraining:
    def test_logs_every_loss_and_its_validation_twin(self, trained):
        _, history, _ = trained
        for name in LOSSES:
            for key in (name, f"val_{name}"):
                assert len(history.history[key]) == 2 and np.all(np.isfinite(history.history[key]))

    def test_a_graph_is_not_traced_again_within_an_epoch(self, trained):
        """Pictures have one object or two by turns."""
        traces = trained[1].traces
        assert len(traces) == 2 * SmallConfig.STEPS_PER_EPOCH
        # The first step or two: a backend may trace again when the optimizer has its state.
        assert traces[1] == traces[2] and traces[3:] == [traces[3]] * 3

    def test_total_is_the_sum_of_the_losses_and_the_weight_decay(self, trained):
        logs = trained[1].history
        decay = logs["loss"][0] - sum(logs[name][0] for name in LOSSES[1:])
        assert 0 < decay < 0.01

    def test_writes_a_checkpoint_an_epoch_and_curves(self, trained):
        model, *_ = trained
        names = os.listdir(model.log_dir)
        assert {"mask_rcnn_small_0001.h5", "mask_rcnn_small_0002.h5"} <= set(names)
        assert any(name.startswith("events.out.tfevents") for name in names)

    def test_goes_on_from_the_last_checkpoint(self, trained, resumed):
        model, history, printed, _ = resumed
        assert model.log_dir == trained[0].log_dir
        assert history.epoch == [2] and model.epoch == 3
        assert "Starting at epoch 2" in printed

    def test_heads_leaves_the_backbone_alone(self, resumed):
        model, _, _, before = resumed
        after = keras.ops.convert_to_numpy(model.keras_model.get_layer("light_stem").kernel)
        np.testing.assert_array_equal(before, after)

    def test_mean_average_precision_while_training(self, resumed):
        assert 0 <= resumed[1].history["val_mAP"][0] <= 1

    def test_epochs_is_a_total(self, trained, capsys):
        model, *_ = trained
        before = [keras.ops.convert_to_numpy(w) for w in model.keras_model.weights[:3]]
        model.train(SmallDataset(), None, learning_rate=1e-3, epochs=model.epoch, layers="all", verbose=0)
        assert "Nothing to do" in capsys.readouterr().out
        for weight, value in zip(model.keras_model.weights[:3], before, strict=True):
            np.testing.assert_array_equal(keras.ops.convert_to_numpy(weight), value)

    def test_images_without_objects_train_when_asked(self, tmp_path):
        class Empty(SmallDataset):
            def load_mask(self, image_id):
                return np.zeros((SIDE, SIDE, 0), bool), np.zeros(0, np.int32)

        config = SmallConfig()
        config.KEEP_EMPTY_IMAGES = True
        model = MaskRCNN("training", config, tmp_path)
        logs = model.train(Empty(), None, 1e-3, epochs=1, layers="all", verbose=0).history
        assert logs["rpn_class_loss"][0] > 0 and logs["mrcnn_class_loss"][0] > 0
        assert logs["rpn_bbox_loss"] == logs["mrcnn_bbox_loss"] == logs["mrcnn_mask_loss"] == [0]

    def test_a_loss_that_is_no_number_names_the_image(self, tmp_path):
        class Broken(SmallDataset):
            def load_image(self, image_id):
                image = super().load_image(image_id).astype(np.float32)
                return image * np.nan if image_id == 5 else image

        config = SmallConfig()
        config.STEPS_PER_EPOCH = 8
        model = MaskRCNN("training", config, tmp_path)
        with pytest.raises(NonFiniteLossError) as raised:
            model.train(Broken(), None, 1e-3, epochs=1, layers="all", verbose=0)
        assert "picture 5" in str(raised.value)
        assert all(np.all(np.isfinite(keras.ops.convert_to_numpy(w))) for w in model.keras_model.weights)


@pytest.mark.jax
class TestDetection:
    def test_any_number_of_images_of_any_kind_and_size(self, trained):
        model = trained[0].inference_twin()
        rng = np.random.default_rng(0)
        images = [
            rng.integers(0, 255, (50, 80), dtype=np.uint8),
            rng.integers(0, 255, (50, 80, 1), dtype=np.uint8),
            rng.integers(0, 255, (64, 64, 4), dtype=np.uint8),
            rng.integers(0, 60000, (90, 40, 3), dtype=np.uint16),
            rng.uniform(0, 255, (64, 64, 3)).astype(np.float32),
        ]
        results = model.detect(images)
        assert len(results) == len(images)
        for image, result in zip(images, results, strict=True):
            count = len(result["rois"])
            assert result["rois"].shape == (count, 4) and result["rois"].dtype == np.int32
            assert result["class_ids"].shape == (count,) and result["class_ids"].dtype == np.int32
            assert result["scores"].shape == (count,) and result["scores"].dtype == np.float32
            assert result["masks"].shape == (*image.shape[:2], count) and result["masks"].dtype == bool
            assert np.all(np.diff(result["scores"]) <= 0) and np.all(result["class_ids"] > 0)
            limits = np.array([*image.shape[:2]] * 2)
            assert np.all(result["rois"] >= 0) and np.all(result["rois"] <= limits)

    def test_a_graph_is_traced_once_for_all_pictures(self, trained):
        model = trained[0].inference_twin()
        rng = np.random.default_rng(0)
        model.detect([rng.integers(0, 255, (SIDE, SIDE, 3), np.uint8)])
        with counted_traces() as traces:
            for height, width, count in ((40, 64, 1), (64, 30, 3), (100, 90, 5)):
                model.detect([rng.integers(0, 255, (height, width, 3), np.uint8) for _ in range(count)])
        assert not traces

    def test_a_batch_gives_what_single_images_give(self, trained):
        model, dataset = trained[0].inference_twin(), SmallDataset(3)
        images = [dataset.load_image(i) for i in range(3)]
        together = model.detect(images)
        for image, result in zip(images, together, strict=True):
            alone = model.detect([image])[0]
            np.testing.assert_allclose(alone["scores"], result["scores"], atol=1e-5)
            np.testing.assert_array_equal(alone["rois"], result["rois"])

    def test_batches_of_another_size_than_the_first(self, tmp_path):
        config = SmallConfig()
        config.IMAGE_RESIZE_MODE, config.IMAGE_MAX_DIM = "pad64", 2 * SIDE
        model = MaskRCNN("inference", config, tmp_path)
        rng = np.random.default_rng(0)
        sizes = [(SIDE, SIDE), (SIDE, 2 * SIDE), (2 * SIDE, SIDE)]
        images = [rng.integers(0, 255, (*size, 3), np.uint8) for size in sizes for _ in range(2)]
        together = model.detect(images)
        assert [result["masks"].shape[:2] for result in together] == [image.shape[:2] for image in images]
        assert all(len(result["rois"]) for result in together)

    def test_nothing_found(self, trained, tmp_path):
        config = SmallConfig()
        config.DETECTION_MIN_CONFIDENCE = 0.9999
        model = MaskRCNN("inference", config, tmp_path)
        result = model.detect([np.zeros((40, 50, 3), np.uint8)])[0]
        assert {key: value.shape for key, value in result.items()} == {
            "rois": (0, 4), "class_ids": (0,), "scores": (0,), "masks": (40, 50, 0),
        }  # fmt: skip

    def test_weights_travel_from_training_to_inference(self, trained):
        model, _, folder = trained
        fresh = MaskRCNN("inference", SmallConfig(), folder)
        fresh.load_weights(os.path.join(model.log_dir, "mask_rcnn_small_0002.h5"))
        loaded = MaskRCNN("training", SmallConfig(), folder)
        loaded.load_weights(os.path.join(model.log_dir, "mask_rcnn_small_0002.h5"))
        image = SmallDataset(1).load_image(0)
        expected, found = loaded.inference_twin().detect([image])[0], fresh.detect([image])[0]
        np.testing.assert_allclose(found["scores"], expected["scores"], atol=1e-6)
        np.testing.assert_array_equal(found["masks"], expected["masks"])

    def test_an_image_that_is_none_is_named(self, trained):
        with pytest.raises(ValueError, match=r"images\[1\]"):
            trained[0].inference_twin().detect([np.zeros((8, 8, 3), np.uint8), np.zeros((8,), np.uint8)])

    def test_modes_are_kept_apart(self, trained):
        with pytest.raises(ValueError, match='mode="inference"'):
            trained[0].detect([np.zeros((8, 8, 3), np.uint8)])
        with pytest.raises(ValueError, match='mode="training"'):
            trained[0].inference_twin().train(SmallDataset(), None, 1e-3, 1, "all")


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_trains_and_detects(policy, tmp_path):
    keras.mixed_precision.set_global_policy(policy)
    try:
        model = MaskRCNN("training", SmallConfig(), tmp_path)
        logs = model.train(SmallDataset(), None, 1e-3, epochs=1, layers="all", verbose=0).history
        assert np.isfinite(logs["loss"][0])
        numbers = evaluate(model.inference_twin(), SmallDataset(2), verbose=0)
        assert 0 <= numbers["mask_ap"] <= 1
    finally:
        keras.mixed_precision.set_global_policy("float32")


class TestBadInput:
    def test_mode(self, tmp_path):
        with pytest.raises(ValueError, match="mode"):
            MaskRCNN("train", SmallConfig(), tmp_path)

    def test_configuration(self, tmp_path):
        config = SmallConfig()
        config.IMAGE_MAX_DIM = config.IMAGE_MIN_DIM = 100
        with pytest.raises(ValueError, match="dividable by 2 at least 6 times"):
            MaskRCNN("training", config, tmp_path)

    def test_layers_that_select_nothing(self, trained, caplog):
        model = trained[0]
        names = model.set_trainable("head", verbose=0)
        assert names == [] and not model.keras_model.trainable_weights
        assert "Did you mean 'heads'?" in caplog.text

    def test_layers_that_are_no_expression(self, trained):
        with pytest.raises(ValueError, match="not a regular expression"):
            trained[0].set_trainable("*", verbose=0)

    def test_weights_for_another_number_of_classes(self, trained, tmp_path):
        model, *_ = trained
        config = SmallConfig()
        config.NUM_CLASSES = 7
        other = MaskRCNN("inference", config, tmp_path)
        with pytest.raises(ValueError, match="exclude"):
            other.load_weights(os.path.join(model.log_dir, "mask_rcnn_small_0002.h5"))

    def test_unprepared_data_set(self, trained):
        class Unprepared(SmallDataset):
            def prepare(self):
                pass

        with pytest.raises(ValueError, match=r"prepare\(\)"):
            trained[0].train(Unprepared(), None, 1e-3, epochs=9, layers="all")


class MixedSizes(SmallDataset):
    """Pictures of three sizes; the first two are alike."""

    def _grow(self, array, image_id):
        more = [(0, 0), (0, 0), (64, 0), (0, 64)][image_id % 4]
        return np.pad(array, [(0, more[0]), (0, more[1]), (0, 0)])

    def load_image(self, image_id):
        return self._grow(super().load_image(image_id), image_id)

    def load_mask(self, image_id):
        masks, class_ids = super().load_mask(image_id)
        return self._grow(masks, image_id), class_ids


@pytest.mark.parametrize("mini_masks", [True, False])
def test_images_of_different_sizes_train(tmp_path, mini_masks):
    config = SmallConfig()
    config.IMAGE_RESIZE_MODE, config.IMAGES_PER_GPU, config.STEPS_PER_EPOCH = "pad64", 1, 8
    config.USE_MINI_MASK = mini_masks
    model = MaskRCNN("training", config, tmp_path)
    history = model.train(MixedSizes(), MixedSizes(4), 0.001, epochs=1, layers="all", verbose=0).history
    assert np.isfinite(history["loss"]).all() and np.isfinite(history["val_loss"]).all()
