"""Faster R-CNN: a person's way through it, and the options that other programs' weights need, on a small network."""

import numpy as np
import pytest

from mrcnn import FasterRCNN, KeypointRCNN, MaskRCNN
from mrcnn.configurations import TorchvisionMaskRCNN
from mrcnn.evaluation import evaluate
from mrcnn.visualize import draw_instances
from tests.small import SIDE, SmallConfig, SmallDataset

OPTIONS = (
    "HEAD_NORM", "CONV_BIAS", "RPN_OBJECTNESS", "RPN_ANCHOR_WHOLE_PIXELS", "RPN_BBOX_STD_DEV", "BBOX_LOG_LIMIT",
    "PROPOSALS", "ROI_ALIGN", "ROI_TARGETS", "BBOX_LOSS_BETA", "BBOX_LOSS_PER", "DETECTIONS", "MASK_PASTE",
    "IMAGE_RESIZE_MODE", "PIXEL_STD",
)  # fmt: skip


def as_in_torchvision(**more):
    """The small configuration with the options of torchvision's."""
    options = {name: getattr(TorchvisionMaskRCNN, name) for name in OPTIONS}
    return type("Small", (SmallConfig,), options | {"IMAGES_PER_GPU": 1, **more})()


@pytest.fixture(scope="module", params=["matterport", "torchvision"])
def trained(request, tmp_path_factory):
    """A model after an epoch with validation, its history and its folder."""
    folder = tmp_path_factory.mktemp("logs")
    config = SmallConfig() if request.param == "matterport" else as_in_torchvision()
    model = FasterRCNN("training", config, folder)
    history = model.train(SmallDataset(), SmallDataset(4), 1e-3, epochs=1, layers="all", verbose=0).history
    return model, history, folder


def test_four_losses(trained):
    _, history, _ = trained
    names = {"loss", "rpn_class_loss", "rpn_bbox_loss", "mrcnn_class_loss", "mrcnn_bbox_loss"}
    assert set(history) == names | {f"val_{name}" for name in names}
    assert all(np.isfinite(values).all() for values in history.values())


def test_the_checkpoint_detects_boxes_alone(trained):
    model, _, folder = trained
    detector = FasterRCNN("inference", model.config, folder)
    detector.load_weights(model.find_last())
    kernel, _ = detector.keras_model.get_layer("mrcnn_class_logits").get_weights()
    # An epoch of two steps need not find anything: here every region is the second class.
    detector.keras_model.get_layer("mrcnn_class_logits").set_weights([0 * kernel, np.array([0.0, 0.0, 9.0])])
    image = SmallDataset().load_image(0)
    result = detector.detect([image] * model.config.BATCH_SIZE)[0]
    assert set(result) == {"rois", "class_ids", "scores"} and len(result["rois"]) > 0
    assert (result["class_ids"] == 2).all()
    assert (result["rois"] >= 0).all() and (result["rois"] <= SIDE).all()
    assert (np.diff(result["scores"]) <= 0).all()
    assert draw_instances(image, result, ["BG", "bright", "dark"]).shape == image.shape


def test_evaluation_judges_boxes(trained, capsys):
    model, _, _ = trained
    numbers = evaluate(model, SmallDataset(4))
    assert 0 <= numbers["box_ap"] <= 1 and not any(name.startswith("mask_") for name in numbers)
    assert "*segm*" not in capsys.readouterr().out


@pytest.mark.parametrize(
    "options",
    [
        {"ROI_SAMPLING_RATIO": 0, "MASK_PASTE": "centers", "IMAGE_RESIZE_MODE": "pad32_smooth", "ROI_ALIGN": "aligned",
         "USE_MINI_MASK": False},
        pytest.param(
            {"FPN_NORM": "group", "HEAD_NORM": "group", "BOX_HEAD": "conv", "RPN_CONVOLUTIONS": 2},
            marks=[pytest.mark.slow, pytest.mark.longest],
        ),
    ],
    ids=["detectron2 with whole masks", "torchvision v2"],
)
def test_mask_rcnn_with_the_options_of_other_programs(tmp_path, options):
    config = as_in_torchvision(STEPS_PER_EPOCH=2, **options)
    model = MaskRCNN("training", config, tmp_path)
    history = model.train(SmallDataset(), None, 1e-3, epochs=1, layers="all", verbose=0).history
    assert np.isfinite(history["loss"]).all()
    image = SmallDataset().load_image(1)
    result = model.inference_twin().detect([np.pad(image, [(0, 30), (0, 11), (0, 0)])])[0]
    assert result["rois"].dtype == np.float32 and result["masks"].shape == (SIDE + 30, SIDE + 11, len(result["rois"]))


@pytest.mark.parametrize("architecture", [FasterRCNN, KeypointRCNN])
def test_regions_from_outside_are_refused(architecture, tmp_path):
    config = SmallConfig()
    config.USE_RPN_ROIS = False
    with pytest.raises(ValueError, match="USE_RPN_ROIS = False: only MaskRCNN"):
        architecture("training", config, tmp_path)
