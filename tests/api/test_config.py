"""`mrcnn.config.Config` as scripts use it; `tests/test_config.py` holds the rules of its values."""

import re
import warnings

import numpy as np
import pytest

from mrcnn.config import Config
from tests.small import SmallConfig

DEFAULTS = {
    "NAME": None,
    "GPU_COUNT": 1,
    "IMAGES_PER_GPU": 2,
    "STEPS_PER_EPOCH": 1000,
    "VALIDATION_STEPS": 50,
    "BACKBONE": "resnet101",
    "COMPUTE_BACKBONE_SHAPE": None,
    "BACKBONE_STRIDES": [4, 8, 16, 32, 64],
    "FPN_CLASSIF_FC_LAYERS_SIZE": 1024,
    "TOP_DOWN_PYRAMID_SIZE": 256,
    "NUM_CLASSES": 1,
    "RPN_ANCHOR_SCALES": (32, 64, 128, 256, 512),
    "RPN_ANCHOR_RATIOS": [0.5, 1, 2],
    "RPN_ANCHOR_STRIDE": 1,
    "RPN_NMS_THRESHOLD": 0.7,
    "RPN_TRAIN_ANCHORS_PER_IMAGE": 256,
    "PRE_NMS_LIMIT": 6000,
    "POST_NMS_ROIS_TRAINING": 2000,
    "POST_NMS_ROIS_INFERENCE": 1000,
    "USE_MINI_MASK": True,
    "MINI_MASK_SHAPE": (56, 56),
    "IMAGE_RESIZE_MODE": "square",
    "IMAGE_MIN_DIM": 800,
    "IMAGE_MAX_DIM": 1024,
    "IMAGE_MIN_SCALE": 0,
    "IMAGE_CHANNEL_COUNT": 3,
    "TRAIN_ROIS_PER_IMAGE": 200,
    "ROI_POSITIVE_RATIO": 0.33,
    "POOL_SIZE": 7,
    "MASK_POOL_SIZE": 14,
    "MASK_SHAPE": [28, 28],
    "MAX_GT_INSTANCES": 100,
    "DETECTION_MAX_INSTANCES": 100,
    "DETECTION_MIN_CONFIDENCE": 0.7,
    "DETECTION_NMS_THRESHOLD": 0.3,
    "LEARNING_RATE": 0.001,
    "LEARNING_MOMENTUM": 0.9,
    "WEIGHT_DECAY": 0.0001,
    "LOSS_WEIGHTS": {name: 1.0 for name in ("rpn_class_loss", "rpn_bbox_loss", "mrcnn_class_loss",
                                            "mrcnn_bbox_loss", "mrcnn_mask_loss")},
    "USE_RPN_ROIS": True,
    "TRAIN_BN": False,
    "GRADIENT_CLIP_NORM": 5.0,
}  # fmt: skip


@pytest.mark.parametrize("name", DEFAULTS)
def test_default(name):
    value = getattr(Config, name)
    assert value == DEFAULTS[name] and type(value) is type(DEFAULTS[name])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MEAN_PIXEL", [123.7, 116.8, 103.9]),
        ("RPN_BBOX_STD_DEV", [0.1, 0.1, 0.2, 0.2]),
        ("BBOX_STD_DEV", [0.1, 0.1, 0.2, 0.2]),
    ],
)
def test_array_default(name, value):
    assert isinstance(getattr(Config, name), np.ndarray)
    np.testing.assert_array_equal(getattr(Config, name), value)


