"""Faster R-CNN (Ren et al. 2015) on a feature pyramid (Lin et al. 2017): the whole graph.

Shapes: B batch, A anchors, P proposals, R sampled regions, G ground-truth slots, D detections, C classes, S sampled
anchors. Boxes are (y1, x1, y2, x2), normalised unless the name ends in `_px`.
"""

from types import SimpleNamespace

import keras
from keras import layers

from ..engine.detector import Detector
from ..engine.inference import unmold_boxes
from ..engine.keras_model import InferenceModel
from ..engine.loss_model import LossModel
from ..layers.anchor_target import AnchorTargetLayer
from ..layers.boxes import NormBoxes
from ..losses.layers import BoxLoss, ClassLoss, RPNBoxLoss, RPNClassLoss
from .parts import (
    box_head,
    box_loss_options,
    detection_layer,
    proposal_layer,
    require_own_proposals,
    roi_align,
    roi_target_layer,
    stage_one_parts,
)


def build_parts(config):
    """Every layer with weights, made once, with the image and the backbone's features they start from."""
    return SimpleNamespace(**stage_one_parts(config), box_head=box_head(config))


def stage_one(parts, config, proposal_count, pre_nms_limit):
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
    level_logits = [logits for logits, _, _ in by_level]
    proposals = proposal_layer(config, proposal_count, pre_nms_limit)(       # [B, P, 4]
        [rpn_probs, rpn_deltas, anchors, anchors_px, parts.image_meta, *level_logits]
    )
    return pyramid, anchors_px, rpn_logits, rpn_probs, rpn_deltas, proposals


def training_graph(parts, config):
    """Image and ground truth in, four loss vectors out."""
    require_own_proposals(config)
    gt_class_ids = keras.Input((config.MAX_GT_INSTANCES,), dtype="int32", name="input_gt_class_ids")
    gt_boxes_px = keras.Input((config.MAX_GT_INSTANCES, 4), name="input_gt_boxes")
    # Batches bring masks, out of which a Dataset's boxes are made; nothing here is computed from them.
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

    # === Stage 2: what is in them, and exactly where? ===
    gt_boxes = NormBoxes(name="gt_boxes_normalised")([gt_boxes_px, parts.image])
    rois, class_ids, target_deltas, _ = roi_target_layer(config)(            # [B, R, 4] [B, R] [B, R, 4]
        [proposals, gt_class_ids, gt_boxes, gt_masks, gt_boxes_px, parts.image_meta]
    )
    class_logits, _, deltas = classify(parts, config, rois, pyramid)         # [B, R, C] [B, R, C] [B, R, C, 4]

    # === Losses ===
    active = parts.image_meta[:, -config.NUM_CLASSES :]                      # [B, C]
    rpn_box_loss, box_loss = box_loss_options(config)
    losses = [                                                               # [B] each
        RPNClassLoss(name="rpn_class_loss")([rpn_logits, anchor_ids, anchor_labels]),
        RPNBoxLoss(**rpn_box_loss, name="rpn_bbox_loss")([rpn_deltas, anchor_ids, anchor_labels, anchor_deltas]),
        ClassLoss(name="mrcnn_class_loss")([class_ids, class_logits, active]),
        BoxLoss(**box_loss, name="mrcnn_bbox_loss")([class_ids, target_deltas, deltas]),
    ]
    return LossModel(inputs, losses, name="faster_rcnn")


def inference_graph(parts, config):
    """Image in, detections out."""
    # === Stage 1: where could objects be? ===
    pyramid, _, _, rpn_probs, rpn_deltas, proposals = stage_one(
        parts, config, config.POST_NMS_ROIS_INFERENCE, config.PRE_NMS_LIMIT
    )

    # === Stage 2: what is in them, and exactly where? ===
    _, probs, deltas = classify(parts, config, proposals, pyramid)           # [B, P, C] [B, P, C, 4]
    detections = detection_layer(config)([proposals, probs, deltas, parts.image_meta])  # [B, D, 6]
    outputs = [detections, probs, deltas, proposals, rpn_probs, rpn_deltas]
    return InferenceModel([parts.image, parts.image_meta], outputs, name="faster_rcnn")


def classify(parts, config, rois, pyramid):
    """Class logits, class probabilities and box refinements of each region."""
    pooled = roi_align(config, config.POOL_SIZE, "roi_align_classifier")(    # [B, R, 7, 7, depth]
        [rois, parts.image_meta, *pyramid[:4]]
    )
    logits, deltas = parts.box_head(pooled)
    probs = layers.Softmax(name="mrcnn_class", dtype="float32")(logits)
    return logits, probs, layers.Identity(name="mrcnn_bbox", dtype="float32")(deltas)


def read_result(outputs, row, original_shape, image_shape, window, config):
    """Boxes, classes and scores of the image in a row of what the graph returned."""
    detections = outputs[0][row]
    rois, class_ids, scores, _ = unmold_boxes(detections, original_shape, image_shape, window, config.MASK_PASTE)
    return {"rois": rois, "class_ids": class_ids, "scores": scores}


class FasterRCNN(Detector):
    """Faster R-CNN for training or inference: objects' classes and boxes.

    `detect` returns `rois`, `class_ids` and `scores`, and no masks. Data sets are those of `MaskRCNN`.

    Args:
        mode: `"training"` or `"inference"`.
        config: an instance of a subclass of `Config`.
        model_dir: folder for training logs and checkpoints; made when the first run starts.
    """

    build_parts = staticmethod(build_parts)
    training_graph = staticmethod(training_graph)
    inference_graph = staticmethod(inference_graph)
    read_result = staticmethod(read_result)
