"""Mask R-CNN (He et al. 2017) on a feature pyramid (Lin et al. 2017): Faster R-CNN with a mask head.

Shapes: B batch, A anchors, P proposals, R sampled regions, N positive slots among them, G ground-truth slots,
D detections, C classes, S sampled anchors. Boxes are (y1, x1, y2, x2), normalised unless the name ends in `_px`.
"""

from types import SimpleNamespace

import keras
from keras import layers

from ..engine.detector import Detector
from ..engine.inference import unmold_detections
from ..engine.keras_model import InferenceModel
from ..engine.loss_model import LossModel
from ..layers.anchor_target import AnchorTargetLayer
from ..layers.boxes import NormBoxes
from ..losses.layers import BoxLoss, ClassLoss, MaskLoss, RPNBoxLoss, RPNClassLoss
from .faster_rcnn import classify, stage_one
from .parts import box_head, box_loss_options, detection_layer, mask_head, roi_align, roi_target_layer, stage_one_parts


def build_parts(config):
    """Every layer with weights, made once, with the image and the backbone's features they start from."""
    return SimpleNamespace(**stage_one_parts(config), box_head=box_head(config), mask_head=mask_head(config))


def training_graph(parts, config):
    """Image and ground truth in, five loss vectors out."""
    gt_class_ids = keras.Input((config.MAX_GT_INSTANCES,), dtype="int32", name="input_gt_class_ids")
    gt_boxes_px = keras.Input((config.MAX_GT_INSTANCES, 4), name="input_gt_boxes")
    mask_shape = config.MINI_MASK_SHAPE if config.USE_MINI_MASK else parts.image.shape[1:3]
    gt_masks = keras.Input((*mask_shape, config.MAX_GT_INSTANCES), dtype="bool", name="input_gt_masks")
    inputs = [parts.image, parts.image_meta, gt_class_ids, gt_boxes_px, gt_masks]

    # === Stage 1: where could objects be? ===
    pyramid, anchors_px, rpn_logits, _, rpn_deltas, proposals = stage_one(
        parts, config, config.POST_NMS_ROIS_TRAINING, config.PRE_NMS_LIMIT_TRAINING or config.PRE_NMS_LIMIT
    )
    anchor_ids, anchor_labels, anchor_deltas = AnchorTargetLayer(            # [B, S] [B, S] [B, S, 4]
        config.RPN_TRAIN_ANCHORS_PER_IMAGE, config.RPN_BBOX_STD_DEV, name="rpn_targets"
    )([anchors_px, gt_class_ids, gt_boxes_px])

    # === Stage 2: what is in them, and which pixels? ===
    if not config.USE_RPN_ROIS:
        rois_px = keras.Input((config.POST_NMS_ROIS_TRAINING, 4), name="input_roi")
        inputs.append(rois_px)
        proposals = NormBoxes(name="rois_normalised")([rois_px, parts.image])
    gt_boxes = NormBoxes(name="gt_boxes_normalised")([gt_boxes_px, parts.image])
    rois, class_ids, target_deltas, target_masks = roi_target_layer(config)(  # [B, R, 4] [B, R] [B, R, 4] [B, N, M, M]
        [proposals, gt_class_ids, gt_boxes, gt_masks, gt_boxes_px, parts.image_meta]
    )
    rois = layers.Identity(name="output_rois")(rois)
    class_logits, _, deltas = classify(parts, config, rois, pyramid)         # [B, R, C] [B, R, C] [B, R, C, 4]
    positives = target_masks.shape[1]
    positive = class_ids[:, :positives] > 0                                  # [B, N]
    mask_logits = segment(parts, config, rois[:, :positives], positive, pyramid)  # [B, N, M, M, C]

    # === Losses ===
    active = parts.image_meta[:, -config.NUM_CLASSES :]                      # [B, C]
    rpn_box_loss, box_loss = box_loss_options(config)
    losses = [                                                               # [B] each
        RPNClassLoss(name="rpn_class_loss")([rpn_logits, anchor_ids, anchor_labels]),
        RPNBoxLoss(**rpn_box_loss, name="rpn_bbox_loss")([rpn_deltas, anchor_ids, anchor_labels, anchor_deltas]),
        ClassLoss(name="mrcnn_class_loss")([class_ids, class_logits, active]),
        BoxLoss(**box_loss, name="mrcnn_bbox_loss")([class_ids, target_deltas, deltas]),
        MaskLoss(name="mrcnn_mask_loss")([class_ids[:, :positives], target_masks, mask_logits]),
    ]
    return LossModel(inputs, losses, name="mask_rcnn")


def inference_graph(parts, config):
    """Image in, detections and their masks out."""
    # === Stage 1: where could objects be? ===
    pyramid, _, _, rpn_probs, rpn_deltas, proposals = stage_one(
        parts, config, config.POST_NMS_ROIS_INFERENCE, config.PRE_NMS_LIMIT
    )

    # === Stage 2: what is in them, and exactly where? ===
    _, probs, deltas = classify(parts, config, proposals, pyramid)           # [B, P, C] [B, P, C, 4]
    detections = detection_layer(config)([proposals, probs, deltas, parts.image_meta])  # [B, D, 6]

    # === Stage 3: which pixels? ===
    found = detections[..., 4] > 0                                           # [B, D]
    mask_logits = segment(parts, config, detections[..., :4], found, pyramid)  # [B, D, M, M, C]
    masks = layers.Activation("sigmoid", name="mrcnn_mask", dtype="float32")(mask_logits)
    outputs = [detections, probs, deltas, masks, proposals, rpn_probs, rpn_deltas]
    return InferenceModel([parts.image, parts.image_meta], outputs, name="mask_rcnn")


def segment(parts, config, rois, used, pyramid):
    """Mask logits of each region that is used, for each class."""
    pooled = roi_align(config, config.MASK_POOL_SIZE, "roi_align_mask")(     # [B, R, 14, 14, depth]
        [rois, parts.image_meta, *pyramid[:4]]
    )
    return parts.mask_head(pooled, used)


def read_result(outputs, row, original_shape, image_shape, window, config):
    """Boxes, classes, scores and masks of the image in a row of what the graph returned."""
    detections, masks = outputs[0][row], outputs[3][row]
    values = unmold_detections(detections, masks, original_shape, image_shape, window, config.MASK_PASTE)
    return dict(zip(("rois", "class_ids", "scores", "masks"), values, strict=True))


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
    read_result = staticmethod(read_result)
