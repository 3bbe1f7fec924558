"""Values, computed values, checks and printing of `Config`."""

import copy
import warnings

import numpy as np
import pytest

from mrcnn import config as config_module
from mrcnn.config import Config, require_config


@pytest.fixture(autouse=True)
def fresh_warnings():
    config_module._WARNED.clear()


class Sound(Config):
    NAME = "Sound one"
    NUM_CLASSES = 4


def test_config_without_arguments_has_matterports_defaults():
    config = Config()
    assert (config.NAME, config.NUM_CLASSES, config.BATCH_SIZE) == (None, 1, 2)
    assert config.BACKBONE == "resnet101"
    assert config.RPN_ANCHOR_SCALES == (32, 64, 128, 256, 512)
    assert config.IMAGE_RESIZE_MODE == "square"
    assert config.MINI_MASK_SHAPE == (56, 56)
    assert config.DETECTION_MIN_CONFIDENCE == 0.7
    assert config.TRAIN_BN is False
    np.testing.assert_array_equal(config.IMAGE_SHAPE, [1024, 1024, 3])
    assert config.IMAGE_META_SIZE == 13
    np.testing.assert_allclose(config.MEAN_PIXEL, [123.7, 116.8, 103.9])
    assert (config.BBOX_STD_DEV * np.ones(4)).shape == (4,)


def test_own_defaults():
    config = Config()
    assert (config.NORM, config.ROI_ALIGN, config.OPTIMIZER) == ("batch", "matterport", "sgd")
    assert (config.KEEP_EMPTY_IMAGES, config.WORKERS) == (False, 2)


def test_crop_mode_has_square_images_of_the_smaller_side():
    class Crop(Sound):
        IMAGE_RESIZE_MODE = "crop"
        IMAGE_MIN_DIM = 256
        IMAGE_CHANNEL_COUNT = 4
        MEAN_PIXEL = 0

    np.testing.assert_array_equal(Crop().IMAGE_SHAPE, [256, 256, 4])


def test_init_may_set_values_before_and_after_super():
    class Late(Sound):
        def __init__(self, classes):
            self.IMAGES_PER_GPU = 5
            super().__init__()
            self.NUM_CLASSES = classes
            self.IMAGE_MAX_DIM = 512

    config = Late(7)
    assert (config.BATCH_SIZE, config.IMAGE_META_SIZE, config.IMAGE_SHAPE[0]) == (5, 19, 512)


def test_backbone_shapes_follow_the_image():
    class Early(Sound):
        IMAGE_PADDING = True
        IMAGE_MAX_DIM = 320

    config = Early()
    assert config.BACKBONE_SHAPES.tolist() == [[80, 80], [40, 40], [20, 20], [10, 10], [5, 5]]
    config.IMAGE_MAX_DIM = 64
    assert config.BACKBONE_SHAPES.tolist() == [[16, 16], [8, 8], [4, 4], [2, 2], [1, 1]]
    config.IMAGE_SHAPE = (65, 128, 3)
    assert config.BACKBONE_SHAPES.tolist() == [[17, 32], [9, 16], [5, 8], [3, 4], [2, 2]]
    config.BACKBONE_STRIDES = [8, 16, 32, 64, 128]
    assert config.BACKBONE_SHAPES[0].tolist() == [9, 16]
    assert config.BACKBONE_SHAPES.dtype.kind == "i"


@pytest.mark.parametrize("strides", [None, "wide", [0, 1, 2, 4, 8], [4, "eight"]])
def test_backbone_shapes_of_impossible_strides_are_left_to_the_checks(strides):
    config = Sound()
    config.BACKBONE_STRIDES = strides
    assert config.BACKBONE_SHAPES is None
    with pytest.raises(ValueError, match="BACKBONE_STRIDES"):
        config.validate()


def test_values_assigned_on_the_instance_are_honoured():
    config = Sound()
    config.IMAGES_PER_GPU = 1
    assert config.BATCH_SIZE == 1
    config.BATCH_SIZE = 3
    config.GPU_COUNT = 2
    assert config.BATCH_SIZE == 3, "an assigned batch size is not computed over"


def test_copies_keep_values():
    config = Sound()
    config.BATCH_SIZE = 7
    config.NUM_CLASSES = 9
    twin = copy.deepcopy(config)
    assert (twin.BATCH_SIZE, twin.IMAGE_META_SIZE) == (7, 21)


@pytest.mark.parametrize("value", [0, 5.44, np.array([5.44]), [1.0, 2.0, 3.0], np.zeros(3)])
def test_mean_pixel_may_be_one_number_or_one_a_channel(value):
    config = Sound()
    config.MEAN_PIXEL = value
    config.validate()


@pytest.mark.parametrize("value", [[56, 56], (28, 14), np.array([100, 100])])
def test_mini_mask_shape_may_be_any_pair(value):
    config = Sound()
    config.MINI_MASK_SHAPE = value
    config.validate()


