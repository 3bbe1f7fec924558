"""Matterport's import path of the model, its layers and its data functions."""

from .architectures.mask_rcnn import MaskRCNN
from .backbones.resnet import conv_block, identity_block, resnet_graph
from .data.anchor_targets import build_rpn_targets
from .data.anchors import compute_backbone_shapes
from .data.generator import DataGenerator
from .data.image_meta import compose_image_meta, mold_image, parse_image_meta, unmold_image
from .data.legacy_generator import data_generator
from .data.load import load_image_gt
from .data.random_rois import build_detection_targets, generate_random_rois
from .layers.batch_norm import BatchNorm
from .layers.detection import DetectionLayer
from .layers.detection_target import DetectionTargetLayer
from .layers.proposal import ProposalLayer
from .layers.pyramid_roi_align import PyramidROIAlign

__all__ = [
    "BatchNorm",
    "DataGenerator",
    "DetectionLayer",
    "DetectionTargetLayer",
    "MaskRCNN",
    "ProposalLayer",
    "PyramidROIAlign",
    "build_detection_targets",
    "build_rpn_targets",
    "compose_image_meta",
    "compute_backbone_shapes",
    "conv_block",
    "data_generator",
    "generate_random_rois",
    "identity_block",
    "load_image_gt",
    "mold_image",
    "parse_image_meta",
    "resnet_graph",
    "unmold_image",
]
