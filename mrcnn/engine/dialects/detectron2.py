"""Detectron2's detectors on a ResNet or ResNeXt with a feature pyramid.

They take images as BGR, their background is the last class, and only class scores have it.
"""

from .dialect import Dialect, layer, norm, residual_blocks
from .transforms import (
    BACKGROUND_LAST,
    BGR,
    DELTAS,
    DENSE,
    DENSE_AS_CONVOLUTION,
    FLAT_AS_CONVOLUTION,
    TRANSPOSED_CONVOLUTION,
    no_background,
)


def _body():
    body = "backbone.bottom_up"
    yield from layer(f"{body}.stem.conv1", "conv1", BGR, bias=False)
    yield from norm(f"{body}.stem.conv1.norm", "bn_conv1")
    for stage, index, name in residual_blocks():
        for part, branch in (("conv1", "2a"), ("conv2", "2b"), ("conv3", "2c"), ("shortcut", "1")):
            key = f"{body}.res{stage}.{index}.{part}"
            yield from layer(key, f"res{name}_branch{branch}", bias=False)
            yield from norm(f"{key}.norm", f"bn{name}_branch{branch}")


def _pyramid_and_rpn():
    for level in (2, 3, 4, 5):
        yield from layer(f"backbone.fpn_lateral{level}", f"fpn_c{level}p{level}")
        yield from layer(f"backbone.fpn_output{level}", f"fpn_p{level}")
    head = "proposal_generator.rpn_head"
    yield from layer(f"{head}.conv", "rpn_conv_shared")
    yield from layer(f"{head}.objectness_logits", "rpn_class_raw")
    yield from layer(f"{head}.anchor_deltas", "rpn_bbox_pred", DELTAS)


def _heads():
    yield from layer("roi_heads.box_head.fc1", "mrcnn_class_conv1", layout=FLAT_AS_CONVOLUTION)
    yield from layer("roi_heads.box_head.fc2", "mrcnn_class_conv2", layout=DENSE_AS_CONVOLUTION)
    predictor = "roi_heads.box_predictor"
    yield from layer(f"{predictor}.cls_score", "mrcnn_class_logits", BACKGROUND_LAST, layout=DENSE)
    yield from layer(f"{predictor}.bbox_pred", "mrcnn_bbox_fc", DELTAS, no_background(4), layout=DENSE)
    mask = "roi_heads.mask_head"
    for number in (1, 2, 3, 4):
        yield from layer(f"{mask}.mask_fcn{number}", f"mrcnn_mask_conv{number}")
    yield from layer(f"{mask}.deconv", "mrcnn_mask_deconv", layout=TRANSPOSED_CONVOLUTION)
    yield from layer(f"{mask}.predictor", "mrcnn_mask", no_background(1))
    keypoint = "roi_heads.keypoint_head"
    for number in range(1, 9):
        yield from layer(f"{keypoint}.conv_fcn{number}", f"mrcnn_keypoint_conv{number}")
    yield from layer(f"{keypoint}.score_lowres", "mrcnn_keypoint_deconv", layout=TRANSPOSED_CONVOLUTION)


DETECTRON2 = Dialect(
    name="detectron2",
    marks=("backbone.bottom_up.", "backbone.fpn_lateral", "backbone.fpn_output", "proposal_generator."),
    tables=((*_body(), *_pyramid_and_rpn(), *_heads()),),
    renamed={},
)
