"""Mask R-CNN (He et al. 2017) on a feature pyramid (Lin et al. 2017): the whole graph.

Shapes: B batch, A anchors, P proposals, R sampled regions, N positive slots among them, G ground-truth slots,
D detections, C classes, S sampled anchors. Boxes are (y1, x1, y2, x2), normalised unless the name ends in `_px`.
"""

from types import SimpleNamespace

import keras
from keras import layers

from ..backbones.build import backbone_graph
from ..engine.detector import Detector
from ..engine.keras_model import InferenceModel
from ..engine.loss_model import LossModel
from ..heads.box import BoxHead
from ..heads.mask import MaskHead
from ..heads.rpn import RPNHead
from ..layers.anchor_target import AnchorTargetLayer
from ..layers.anchors import AnchorLayer
from ..layers.boxes import NormBoxes
from ..layers.detection import DetectionLayer
from ..layers.detection_target import DetectionTargetLayer
from ..layers.proposal import ProposalLayer
from ..layers.pyramid_roi_align import PyramidROIAlign
from ..losses.layers import BoxLoss, ClassLoss, MaskLoss, RPNBoxLoss, RPNClassLoss
from ..necks.fpn import FPN


def build_parts(config):
    """Every layer with weights, made once, with the image and the backbone's features they start from."""
    height, width = config.IMAGE_SHAPE[:2] if config.IMAGE_RESIZE_MODE in ("square", "crop") else (None, None)
    norm = {"train_bn": config.TRAIN_BN, "norm": config.NORM}
    image = keras.Input((height, width, config.IMAGE_CHANNEL_COUNT), name="input_image")
    return SimpleNamespace(
        image=image,
        image_meta=keras.Input((config.IMAGE_META_SIZE,), name="input_image_meta"),
        features=backbone_graph(image, config.BACKBONE, config.MEAN_PIXEL, **norm),
        fpn=FPN(config.TOP_DOWN_PYRAMID_SIZE),
        anchors=AnchorLayer(
            config.RPN_ANCHOR_SCALES,
            config.RPN_ANCHOR_RATIOS,
            config.BACKBONE_STRIDES,
            config.RPN_ANCHOR_STRIDE,
            name="anchors",
        ),
        rpn_head=RPNHead(
            len(config.RPN_ANCHOR_RATIOS),
            config.RPN_ANCHOR_STRIDE,
            channels=2 * config.TOP_DOWN_PYRAMID_SIZE,
            name="rpn_model",
        ),
        box_head=BoxHead(
            config.NUM_CLASSES, config.POOL_SIZE, config.FPN_CLASSIF_FC_LAYERS_SIZE, **norm, name="mrcnn_classifier"
        ),
        mask_head=MaskHead(config.NUM_CLASSES, config.TOP_DOWN_PYRAMID_SIZE, **norm, name="mrcnn_masks"),
    )


def stage_one(parts, config, proposal_count):
    """Where could objects be? The pyramid, what the RPN says of every anchor, and the proposals."""
    pyramid = parts.fpn(parts.features)                                      # P2..P6, each [B, h, w, depth]
    anchors_px = parts.anchors(parts.image)                                  # [A, 4]
    anchors = NormBoxes(name="anchors_normalised")([anchors_px, parts.image])
    by_level = [parts.rpn_head(level) for level in pyramid]
    names = ("rpn_class_logits", "rpn_class", "rpn_bbox")
    rpn_logits, rpn_probs, rpn_deltas = (                                    # [B, A, 2] [B, A, 2] [B, A, 4]
        layers.Concatenate(axis=1, name=name, dtype="float32")(list(outputs))
        for name, outputs in zip(names, zip(*by_level, strict=True), strict=True)
    )
    proposals = ProposalLayer(                                               # [B, P, 4]
        proposal_count,
        config.RPN_NMS_THRESHOLD,
        config.PRE_NMS_LIMIT,
        config.RPN_BBOX_STD_DEV,
        name="ROI",
    )([rpn_probs, rpn_deltas, anchors])
    return pyramid, anchors_px, rpn_logits, rpn_probs, rpn_deltas, proposals


