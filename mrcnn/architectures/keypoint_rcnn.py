"""Keypoint R-CNN (He et al. 2017, section 5) on a feature pyramid (Lin et al. 2017): the whole graph.

Shapes: B batch, A anchors, P proposals, R sampled regions, N positive slots among them, G ground-truth slots,
D detections, C classes, K keypoints, M side of a heat map, S sampled anchors. Boxes are (y1, x1, y2, x2), normalised
unless the name ends in `_px`.
"""

from types import SimpleNamespace

import keras
from keras import layers

from ..data.keypoints import find_keypoints
from ..engine.detector import Detector
from ..engine.inference import original_points, pixel_boxes, unmold_boxes
from ..engine.keras_model import InferenceModel
from ..engine.loss_model import LossModel
from ..layers.anchor_target import AnchorTargetLayer
from ..layers.boxes import NormBoxes
from ..layers.keypoint_target import KeypointTargetLayer
from ..losses.layers import BoxLoss, ClassLoss, KeypointLoss, RPNBoxLoss, RPNClassLoss
from .faster_rcnn import classify, stage_one
from .parts import (
    box_head,
    box_loss_options,
    detection_layer,
    keypoint_head,
    require_own_proposals,
    roi_align,
    roi_target_layer,
    stage_one_parts,
)


def build_parts(config):
    """Every layer with weights, made once, with the image and the backbone's features they start from."""
    return SimpleNamespace(
        **stage_one_parts(config), box_head=box_head(config), keypoint_head=keypoint_head(config)
    )


def training_graph(parts, config):
    """Image and ground truth in, five loss vectors out."""
    require_own_proposals(config)
    objects = config.MAX_GT_INSTANCES
    gt_class_ids = keras.Input((objects,), dtype="int32", name="input_gt_class_ids")
    gt_boxes_px = keras.Input((objects, 4), name="input_gt_boxes")
    # Batches bring masks, out of which a Dataset's boxes are made; nothing here is computed from them.
    mask_shape = config.MINI_MASK_SHAPE if config.USE_MINI_MASK else parts.image.shape[1:3]
    gt_masks = keras.Input((*mask_shape, objects), dtype="bool", name="input_gt_masks")
    gt_keypoints_px = keras.Input((objects, config.NUM_KEYPOINTS, 3), name="input_gt_keypoints")
    inputs = [parts.image, parts.image_meta, gt_class_ids, gt_boxes_px, gt_masks, gt_keypoints_px]

    # === Stage 1: where could objects be? ===
    pyramid, anchors_px, rpn_logits, _, rpn_deltas, proposals = stage_one(
        parts, config, config.POST_NMS_ROIS_TRAINING, config.PRE_NMS_LIMIT_TRAINING or config.PRE_NMS_LIMIT
    )
    anchor_ids, anchor_labels, anchor_deltas = AnchorTargetLayer(            # [B, S] [B, S] [B, S, 4]
        config.RPN_TRAIN_ANCHORS_PER_IMAGE, config.RPN_BBOX_STD_DEV, name="rpn_targets"
    )([anchors_px, gt_class_ids, gt_boxes_px])

    # === Stage 2: what is in them, and where are its keypoints? ===
    gt_boxes = NormBoxes(name="gt_boxes_normalised")([gt_boxes_px, parts.image])
    rois, class_ids, target_deltas, target_masks = roi_target_layer(config)(  # [B, R, 4] [B, R] [B, R, 4] [B, N, ...]
        [proposals, gt_class_ids, gt_boxes, gt_masks, gt_boxes_px, parts.image_meta]
    )
    class_logits, _, deltas = classify(parts, config, rois, pyramid)         # [B, R, C] [B, R, C] [B, R, C, 4]
    positives = target_masks.shape[1]
    positive_rois, positive_ids = rois[:, :positives], class_ids[:, :positives]
    keypoint_logits = locate(parts, config, positive_rois, positive_ids > 0, pyramid)  # [B, N, M, M, K]
    cells, counts = KeypointTargetLayer(keypoint_logits.shape[2], name="keypoint_targets")(  # [B, N, K] [B, N, K]
        [positive_rois, positive_ids, gt_class_ids, gt_boxes_px, gt_keypoints_px, parts.image_meta]
    )

    # === Losses ===
    active = parts.image_meta[:, -config.NUM_CLASSES :]                      # [B, C]
    rpn_box_loss, box_loss = box_loss_options(config)
    losses = [                                                               # [B] each
        RPNClassLoss(name="rpn_class_loss")([rpn_logits, anchor_ids, anchor_labels]),
        RPNBoxLoss(**rpn_box_loss, name="rpn_bbox_loss")([rpn_deltas, anchor_ids, anchor_labels, anchor_deltas]),
        ClassLoss(name="mrcnn_class_loss")([class_ids, class_logits, active]),
        BoxLoss(**box_loss, name="mrcnn_bbox_loss")([class_ids, target_deltas, deltas]),
        KeypointLoss(name="mrcnn_keypoint_loss")([cells, counts, keypoint_logits]),
    ]
    return LossModel(inputs, losses, name="keypoint_rcnn")


