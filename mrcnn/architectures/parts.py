"""From the named options of a `Config` to the layers they mean: what the graphs of all architectures are put together
from. An option chooses here, and nowhere in a graph.
"""

import keras

from ..backbones.build import backbone_graph
from ..heads.box import BoxHead
from ..heads.conv_box import ConvBoxHead
from ..heads.keypoint import KeypointHead
from ..heads.mask import MaskHead
from ..heads.rpn import RPNHead
from ..layers.anchors import AnchorLayer
from ..layers.class_detection import ClassDetectionLayer
from ..layers.detection import DetectionLayer
from ..layers.detection_target import DetectionTargetLayer
from ..layers.level_proposals import LevelProposalLayer
from ..layers.proposal import ProposalLayer
from ..layers.pyramid_roi_align import PyramidROIAlign
from ..layers.roi_target import RoiTargetLayer
from ..necks.fpn import FPN


def stage_one_parts(config):
    """The inputs and the layers that find proposals, by name."""
    height, width = config.IMAGE_SHAPE[:2] if config.IMAGE_RESIZE_MODE in ("square", "crop") else (None, None)
    image = keras.Input((height, width, config.IMAGE_CHANNEL_COUNT), name="input_image")
    return {
        "image": image,
        "image_meta": keras.Input((config.IMAGE_META_SIZE,), name="input_image_meta"),
        "features": backbone_graph(
            image, config.BACKBONE, config.MEAN_PIXEL, config.PIXEL_STD, **_norm(config, config.NORM)
        ),
        "fpn": FPN(
            config.TOP_DOWN_PYRAMID_SIZE, _has_bias(config, config.FPN_NORM), **_norm(config, config.FPN_NORM)
        ),
        "anchors": AnchorLayer(
            config.RPN_ANCHOR_SCALES,
            config.RPN_ANCHOR_RATIOS,
            config.BACKBONE_STRIDES,
            config.RPN_ANCHOR_STRIDE,
            config.RPN_ANCHOR_WHOLE_PIXELS,
            name="anchors",
        ),
        "rpn_head": RPNHead(
            len(config.RPN_ANCHOR_RATIOS),
            config.RPN_ANCHOR_STRIDE,
            config.RPN_CHANNELS or 2 * config.TOP_DOWN_PYRAMID_SIZE,
            config.RPN_CONVOLUTIONS,
            config.RPN_OBJECTNESS,
            name="rpn_model",
        ),
    }


def require_own_proposals(config):
    """For graphs that take no regions from outside. Raises ValueError where USE_RPN_ROIS asks for it."""
    if not config.USE_RPN_ROIS:
        raise ValueError("USE_RPN_ROIS = False: only MaskRCNN trains on given regions. Set it to True.")


def proposal_layer(config, count, pre_nms_limit):
    """Picks `count` proposals out of the `pre_nms_limit` best anchors."""
    numbers = count, config.RPN_NMS_THRESHOLD, pre_nms_limit, config.RPN_BBOX_STD_DEV
    layer = LevelProposalLayer if config.PROPOSALS == "per_level" else ProposalLayer
    return layer(*numbers, config.BBOX_LOG_LIMIT, name="ROI")


def roi_target_layer(config):
    """Draws the regions that the second stage trains on, with what they should become."""
    numbers = (
        config.TRAIN_ROIS_PER_IMAGE,
        config.ROI_POSITIVE_RATIO,
        config.MASK_SHAPE,
        config.BBOX_STD_DEV,
        config.USE_MINI_MASK,
    )
    if config.ROI_TARGETS == "fill":
        return RoiTargetLayer(*numbers, config.MASK_TARGETS == "binary", name="proposal_targets")
    return DetectionTargetLayer(*numbers, name="proposal_targets")


def roi_align(config, side, name):
    """Pools regions to `side` x `side` cells."""
    return PyramidROIAlign((side, side), config.ROI_ALIGN, config.ROI_SAMPLING_RATIO, name=name)


def box_head(config):
    """Class logits and box refinements of pooled regions."""
    norm = _norm(config, _head_norm(config))
    if config.BOX_HEAD == "conv":
        return ConvBoxHead(
            config.NUM_CLASSES,
            config.FPN_CLASSIF_FC_LAYERS_SIZE,
            config.TOP_DOWN_PYRAMID_SIZE,
            use_bias=_has_bias(config, norm["norm"]),
            **norm,
            name="mrcnn_classifier",
        )
    return BoxHead(
        config.NUM_CLASSES, config.POOL_SIZE, config.FPN_CLASSIF_FC_LAYERS_SIZE, **norm, name="mrcnn_classifier"
    )


def mask_head(config):
    """Mask logits of pooled regions."""
    norm = _norm(config, _head_norm(config))
    return MaskHead(
        config.NUM_CLASSES,
        config.TOP_DOWN_PYRAMID_SIZE,
        use_bias=_has_bias(config, norm["norm"]),
        **norm,
        name="mrcnn_masks",
    )


def keypoint_head(config):
    """Heat maps of the keypoints of pooled regions, as logits."""
    return KeypointHead(config.NUM_KEYPOINTS, config.KEYPOINT_CHANNELS, name="mrcnn_keypoints")


def box_loss_options(config):
    """What the RPN's box loss and the second stage's are made with."""
    beta, per = config.BBOX_LOSS_BETA, config.BBOX_LOSS_PER
    rpn_beta = beta if config.RPN_BBOX_LOSS_BETA is None else config.RPN_BBOX_LOSS_BETA
    return {"beta": rpn_beta, "per": per}, {"beta": beta, "per": per}


def detection_layer(config):
    """Picks detections out of the classified proposals."""
    numbers = (
        config.DETECTION_MAX_INSTANCES,
        config.DETECTION_MIN_CONFIDENCE,
        config.DETECTION_NMS_THRESHOLD,
        config.BBOX_STD_DEV,
    )
    layer = ClassDetectionLayer if config.DETECTIONS == "per_class" else DetectionLayer
    return layer(*numbers, config.BBOX_LOG_LIMIT, name="mrcnn_detection")


def _norm(config, norm):
    return {"norm": norm, "train_bn": config.TRAIN_BN, "epsilon": config.NORM_EPSILON}


def _head_norm(config):
    return config.HEAD_NORM or config.NORM


def _has_bias(config, norm):
    return config.CONV_BIAS or norm == "none"
