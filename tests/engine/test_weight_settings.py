"""A file of torchvision or Detectron2 is not loaded under settings with which its weights mean something else."""

import logging
import re

import numpy as np
import pytest

from mrcnn import configurations as ready
from mrcnn.config import Config
from mrcnn.engine.dialects.detectron2 import DETECTRON2
from mrcnn.engine.dialects.torchvision import TORCHVISION
from mrcnn.engine.torch_files import encode_state
from mrcnn.engine.weight_settings import check_settings
from mrcnn.engine.weights import load_weights

from .torch_states import BLOCKS_101, detectron2_state, held, holder, torchvision_state

LAYERS = ["conv1", "bn_conv1", "res2a_branch1", "rpn_bbox_pred", "mrcnn_bbox_fc", "mrcnn_keypoint_deconv"]


def _file(folder, state):
    (folder / "w.safetensors").write_bytes(encode_state(state, ".safetensors", wrapped=False))
    return folder / "w.safetensors"


def _subclass(base, **values):
    return type("Mine", (base,), values)()


def _faster(state):
    return {key: value for key, value in state.items() if "mask" not in key}


@pytest.mark.parametrize(
    ("state", "dialect", "config", "named"),
    [
        (
            detectron2_state(), DETECTRON2, ready.TorchvisionMaskRCNN(),
            r"BACKBONE is 'torch_resnet50' here, 'msra_resnet50' there; NORM_EPSILON is 0.0 here, 1e-05 there; "
            r"PIXEL_STD is \[58.*\] here, 1.0 there; ROI_ALIGN is 'unaligned' here, 'aligned' there.*"
            "configurations.Detectron2MaskRCNN:",
        ),
        (
            torchvision_state(), TORCHVISION, ready.Detectron2MaskRCNN(),
            "BACKBONE is 'msra_resnet50' here, 'torch_resnet50' there; .*configurations.TorchvisionMaskRCNN:",
        ),
        (
            torchvision_state(task="keypoint"), TORCHVISION, ready.Detectron2KeypointRCNN(),
            "ROI_ALIGN.*configurations.TorchvisionKeypointRCNN:",
        ),
        (_faster(detectron2_state()), DETECTRON2, ready.TorchvisionFasterRCNN(), "BACKBONE.*Detectron2MaskRCNN:"),
        (
            torchvision_state(), TORCHVISION,
            _subclass(ready.TorchvisionMaskRCNNv2, NORM_EPSILON=1e-3, ROI_ALIGN="aligned"),
            "loaded. NORM_EPSILON is 0.001 here, 0.0 there. Start",
        ),
        (
            detectron2_state(blocks=BLOCKS_101, groups=32), DETECTRON2, ready.Detectron2MaskRCNN101(),
            "BACKBONE is 'msra_resnet101' here, 'torch_resnext101_32x8d' there; PIXEL_STD is 1.0 here",
        ),
        (torchvision_state(), TORCHVISION, Config(), r"RPN_ANCHOR_RATIOS is \[0.5, 1, 2\] here, .*RPN_BBOX_STD_DEV"),
    ],
)
def test_another_programs_settings_are_refused(tmp_path, state, dialect, config, named):
    model = holder(dialect, state)
    before = held(model)
    with pytest.raises(ValueError, match=f"w.safetensors holds weights for .*nothing was .*{named}"):
        load_weights(model, _file(tmp_path, state), config=config)
    assert all(np.array_equal(before[name], value) for name, value in held(model).items())


def test_classes_by_name_do_not_hide_it(tmp_path):
    model = holder(DETECTRON2, detectron2_state(classes=2))
    config = _subclass(ready.Detectron2MaskRCNN, NUM_CLASSES=3)
    path = _file(tmp_path, torchvision_state(classes=91))
    with pytest.raises(ValueError, match="torchvision_maskrcnn_r50_fpn.*BACKBONE"):
        load_weights(model, path, class_names=["BG", "a", "dog"], config=config)