def test_mini_mask_shape_may_be_none_without_mini_masks():
    config = Sound()
    config.MINI_MASK_SHAPE, config.USE_MINI_MASK = None, False
    config.validate("training")


def test_real_world_values_are_sound():
    config = Sound()
    config.IMAGE_MIN_DIM, config.IMAGE_MAX_DIM = 480, 256
    config.LOSS_WEIGHTS = {"mrcnn_mask_loss": 2}
    config.STEPS_PER_EPOCH, config.VALIDATION_STEPS = 12.5, 0
    config.IMAGE_MIN_SCALE = 2.0
    config.DETECTION_MIN_CONFIDENCE = 0
    config.TRAIN_BN = None
    config.RPN_ANCHOR_SCALES = [10, 20, 40, 80, 160]
    config.BACKBONE = lambda image: image
    config.validate("training")
    config.validate("inference")


BROKEN = [
    ("NAME", None, "text"),
    ("NAME", "  ", "text"),
    ("NUM_CLASSES", 1, "background"),
    ("NUM_CLASSES", 3.5, "whole number"),
    ("IMAGES_PER_GPU", 0, "whole number, 1 or more"),
    ("GPU_COUNT", True, "whole number"),
    ("IMAGES_PER_GPU", "two", "whole number"),
    ("STEPS_PER_EPOCH", 0, "number of steps"),
    ("VALIDATION_STEPS", "all", "number of steps"),
    ("WORKERS", -1, "whole number, 0 or more"),
    ("IMAGE_MAX_DIM", 1000, "Image size must be dividable by 2 at least 6 times"),
    ("IMAGE_MAX_DIM", None, "whole number"),
    ("IMAGE_RESIZE_MODE", "squared", "'pad64'"),
    ("IMAGE_MIN_SCALE", -1, "0 or more"),
    ("MEAN_PIXEL", np.zeros(4), "IMAGE_CHANNEL_COUNT"),
    ("MEAN_PIXEL", "grey", "one number"),
    ("RPN_ANCHOR_SCALES", (32, 64), "5 numbers"),
    ("RPN_ANCHOR_SCALES", (32, 64, 128, 256, -1), "above 0"),
    ("RPN_ANCHOR_RATIOS", [], "one or more"),
    ("BACKBONE_STRIDES", [4, 4, 8, 16, 32], "twice the last"),
    ("BACKBONE_STRIDES", [4, 8, 16, 32], "five numbers"),
    ("BACKBONE_STRIDES", [8, 16, 32, 64, 128], "no callable"),
    ("BACKBONE", 50, "backbone"),
    ("COMPUTE_BACKBONE_SHAPE", 3, "function"),
    ("NORM", "layer", "'batch', 'group'"),
    ("ROI_ALIGN", "paper", "'aligned'"),
    ("OPTIMIZER", "rmsprop", "'adamw'"),
    ("TRAIN_BN", 2, "one of"),
    ("ROI_POSITIVE_RATIO", 0.0049, "TRAIN_ROIS_PER_IMAGE = 200"),
    ("ROI_POSITIVE_RATIO", 0, "1 or more"),
    ("RPN_NMS_THRESHOLD", 7, "0 to 1"),
    ("DETECTION_MIN_CONFIDENCE", -0.1, "0 to 1"),
    ("DETECTION_MIN_CONFIDENCE", float("nan"), "0 to 1"),
    ("MINI_MASK_SHAPE", None, "USE_MINI_MASK"),
    ("MINI_MASK_SHAPE", (56, 56, 1), "(height, width)"),
    ("MASK_SHAPE", [56, 56], "twice MASK_POOL_SIZE = 14"),
    ("MASK_SHAPE", 28, "[height, width]"),
    ("BBOX_STD_DEV", [0.1, 0.2], "four numbers"),
    ("BBOX_STD_DEV", [0.1, 0.1, 0, 0.2], "above 0"),
    ("MASK_TARGETS", "shares", "ROI_TARGETS"),
    ("LEARNING_RATE", 0, "above 0"),
    ("GRADIENT_CLIP_NORM", -5, "above 0"),
    ("NORM_MOMENTUM", 1.5, "0 to 1, or None"),
    ("LOSS_WEIGHTS", 1.0, "dict"),
    ("IMAGE_META_SIZE", 99, "12 + NUM_CLASSES"),
]


@pytest.mark.parametrize("name, value, allowed", BROKEN)
def test_one_error_names_attribute_value_and_what_is_allowed(name, value, allowed):
    config = Sound()
    setattr(config, name, value)
    with pytest.raises(ValueError) as error:
        config.validate("training")
    text = str(error.value)
    assert text.startswith("Sound: ")
    assert name in text and allowed in text
    assert len(text.splitlines()) <= 2
    assert "LOSS" in name or repr(value) in text


