import numpy as np
from mrcnn.config import Config


class CellConfig(Config):
    """values that depend on the command line are set by model.py"""
    NAME = "Cells_16bit"
    NUM_CLASSES = 2
    BACKBONE = "resnet50"
    IMAGE_RESIZE_MODE = "square"
    IMAGE_MIN_DIM = 0
    IMAGE_MAX_DIM = 128
    RPN_ANCHOR_SCALES = (4, 8, 16, 32, 64)
    MEAN_PIXEL = np.array([22000., 22000., 22000.])
    USE_MINI_MASK = False
    MINI_MASK_SHAPE = None
    MAX_GT_INSTANCES = 500
    DETECTION_MAX_INSTANCES = 500
    DETECTION_MIN_CONFIDENCE = 0.1
    DETECTION_NMS_THRESHOLD = 0.2
    LOSS_WEIGHTS = {"mrcnn_mask_loss": 2.}
    LEARNING_RATE = 0.0005
    TRAIN_BN = None
    IMAGES_PER_GPU = 1

    def __init__(self, epoch_steps=None):
        if epoch_steps:
            self.STEPS_PER_EPOCH = epoch_steps
        super().__init__()
        self.VALIDATION_STEPS = 1