def sound(**values):
    """A `Config` with `values` overridden in the class, validated for training, without a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        config = type("UserConfig", (Config,), {"NAME": "user", "NUM_CLASSES": 2, **values})()
    config.validate("training")
    return config


@pytest.mark.parametrize("name", ["Demo purpose", "kangaroo_cfg", "Custom-Data 2"])
def test_name_with_spaces_underscores_and_capitals(name):
    assert sound(NAME=name).NAME == name


def test_batch_size_is_the_product():
    assert sound(GPU_COUNT=2, IMAGES_PER_GPU=3).BATCH_SIZE == 6


def test_image_shape_and_meta_size():
    config = sound(IMAGE_MIN_DIM=128, IMAGE_MAX_DIM=256)
    assert isinstance(config.IMAGE_SHAPE, np.ndarray) and config.IMAGE_SHAPE.tolist() == [256, 256, 3]
    assert config.IMAGE_META_SIZE == 12 + 2
    crop = sound(IMAGE_RESIZE_MODE="crop", IMAGE_MIN_DIM=128, IMAGE_MAX_DIM=256)
    assert crop.IMAGE_SHAPE.tolist() == [128, 128, 3]


def test_validation_steps_of_zero():
    assert sound(VALIDATION_STEPS=3 // 8).VALIDATION_STEPS == 0


def test_steps_computed_in_the_class_body():
    class Computed(Config):
        NAME = "computed"
        IMAGES_PER_GPU = 2
        STEPS_PER_EPOCH = (670 - 25) // IMAGES_PER_GPU
        VALIDATION_STEPS = max(1, 25 // IMAGES_PER_GPU)

    assert (Computed().STEPS_PER_EPOCH, Computed().VALIDATION_STEPS) == (322, 12)


@pytest.mark.parametrize(
    "values",
    [
        {"DETECTION_MIN_CONFIDENCE": 0},
        {"IMAGE_MIN_DIM": 480, "IMAGE_MAX_DIM": 256},
        {"IMAGE_MIN_DIM": 180, "IMAGE_MAX_DIM": 256},
        {"RPN_ANCHOR_SCALES": (8 * 6, 16 * 6, 32 * 6, 64 * 6, 128 * 6)},
        {"DETECTION_MAX_INSTANCES": 500, "MAX_GT_INSTANCES": 500},
        {"MEAN_PIXEL": np.array([123.7, 116.8, 103.9, 1220.7]), "IMAGE_CHANNEL_COUNT": 4},
        {"MEAN_PIXEL": np.array([5.44]), "IMAGE_CHANNEL_COUNT": 1},
        {"MEAN_PIXEL": 0},
        {"MINI_MASK_SHAPE": (128, 128)},
        {"MINI_MASK_SHAPE": [100, 100]},
        {"MINI_MASK_SHAPE": None, "USE_MINI_MASK": False},
        {"IMAGE_RESIZE_MODE": "none"},
        {"IMAGE_RESIZE_MODE": "pad64", "IMAGE_MIN_DIM": 512},
        {"IMAGE_RESIZE_MODE": "crop", "IMAGE_MIN_DIM": 512, "IMAGE_MIN_SCALE": 2.0},
        {"LOSS_WEIGHTS": {"mrcnn_mask_loss": 2.0}},
        {"TRAIN_BN": None},
        {"TRAIN_BN": True},
    ],
    ids=str,
)
def test_values_seen_in_projects(values):
    assert sound(**values)


def test_image_max_dim_not_a_multiple_of_64():
    with pytest.raises(ValueError, match="Image size must be dividable by 2 at least 6 times"):
        sound(IMAGE_MAX_DIM=500)


def test_standard_deviations_multiply_arrays():
    deltas = np.ones((3, 4), np.float32)
    assert (deltas * Config().RPN_BBOX_STD_DEV).shape == (deltas * Config().BBOX_STD_DEV).shape == (3, 4)


@pytest.mark.parametrize("super_first", [True, False])
def test_init_of_a_subclass_before_and_after_super(super_first):
    class Own(Config):
        NAME = "own"

        def __init__(self, classes):
            if super_first:
                super().__init__()
            self.NUM_CLASSES = classes
            self.IMAGES_PER_GPU = 5
            if not super_first:
                super().__init__()

    config = Own(4)
    assert (config.NUM_CLASSES, config.IMAGE_META_SIZE, config.BATCH_SIZE) == (4, 16, 5)


def test_functions_in_the_class_body_get_no_self_unless_they_ask_for_it():
    def backbone(input_image, stage5, train_bn):
        return [input_image, stage5, train_bn]

    class Own(Config):
        BACKBONE = backbone

        def COMPUTE_BACKBONE_SHAPE(self, image_shape):
            return self.NUM_CLASSES, image_shape

    assert Own().BACKBONE("image", stage5=True, train_bn=None) == ["image", True, None]
    assert Own().COMPUTE_BACKBONE_SHAPE((8, 8)) == (1, (8, 8))


def test_a_backbone_assigned_before_super_replaces_the_function_of_the_class():
    class Own(Config):
        def BACKBONE(input_image, stage5, train_bn):
            return [input_image]

        def __init__(self):
            self.BACKBONE = "light"
            super().__init__()

    assert Own().BACKBONE == "light"


def test_values_assigned_after_construction():
    config = SmallConfig()
    config.IMAGES_PER_GPU = 1
    config.BATCH_SIZE = 1
    config.IMAGE_SHAPE = np.array([128, 128, 3])
    assert (config.BATCH_SIZE, config.IMAGE_SHAPE.tolist()) == (1, [128, 128, 3])


def test_inference_config_of_the_instances_class():
    config = SmallConfig()

    class InferenceConfig(config.__class__):
        GPU_COUNT = 1
        IMAGES_PER_GPU = 1

    assert InferenceConfig().BATCH_SIZE == 1 and config.BATCH_SIZE == 2


def test_display_prints_a_heading_and_aligned_lines(capsys):
    SmallConfig().display()
    printed = capsys.readouterr().out
    assert printed.startswith("\nConfigurations:\n") and printed.endswith("\n\n\n")
    lines = printed.strip().splitlines()[1:]
    assert "{:30} {}".format("IMAGES_PER_GPU", 2) in lines
    names = [line.split()[0] for line in lines]
    assert names == sorted(names) and not any(re.match("_|display|to_dict|validate", name) for name in names)


def test_to_dict():
    values = SmallConfig().to_dict()
    assert values["NAME"] == "small" and values["BATCH_SIZE"] == 2 and "display" not in values