def inference_graph(parts, config):
    """Image in, detections and their keypoints' heat maps out."""
    # === Stage 1: where could objects be? ===
    pyramid, _, _, rpn_probs, rpn_deltas, proposals = stage_one(
        parts, config, config.POST_NMS_ROIS_INFERENCE, config.PRE_NMS_LIMIT
    )

    # === Stage 2: what is in them, and exactly where? ===
    _, probs, deltas = classify(parts, config, proposals, pyramid)           # [B, P, C] [B, P, C, 4]
    detections = detection_layer(config)([proposals, probs, deltas, parts.image_meta])  # [B, D, 6]

    # === Stage 3: where are its keypoints? ===
    found = detections[..., 4] > 0                                           # [B, D]
    keypoint_logits = locate(parts, config, detections[..., :4], found, pyramid)  # [B, D, M, M, K]
    outputs = [detections, probs, deltas, keypoint_logits, proposals, rpn_probs, rpn_deltas]
    return InferenceModel([parts.image, parts.image_meta], outputs, name="keypoint_rcnn")


def locate(parts, config, rois, used, pyramid):
    """Heat maps of each region that is used, as logits, for each keypoint."""
    pooled = roi_align(config, config.KEYPOINT_POOL_SIZE, "roi_align_keypoint")(  # [B, R, 14, 14, depth]
        [rois, parts.image_meta, *pyramid[:4]]
    )
    logits = parts.keypoint_head(pooled, used)
    return layers.Identity(name="mrcnn_keypoint", dtype="float32")(logits)


def read_result(outputs, row, original_shape, image_shape, window, config):
    """Boxes, classes, scores and keypoints of the image in a row of what the graph returned."""
    detections, logits = outputs[0][row], outputs[3][row]
    rois, class_ids, scores, slots = unmold_boxes(detections, original_shape, image_shape, window, config.MASK_PASTE)
    boxes = pixel_boxes(detections[slots, :4], image_shape)
    points, keypoint_scores = find_keypoints(logits[slots], boxes, config.KEYPOINT_SCORE)
    points = original_points(points, original_shape, window) - config.KEYPOINT_OFFSET
    return {
        "rois": rois,
        "class_ids": class_ids,
        "scores": scores,
        "keypoints": points.astype("float32"),
        "keypoint_scores": keypoint_scores,
    }


class KeypointRCNN(Detector):
    """Keypoint R-CNN for training or inference: objects' classes, boxes and keypoints.

    `detect` returns `rois`, `class_ids`, `scores`, `keypoints [N, K, (y, x)]` float32 in pixels of the image and
    `keypoint_scores [N, K]` (see KEYPOINT_SCORE), and no masks. Data sets are those of `MaskRCNN` that have keypoints:
    `Dataset.keypoint_names` and `Dataset.load_keypoints`.

    Args:
        mode: `"training"` or `"inference"`.
        config: an instance of a subclass of `Config`, with NUM_KEYPOINTS.
        model_dir: folder for training logs and checkpoints; made when the first run starts.
    """

    learns_keypoints = True
    build_parts = staticmethod(build_parts)
    training_graph = staticmethod(training_graph)
    inference_graph = staticmethod(inference_graph)
    read_result = staticmethod(read_result)