def test_several_errors_come_together():
    config = Sound()
    config.NORM, config.WORKERS = "none", -2
    with pytest.raises(ValueError, match="(?s)NORM.*WORKERS"):
        config.validate()


@pytest.mark.parametrize(
    "mode, minimum, sound",
    [("crop", 256, True), ("crop", 250, False), ("pad64", 128, True), ("pad64", 100, False)],
)
def test_sizes_of_the_other_resize_modes(mode, minimum, sound):
    config = Sound()
    config.IMAGE_RESIZE_MODE, config.IMAGE_MIN_DIM, config.IMAGE_MAX_DIM = mode, minimum, 1000
    if sound:
        config.validate("training")
    else:
        with pytest.raises(ValueError, match="Image size must be dividable by 2 at least 6 times"):
            config.validate("training")


def test_one_positive_region_is_enough_and_detection_needs_none():
    config = Sound()
    config.ROI_POSITIVE_RATIO = 0.005
    config.validate("training")
    config.TRAIN_ROIS_PER_IMAGE = 1
    config.validate("inference")


@pytest.mark.parametrize("config, text", [
    (Sound, r"config is the class Sound: pass an instance, Sound\(\)"), (None, "config is None: pass an instance"),
    ({"NAME": "x"}, "config is {'NAME': 'x'}"), ("training", "config is 'training'")])
def test_a_config_is_an_instance(config, text):
    with pytest.raises(TypeError, match=text):
        require_config(config)
    require_config(Sound())


def test_crop_cannot_detect():
    config = Sound()
    config.IMAGE_RESIZE_MODE, config.IMAGE_MIN_DIM = "crop", 256
    with pytest.raises(ValueError, match="IMAGE_RESIZE_MODE = 'crop'.*pad64"):
        config.validate("inference")


def test_an_unknown_loss_gets_a_suggestion():
    config = Sound()
    config.LOSS_WEIGHTS = {"mrcnn_masks_loss": 1.0, "rpn_bbox_loss": -1}
    with pytest.raises(ValueError, match="(?s)did you mean 'mrcnn_mask_loss'.*rpn_bbox_loss.*0 or more"):
        config.validate()


def test_unknown_mode():
    with pytest.raises(ValueError, match="predict"):
        Sound().validate("predict")


def test_forgotten_super_init():
    class Forgot(Sound):
        def __init__(self):
            pass

    with pytest.raises(ValueError, match=r"super\(\).__init__\(\)"):
        Forgot().validate()


def test_near_miss_in_the_class():
    class Typo(Sound):
        STEP_PER_EPOCH = 10

    with pytest.warns(UserWarning, match="did you mean STEPS_PER_EPOCH"):
        Typo()


def test_near_miss_on_the_instance_warns_once():
    config = Sound()
    with pytest.warns(UserWarning, match="did you mean LEARNING_RATE"):
        config.LEARNING_RATES = 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        config.LEARNING_RATES = 2
    assert config.LEARNING_RATES == 2


def test_own_attributes_do_not_warn():
    class Own(Sound):
        DATA_FOLDER = "here"
        image_folder = "there"

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Own().NUM_FRAMES = 3


def test_a_computed_value_in_the_class_warns():
    class Computed(Sound):
        BATCH_SIZE = 16

    with pytest.warns(UserWarning, match="IMAGES_PER_GPU"):
        config = Computed()
    assert config.BATCH_SIZE == 2


def test_display_prints_matterports_lines(capsys):
    class Small(Sound):
        def helper(self):
            return None

    config = Small()
    config.display()
    printed = capsys.readouterr().out
    assert printed.startswith("\nConfigurations:\nBACKBONE                       resnet101\n")
    assert printed.endswith("\n\n\n")
    lines = printed.strip().splitlines()[1:]
    names = [line.split()[0] for line in lines if not line.startswith((" ", "'", "["))]
    assert names == sorted(names)
    assert f"{'NAME':30} Sound one" in lines
    assert f"{'BATCH_SIZE':30} 2" in lines
    assert "helper" not in printed and "_assigned" not in printed


def test_to_dict_holds_all_values():
    values = Sound().to_dict()
    assert values["NUM_CLASSES"] == 4 and values["BATCH_SIZE"] == 2
    assert list(values) == sorted(values)
    assert not any(callable(value) for value in values.values())


def test_a_copy_keeps_its_own_account_of_what_was_assigned():
    config = Sound()
    twin = copy.copy(config)
    twin.BATCH_SIZE = 1
    config.IMAGES_PER_GPU = twin.IMAGES_PER_GPU = 4
    assert (config.BATCH_SIZE, twin.BATCH_SIZE) == (4 * config.GPU_COUNT, 1)
