"""Layer names of Matterport: what `exclude`, `layers=`, `get_layer` and weight files go by."""

import h5py
import pytest

from mrcnn import model as modellib
from mrcnn.engine.model_weights import list_weights
from mrcnn.engine.training import LAYER_CHOICES, set_trainable
from mrcnn.engine.weights import save_weights
from tests.small import SmallConfig

BLOCKS = {2: "abc", 3: "abcd", 4: "abcdef", 5: "abc"}
BACKBONE = ["conv1", "bn_conv1"] + [
    f"{kind}{stage}{block}_branch{branch}"
    for kind in ("res", "bn")
    for stage, blocks in BLOCKS.items()
    for block in blocks
    for branch in (["1"] if block == "a" else []) + ["2a", "2b", "2c"]
]
FPN = ["fpn_c5p5", "fpn_c4p4", "fpn_c3p3", "fpn_c2p2", "fpn_p2", "fpn_p3", "fpn_p4", "fpn_p5"]
RPN = ["rpn_conv_shared", "rpn_class_raw", "rpn_bbox_pred"]
HEADS = ["mrcnn_class_conv1", "mrcnn_class_bn1", "mrcnn_class_conv2", "mrcnn_class_bn2", "mrcnn_class_logits",
         "mrcnn_bbox_fc", *(f"mrcnn_mask_{kind}{i}" for kind in ("conv", "bn") for i in (1, 2, 3, 4)),
         "mrcnn_mask_deconv", "mrcnn_mask"]  # fmt: skip


class ResNetConfig(SmallConfig):
    BACKBONE = "resnet50"
    NORM = "batch"


@pytest.fixture(scope="module")
def resnet(tmp_path_factory):
    return modellib.MaskRCNN("training", ResNetConfig(), tmp_path_factory.mktemp("logs"))


@pytest.mark.parametrize("names", [BACKBONE, FPN, RPN, HEADS], ids=["backbone", "fpn", "rpn", "heads"])
def test_layers_with_weights(resnet, names):
    assert set(names) <= {weight.layer for weight in list_weights(resnet.keras_model)}


def test_no_layer_with_weights_has_another_name(resnet):
    assert {weight.layer for weight in list_weights(resnet.keras_model)} == {*BACKBONE, *FPN, *RPN, *HEADS}


@pytest.mark.parametrize("name", ["input_image", "input_image_meta", "input_gt_class_ids", "input_gt_boxes",
                                  "input_gt_masks", "fpn_p6", "rpn_model", "rpn_class_logits", "rpn_class", "rpn_bbox",
                                  "ROI", "proposal_targets", "output_rois", "roi_align_classifier", "roi_align_mask",
                                  "mrcnn_bbox", "mrcnn_mask", "rpn_class_loss", "rpn_bbox_loss",
                                  "mrcnn_class_loss", "mrcnn_bbox_loss", "mrcnn_mask_loss", "res2c_out", "res3c_out",
                                  "res3d_out", "res4f_out", "res5c_out"])  # fmt: skip
def test_layer_of_the_training_graph(resnet, name):
    assert resnet.keras_model.get_layer(name).name == name


@pytest.mark.parametrize("name", ["input_image", "input_image_meta", "rpn_model", "rpn_class", "rpn_bbox", "ROI",
                                  "roi_align_classifier", "mrcnn_class", "mrcnn_bbox", "mrcnn_detection",
                                  "roi_align_mask", "mrcnn_mask"])  # fmt: skip
def test_layer_of_the_inference_graph(detector, name):
    assert detector.keras_model.get_layer(name).output is not None


@pytest.mark.parametrize(
    ("layers", "first", "absent"),
    [
        ("heads", "fpn_c5p5", "res5c_branch2c"),
        ("5+", "res5a_branch2a", "res4f_branch2c"),
        ("4+", "res4a_branch2a", "res3d_branch2c"),
        ("3+", "res3a_branch2a", "res2c_branch2c"),
        ("all", "conv1", None),
    ],
)
def test_what_layers_selects(resnet, layers, first, absent):
    chosen = {layer.name for layer in set_trainable(resnet.keras_model, LAYER_CHOICES[layers])}
    assert {first, *FPN, *RPN, *HEADS} <= chosen and absent not in chosen


def test_file_has_keras_2_layout_with_time_distributed_layers_under_outer_names(resnet, tmp_path):
    path = tmp_path / "mask_rcnn_coco.h5"
    save_weights(resnet.keras_model, path)
    with h5py.File(path) as file:
        names = [name.decode() for name in file.attrs["layer_names"]]
        assert {*BACKBONE, *FPN, *HEADS, "rpn_model"} <= set(names)
        assert [n.decode() for n in file["conv1"].attrs["weight_names"]] == ["conv1/kernel:0", "conv1/bias:0"]
        assert file["mrcnn_class_conv1/mrcnn_class_conv1/kernel:0"].shape == (7, 7, 16, 32)
        assert file["rpn_model/rpn_conv_shared/kernel:0"].shape == (3, 3, 16, 32)
        assert [n.decode().split("/")[-1] for n in file["bn_conv1"].attrs["weight_names"]] == [
            "gamma:0", "beta:0", "moving_mean:0", "moving_variance:0"]  # fmt: skip
