"""torchvision's detectors on a ResNet with a feature pyramid: `torchvision.models.detection`."""

from .dialect import Dialect, layer, norm, residual_blocks
from .transforms import (
    DELTAS,
    DENSE,
    DENSE_AS_CONVOLUTION,
    FLAT_AS_CONVOLUTION,
    FLAT_AS_DENSE,
    TRANSPOSED_CONVOLUTION,
)


def _body():
    body = "backbone.body"
    yield from layer(f"{body}.conv1", "conv1", bias=False)
    yield from norm(f"{body}.bn1", "bn_conv1")
    for stage, index, name in residual_blocks():
        block = f"{body}.layer{stage - 1}.{index}"
        for number, branch in enumerate("abc", start=1):
            yield from layer(f"{block}.conv{number}", f"res{name}_branch2{branch}", bias=False)
            yield from norm(f"{block}.bn{number}", f"bn{name}_branch2{branch}")
        yield from layer(f"{block}.downsample.0", f"res{name}_branch1", bias=False)
        yield from norm(f"{block}.downsample.1", f"bn{name}_branch1")


def _conv_and_norm(key, name, norm_name):
    """A convolution that has a bias or a normalisation behind it."""
    yield from layer(f"{key}.0", name)
    yield from norm(f"{key}.1", norm_name)


def _pyramid_and_rpn():
    for level in (2, 3, 4, 5):
        lateral, output = f"fpn_c{level}p{level}", f"fpn_p{level}"
        yield from _conv_and_norm(f"backbone.fpn.inner_blocks.{level - 2}", lateral, f"{lateral}_bn")
        yield from _conv_and_norm(f"backbone.fpn.layer_blocks.{level - 2}", output, f"{output}_bn")
    yield from layer("rpn.head.conv.0.0", "rpn_conv_shared")
    yield from layer("rpn.head.conv.1.0", "rpn_conv_shared2")
    yield from layer("rpn.head.cls_logits", "rpn_class_raw")
    yield from layer("rpn.head.bbox_pred", "rpn_bbox_pred", DELTAS)


def _dense_box_head():
    yield from layer("roi_heads.box_head.fc6", "mrcnn_class_conv1", layout=FLAT_AS_CONVOLUTION)
    yield from layer("roi_heads.box_head.fc7", "mrcnn_class_conv2", layout=DENSE_AS_CONVOLUTION)


def _conv_box_head():
    for number in (1, 2, 3, 4):
        yield from layer(f"roi_heads.box_head.{number - 1}.0", f"mrcnn_class_conv{number}", bias=False)
        yield from norm(f"roi_heads.box_head.{number - 1}.1", f"mrcnn_class_bn{number}")
    yield from layer("roi_heads.box_head.5", "mrcnn_class_fc", layout=FLAT_AS_DENSE)


def _predictors():
    yield from layer("roi_heads.box_predictor.cls_score", "mrcnn_class_logits", layout=DENSE)
    yield from layer("roi_heads.box_predictor.bbox_pred", "mrcnn_bbox_fc", DELTAS, layout=DENSE)
    for number in (1, 2, 3, 4):
        key = f"roi_heads.mask_head.{number - 1}"
        yield from _conv_and_norm(key, f"mrcnn_mask_conv{number}", f"mrcnn_mask_bn{number}")
    yield from layer("roi_heads.mask_predictor.conv5_mask", "mrcnn_mask_deconv", layout=TRANSPOSED_CONVOLUTION)
    yield from layer("roi_heads.mask_predictor.mask_fcn_logits", "mrcnn_mask")
    for number in range(1, 9):
        yield from layer(f"roi_heads.keypoint_head.{2 * number - 2}", f"mrcnn_keypoint_conv{number}")
    lowres = "roi_heads.keypoint_predictor.kps_score_lowres"
    yield from layer(lowres, "mrcnn_keypoint_deconv", layout=TRANSPOSED_CONVOLUTION)


TORCHVISION = Dialect(
    name="torchvision",
    marks=("backbone.body.", "backbone.fpn.", "rpn.head."),
    tables=tuple(
        (*_body(), *_pyramid_and_rpn(), *box_head(), *_predictors()) for box_head in (_dense_box_head, _conv_box_head)
    ),
    # The published files of the first models have these.
    renamed={
        r"^(backbone\.fpn\.(?:inner|layer)_blocks\.\d)\.(weight|bias)$": r"\1.0.\2",
        r"^rpn\.head\.conv\.(weight|bias)$": r"rpn.head.conv.0.0.\1",
        **{rf"^roi_heads\.mask_head\.mask_fcn{n + 1}\.": f"roi_heads.mask_head.{n}.0." for n in range(4)},
    },
)