def training_graph(parts, config):
    """Image and ground truth in, five loss vectors out."""
    gt_class_ids = keras.Input((config.MAX_GT_INSTANCES,), dtype="int32", name="input_gt_class_ids")
    gt_boxes_px = keras.Input((config.MAX_GT_INSTANCES, 4), name="input_gt_boxes")
    mask_shape = config.MINI_MASK_SHAPE if config.USE_MINI_MASK else config.IMAGE_SHAPE[:2]
    gt_masks = keras.Input((*mask_shape, config.MAX_GT_INSTANCES), dtype="bool", name="input_gt_masks")
    inputs = [parts.image, parts.image_meta, gt_class_ids, gt_boxes_px, gt_masks]

    # === Stage 1: where could objects be? ===
    pyramid, anchors_px, rpn_logits, _, rpn_deltas, proposals = stage_one(
        parts, config, config.POST_NMS_ROIS_TRAINING
    )
    anchor_ids, anchor_labels, anchor_deltas = AnchorTargetLayer(            # [B, S] [B, S] [B, S, 4]
        config.RPN_TRAIN_ANCHORS_PER_IMAGE, config.RPN_BBOX_STD_DEV, name="rpn_targets"
    )([anchors_px, gt_class_ids, gt_boxes_px])

    # === Stage 2: what is in them, and which pixels? ===
    normalise = NormBoxes(name="gt_boxes_normalised")
    if not config.USE_RPN_ROIS:
        rois_px = keras.Input((config.POST_NMS_ROIS_TRAINING, 4), name="input_roi")
        inputs.append(rois_px)
        proposals = NormBoxes(name="rois_normalised")([rois_px, parts.image])
    rois, class_ids, target_deltas, target_masks = DetectionTargetLayer(     # [B, R, 4] [B, R] [B, R, 4] [B, N, M, M]
        config.TRAIN_ROIS_PER_IMAGE,
        config.ROI_POSITIVE_RATIO,
        config.MASK_SHAPE,
        config.BBOX_STD_DEV,
        config.USE_MINI_MASK,
        name="proposal_targets",
    )([proposals, gt_class_ids, normalise([gt_boxes_px, parts.image]), gt_masks])
    rois = layers.Identity(name="output_rois")(rois)
    class_logits, _, deltas = classify(parts, config, rois, pyramid)         # [B, R, C] [B, R, C] [B, R, C, 4]
    positives = target_masks.shape[1]
    positive = class_ids[:, :positives] > 0                                  # [B, N]
    mask_logits = segment(parts, config, rois[:, :positives], positive, pyramid)  # [B, N, M, M, C]

    # === Losses ===
    active = parts.image_meta[:, -config.NUM_CLASSES :]                      # [B, C]
    losses = [                                                               # [B] each
        RPNClassLoss(name="rpn_class_loss")([rpn_logits, anchor_ids, anchor_labels]),
        RPNBoxLoss(name="rpn_bbox_loss")([rpn_deltas, anchor_ids, anchor_labels, anchor_deltas]),
        ClassLoss(name="mrcnn_class_loss")([class_ids, class_logits, active]),
        BoxLoss(name="mrcnn_bbox_loss")([class_ids, target_deltas, deltas]),
        MaskLoss(name="mrcnn_mask_loss")([class_ids[:, :positives], target_masks, mask_logits]),
    ]
    return LossModel(inputs, losses, name="mask_rcnn")


def inference_graph(parts, config):
    """Image in, detections and their masks out."""
    # === Stage 1: where could objects be? ===
    pyramid, _, _, rpn_probs, rpn_deltas, proposals = stage_one(parts, config, config.POST_NMS_ROIS_INFERENCE)

    # === Stage 2: what is in them, and exactly where? ===
    _, probs, deltas = classify(parts, config, proposals, pyramid)           # [B, P, C] [B, P, C, 4]
    detections = DetectionLayer(                                             # [B, D, 6]
        config.DETECTION_MAX_INSTANCES,
        config.DETECTION_MIN_CONFIDENCE,
        config.DETECTION_NMS_THRESHOLD,
        config.BBOX_STD_DEV,
        name="mrcnn_detection",
    )([proposals, probs, deltas, parts.image_meta])

    # === Stage 3: which pixels? ===
    found = detections[..., 4] > 0                                           # [B, D]
    mask_logits = segment(parts, config, detections[..., :4], found, pyramid)  # [B, D, M, M, C]
    masks = layers.Activation("sigmoid", name="mrcnn_mask", dtype="float32")(mask_logits)
    outputs = [detections, probs, deltas, masks, proposals, rpn_probs, rpn_deltas]
    return InferenceModel([parts.image, parts.image_meta], outputs, name="mask_rcnn")


def classify(parts, config, rois, pyramid):
    """Class logits, class probabilities and box refinements of each region."""
    pooled = PyramidROIAlign(                                                # [B, R, 7, 7, depth]
        (config.POOL_SIZE, config.POOL_SIZE), config.ROI_ALIGN, name="roi_align_classifier"
    )([rois, parts.image_meta, *pyramid[:4]])
    logits, deltas = parts.box_head(pooled)
    probs = layers.Softmax(name="mrcnn_class", dtype="float32")(logits)
    return logits, probs, layers.Identity(name="mrcnn_bbox", dtype="float32")(deltas)


def segment(parts, config, rois, used, pyramid):
    """Mask logits of each region that is used, for each class."""
    pooled = PyramidROIAlign(                                                # [B, R, 14, 14, depth]
        (config.MASK_POOL_SIZE, config.MASK_POOL_SIZE), config.ROI_ALIGN, name="roi_align_mask"
    )([rois, parts.image_meta, *pyramid[:4]])
    return parts.mask_head(pooled, used)


class MaskRCNN(Detector):
    """Mask R-CNN for training or inference.

    Args:
        mode: `"training"` or `"inference"`.
        config: an instance of a subclass of `Config`.
        model_dir: folder for training logs and checkpoints; made when the first run starts.
    """

    build_parts = staticmethod(build_parts)
    training_graph = staticmethod(training_graph)
    inference_graph = staticmethod(inference_graph)
