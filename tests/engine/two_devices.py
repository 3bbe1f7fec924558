"""Training on two devices, for a process that has two: `python -m tests.engine.two_devices first_step|whole_run PATH`.

The variable `KERAS_BACKEND` names the backend; JAX makes its devices from `XLA_FLAGS`.
"""

import os
import sys

import keras
import numpy as np

from mrcnn import MaskRCNN
from mrcnn.data.generator import DataGenerator
from mrcnn.engine.callbacks import NonFiniteLossError
from tests.small import SmallConfig, SmallDataset

LOSSES = ["loss", "rpn_class_loss", "rpn_bbox_loss", "mrcnn_class_loss", "mrcnn_bbox_loss", "mrcnn_mask_loss"]


class SampleAll(SmallConfig):
    """Every anchor and every positive of the given regions is in the sample: nothing is left to chance."""

    OPTIMIZER = "sgd"
    # Without it a model has no memory of earlier steps.
    LEARNING_MOMENTUM = 0.0
    # Small enough to bite.
    GRADIENT_CLIP_NORM = 0.05
    USE_RPN_ROIS = False
    RPN_TRAIN_ANCHORS_PER_IMAGE = 4000
    POST_NMS_ROIS_TRAINING = 40
    TRAIN_ROIS_PER_IMAGE = 40
    ROI_POSITIVE_RATIO = 1.0
    # Far enough from 0 to show in the total.
    WEIGHT_DECAY = 1.0


def with_devices(config_class, gpu_count, images_per_gpu):
    config = config_class()
    config.GPU_COUNT, config.IMAGES_PER_GPU = gpu_count, images_per_gpu
    return config


def first_step(path):
    """Losses and weights after one step on the images 0 and 1: on two devices, on one, on one with each image alone."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        # Sums that several threads take otherwise differ in their last bits from run to run.
        tf.config.experimental.enable_op_determinism()
    two = MaskRCNN("training", with_devices(SampleAll, 2, 1), os.devnull)
    start = two.keras_model.get_weights()
    data = DataGenerator(SmallDataset(), two.config, shuffle=False, random_rois=40, seed=1, steps=1)
    (batch,) = data[0]
    two.compile(0.1)
    history = two.keras_model.fit(data, shuffle=False, verbose=0).history
    found = {"two": _result({name: history[name][0] for name in LOSSES}, two)}
    one = MaskRCNN("training", with_devices(SampleAll, 1, 2), os.devnull)
    one.compile(0.1)
    for name, rows in {"whole": slice(0, 2), "half_0": slice(0, 1), "half_1": slice(1, 2)}.items():
        one.keras_model.set_weights(start)
        logs = one.keras_model.train_on_batch([array[rows] for array in batch], return_dict=True)
        found[name] = _result(logs, one)
    arrays = {f"{name}_{part}": value for name, result in found.items() for part, value in result.items()}
    np.savez(path, start=_flat(start), **arrays)


def _result(logs, model):
    losses = np.array([float(logs[name]) for name in LOSSES])
    return {"losses": losses, "weights": _flat(model.keras_model.get_weights())}


def _flat(weights):
    return np.concatenate([np.ravel(weight) for weight in weights])


class Broken(SmallDataset):
    """Images without a number in them."""

    def load_image(self, image_id):
        return super().load_image(image_id).astype(np.float32) * np.nan


class Short(SmallConfig):
    STEPS_PER_EPOCH = 2


def whole_run(folder):
    """Trains, detects from a callback, goes on from the checkpoint, stops at a loss that is no number, detects."""
    image = SmallDataset(1).load_image(0)
    model = MaskRCNN("training", with_devices(Short, 2, 1), folder)
    detected = []
    watch = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: detected.extend(model.inference_twin().detect([image]))
    )
    logs = model.train(SmallDataset(), SmallDataset(2), 1e-3, 1, "all", custom_callbacks=[watch], verbose=0).history
    assert all(np.isfinite(logs[key]).all() for name in LOSSES for key in (name, f"val_{name}")), logs

    resumed = MaskRCNN("training", with_devices(Short, 2, 1), folder)
    resumed.load_weights(resumed.find_last())
    resumed.train(SmallDataset(), None, 1e-3, 2, "all", verbose=0)
    assert int(keras.ops.convert_to_numpy(resumed.keras_model.optimizer.iterations)) == 4
    before = resumed.keras_model.get_weights()
    try:
        resumed.train(Broken(), None, 1e-3, 3, "all", verbose=0)
    except NonFiniteLossError as error:
        assert "picture" in str(error), error
    else:
        raise AssertionError("training on images that are NaN went on")
    for weight, value in zip(resumed.keras_model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, value)

    fresh = MaskRCNN("inference", with_devices(Short, 1, 1), folder)
    fresh.load_weights(os.path.join(model.log_dir, "mask_rcnn_small_0001.h5"))
    for found in (detected, model.inference_twin().detect([image])):
        for expected, result in zip(fresh.detect([image]), found, strict=True):
            assert len(expected["scores"]) > 0
            np.testing.assert_allclose(result["scores"], expected["scores"], atol=1e-5)
            np.testing.assert_array_equal(result["rois"], expected["rois"])


def make_two_devices():
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        cpu = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    assert len(keras.distribution.list_devices()) == 2


if __name__ == "__main__":
    make_two_devices()
    keras.utils.set_random_seed(3)
    {"first_step": first_step, "whole_run": whole_run}[sys.argv[1]](sys.argv[2])
    print("all is well")
