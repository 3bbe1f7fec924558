"""Ready configurations: what published weights of other programs need to give their own numbers.

Subclass one to train from its weights on your own classes, as you would subclass `Config`:

    class Cells(TorchvisionMaskRCNN):
        NAME = "cells"
        NUM_CLASSES = 1 + 2
"""

import numpy as np

from .config import Config


class TorchvisionMaskRCNN(Config):
    """torchvision's `maskrcnn_resnet50_fpn` with the weights COCO_V1."""

    NAME = "torchvision_maskrcnn_r50_fpn"
    IMAGES_PER_GPU = 1
    # COCO's own category numbers, 1 to 90.
    NUM_CLASSES = 91

    IMAGE_RESIZE_MODE = "pad32"
    IMAGE_MIN_DIM = 800
    IMAGE_MAX_DIM = 1333
    MEAN_PIXEL = 255 * np.array([0.485, 0.456, 0.406])
    PIXEL_STD = 255 * np.array([0.229, 0.224, 0.225])

    BACKBONE = "torch_resnet50"
    NORM_EPSILON = 0.0
    HEAD_NORM = "none"
    CONV_BIAS = False

    RPN_CHANNELS = 256
    RPN_OBJECTNESS = "sigmoid"
    # Widths over heights; torchvision counts heights over widths.
    RPN_ANCHOR_RATIOS = [2, 1, 0.5]
    RPN_ANCHOR_WHOLE_PIXELS = True
    RPN_BBOX_STD_DEV = np.ones(4)
    BBOX_LOG_LIMIT = float(np.log(1000 / 16))
    PROPOSALS = "per_level"
    PRE_NMS_LIMIT = 1000
    PRE_NMS_LIMIT_TRAINING = 2000
    POST_NMS_ROIS_TRAINING = 2000
    POST_NMS_ROIS_INFERENCE = 1000

    ROI_ALIGN = "unaligned"
    TRAIN_ROIS_PER_IMAGE = 512
    ROI_POSITIVE_RATIO = 0.25
    ROI_TARGETS = "fill"
    MASK_TARGETS = "shares"
    BBOX_LOSS_BETA = 1 / 9
    BBOX_LOSS_PER = "sampled"

    DETECTIONS = "per_class"
    DETECTION_MIN_CONFIDENCE = 0.05
    DETECTION_NMS_THRESHOLD = 0.5
    MASK_PASTE = "padded"


class TorchvisionMaskRCNNv2(TorchvisionMaskRCNN):
    """torchvision's `maskrcnn_resnet50_fpn_v2` with the weights COCO_V1."""

    NAME = "torchvision_maskrcnn_r50_fpn_v2"
    NORM_EPSILON = 1e-5
    # torchvision counts the share of the new ones, 0.1.
    NORM_MOMENTUM = 0.9
    FPN_NORM = "batch"
    HEAD_NORM = "batch"
    RPN_CONVOLUTIONS = 2
    BOX_HEAD = "conv"


class TorchvisionFasterRCNN(TorchvisionMaskRCNN):
    """torchvision's `fasterrcnn_resnet50_fpn` with the weights COCO_V1, for a `FasterRCNN`."""

    NAME = "torchvision_fasterrcnn_r50_fpn"


class TorchvisionKeypointRCNN(TorchvisionMaskRCNN):
    """torchvision's `keypointrcnn_resnet50_fpn` with the weights COCO_V1, for a `KeypointRCNN`."""

    NAME = "torchvision_keypointrcnn_r50_fpn"
    NUM_CLASSES = 2
    KEYPOINT_OFFSET = 0
    KEYPOINT_SCORE = "logit"


class Detectron2MaskRCNN(TorchvisionMaskRCNN):
    """Detectron2's `mask_rcnn_R_50_FPN_3x` and `_1x`."""

    NAME = "detectron2_maskrcnn_r50_fpn"
    NUM_CLASSES = 81

    IMAGE_RESIZE_MODE = "pad32_smooth"
    # Red, green, blue; Detectron2 lists them the other way round.
    MEAN_PIXEL = np.array([123.675, 116.280, 103.530])
    PIXEL_STD = 1.0

    BACKBONE = "msra_resnet50"
    NORM_EPSILON = 1e-5
    RPN_ANCHOR_WHOLE_PIXELS = False
    POST_NMS_ROIS_TRAINING = 1000
    ROI_ALIGN = "aligned"
    ROI_SAMPLING_RATIO = 0
    MASK_TARGETS = "binary"
    BBOX_LOSS_BETA = 0.0
    MASK_PASTE = "centers"


class Detectron2MaskRCNN101(Detectron2MaskRCNN):
    """Detectron2's `mask_rcnn_R_101_FPN_3x`."""

    NAME = "detectron2_maskrcnn_r101_fpn"
    BACKBONE = "msra_resnet101"


class Detectron2MaskRCNNX101(Detectron2MaskRCNN):
    """Detectron2's `mask_rcnn_X_101_32x8d_FPN_3x`."""

    NAME = "detectron2_maskrcnn_x101_fpn"
    PIXEL_STD = np.array([58.395, 57.120, 57.375])
    BACKBONE = "torch_resnext101_32x8d"


class Detectron2KeypointRCNN(Detectron2MaskRCNN):
    """Detectron2's `keypoint_rcnn_R_50_FPN_3x` and `_1x`, for a `KeypointRCNN`."""

    NAME = "detectron2_keypointrcnn_r50_fpn"
    NUM_CLASSES = 2
    POST_NMS_ROIS_TRAINING = 1500
    BBOX_LOSS_BETA = 0.5
    RPN_BBOX_LOSS_BETA = 0.0


READY = {
    ready.NAME: ready
    for ready in (
        TorchvisionMaskRCNN,
        TorchvisionMaskRCNNv2,
        TorchvisionFasterRCNN,
        TorchvisionKeypointRCNN,
        Detectron2MaskRCNN,
        Detectron2MaskRCNN101,
        Detectron2MaskRCNNX101,
        Detectron2KeypointRCNN,
    )
}