@pytest.mark.parametrize(
    ("state", "dialect", "base"),
    [
        (torchvision_state(), TORCHVISION, ready.TorchvisionMaskRCNN),
        (detectron2_state(), DETECTRON2, ready.Detectron2MaskRCNN),
    ],
)
def test_what_fine_tuning_may_change_is_silent(tmp_path, caplog, state, dialect, base):
    config = _subclass(
        base, IMAGE_RESIZE_MODE="square", IMAGE_MIN_DIM=256, IMAGE_MAX_DIM=512, TRAIN_ROIS_PER_IMAGE=64, NUM_CLASSES=5,
        RPN_TRAIN_ANCHORS_PER_IMAGE=64, DETECTION_NMS_THRESHOLD=0.3, RPN_NMS_THRESHOLD=0.5, DETECTIONS="best_class",
        MASK_PASTE="box", PROPOSALS="joint", TRAIN_BN=True, MEAN_PIXEL=list(base.MEAN_PIXEL),
        PIXEL_STD=np.broadcast_to(base.PIXEL_STD, 3),
    )
    assert load_weights(holder(dialect, state), _file(tmp_path, state), config=config).missing == ()
    assert not caplog.records


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("MEAN_PIXEL", 30.0), ("PIXEL_STD", 1.0), ("NORM_EPSILON", 1e-3), ("ROI_ALIGN", "aligned"),
        ("BACKBONE", "msra_resnet50"), ("RPN_ANCHOR_SCALES", (8, 16, 32, 64, 128)), ("ROI_SAMPLING_RATIO", 0),
        ("RPN_ANCHOR_RATIOS", [1, 2, 3]),
    ],
)
def test_what_a_subclass_of_the_right_configuration_changes_is_one_warning(tmp_path, caplog, setting, value):
    state = torchvision_state()
    config = _subclass(ready.TorchvisionMaskRCNN, **{setting: value})
    with caplog.at_level(logging.WARNING):
        assert load_weights(holder(TORCHVISION, state), _file(tmp_path, state), config=config).missing == ()
    assert len(caplog.records) == 1 and f"{setting} is {str(value)[:3]}" in caplog.text.replace("'", "")


def test_torchvisions_weights_have_one_epsilon_or_the_other(caplog):
    config = _subclass(ready.TorchvisionKeypointRCNN, NORM_EPSILON=1e-5)
    check_settings(config, "torchvision_keypointrcnn_r50_fpn", "f", LAYERS)
    assert not caplog.records
    with pytest.raises(ValueError, match="nothing was loaded. NORM_EPSILON is 0.0 here, 1e-05 there. Start"):
        check_settings(ready.TorchvisionMaskRCNN(), "torchvision_maskrcnn_r50_fpn_v2", "f", LAYERS)


def test_only_layers_that_are_loaded_count():
    config = _subclass(Config, BACKBONE="msra_resnet50", NORM_EPSILON=1e-5)
    configuration, body = "detectron2_maskrcnn_r50_fpn", ["res2a_branch1", "bn2a_branch1"]
    check_settings(config, configuration, "f", body)
    for layer, named in (
        ("conv1", "MEAN_PIXEL is [123.7 116.8 103.9] here, [123.675 116.28  103.53 ] there"),
        ("rpn_conv_shared", "RPN_ANCHOR_RATIOS is [0.5, 1, 2] here, [2, 1, 0.5] there"),
        ("mrcnn_mask", "ROI_ALIGN is 'matterport' here, 'aligned' there"),
    ):
        with pytest.raises(ValueError, match=re.escape(f"nothing was loaded. {named}. Start")):
            check_settings(config, configuration, "f", [*body, layer])


def test_a_backbone_of_ones_own_has_a_name():
    config = _subclass(Config, BACKBONE=lambda image: image)
    with pytest.raises(ValueError, match="BACKBONE is <lambda> here, 'torch_resnet50' there"):
        check_settings(config, "torchvision_maskrcnn_r50_fpn", "f", LAYERS)
