"""Matterport's import path of the model, its layers and its data functions."""

from .architectures.mask_rcnn import MaskRCNN
from .backbones.resnet import conv_block, identity_block, resnet_graph
from .data.anchor_targets import build_rpn_targets
from .data.anchors import compute_backbone_shapes
from .data.image_meta import compose_image_meta, mold_image, parse_image_meta, unmold_image
from .data.legacy_generator import RPNDataGenerator as DataGenerator
from .data.legacy_generator import data_generator
from .data.load import load_image_gt
from .data.random_rois import build_detection_targets, generate_random_rois
from .data.report import log
from .engine.matterport_graphs import (
    build_fpn_mask_graph,
    build_rpn_model,
    denorm_boxes_graph,
    fpn_classifier_graph,
    mrcnn_bbox_loss_graph,
    mrcnn_class_loss_graph,
    mrcnn_mask_loss_graph,
    norm_boxes_graph,
    parse_image_meta_graph,
    refine_detections_graph,
    rpn_bbox_loss_graph,
    rpn_class_loss_graph,
    smooth_l1_loss,
)
from .layers.batch_norm import BatchNorm
from .layers.detection import DetectionLayer
from .layers.detection_target import DetectionTargetLayer
from .layers.proposal import ProposalLayer
from .layers.pyramid_roi_align import PyramidROIAlign
from .ops.boxes import apply_deltas as apply_box_deltas_graph
from .ops.boxes import clip_boxes as clip_boxes_graph
from .ops.boxes import iou_matrix as overlaps_graph

__all__ = [
    "BatchNorm",
    "DataGenerator",
    "DetectionLayer",
    "DetectionTargetLayer",
    "MaskRCNN",
    "ProposalLayer",
    "PyramidROIAlign",
    "apply_box_deltas_graph",
    "build_detection_targets",
    "build_fpn_mask_graph",
    "build_rpn_model",
    "build_rpn_targets",
    "clip_boxes_graph",
    "compose_image_meta",
    "compute_backbone_shapes",
    "conv_block",
    "data_generator",
    "denorm_boxes_graph",
    "fpn_classifier_graph",
    "generate_random_rois",
    "identity_block",
    "load_image_gt",
    "log",
    "mold_image",
    "mrcnn_bbox_loss_graph",
    "mrcnn_class_loss_graph",
    "mrcnn_mask_loss_graph",
    "norm_boxes_graph",
    "overlaps_graph",
    "parse_image_meta",
    "parse_image_meta_graph",
    "refine_detections_graph",
    "resnet_graph",
    "rpn_bbox_loss_graph",
    "rpn_class_loss_graph",
    "smooth_l1_loss",
    "unmold_image",
]
