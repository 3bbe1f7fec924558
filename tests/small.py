"""A model and data small enough to train within a test."""

import numpy as np

from mrcnn.config import Config
from mrcnn.data.dataset import Dataset

SIDE = 64


class SmallConfig(Config):
    """A pyramid of 16 channels over the light backbone, for 64 pixel images.

    Gradients are not clipped: a third of the operations that TensorFlow traces would be there for that and for Adam.
    """

    NAME = "small"
    BACKBONE = "light"
    NORM = "group"
    GRADIENT_CLIP_NORM = None
    IMAGES_PER_GPU = 2
    NUM_CLASSES = 3
    IMAGE_MIN_DIM = SIDE
    IMAGE_MAX_DIM = SIDE
    RPN_ANCHOR_SCALES = (8, 16, 32, 64, 128)
    RPN_TRAIN_ANCHORS_PER_IMAGE = 32
    TRAIN_ROIS_PER_IMAGE = 12
    PRE_NMS_LIMIT = 200
    POST_NMS_ROIS_TRAINING = 50
    POST_NMS_ROIS_INFERENCE = 30
    DETECTION_MAX_INSTANCES = 10
    DETECTION_MIN_CONFIDENCE = 0.0
    MAX_GT_INSTANCES = 4
    TOP_DOWN_PYRAMID_SIZE = 16
    FPN_CLASSIF_FC_LAYERS_SIZE = 32
    MINI_MASK_SHAPE = (28, 28)
    STEPS_PER_EPOCH = 3
    VALIDATION_STEPS = 1


class SmallDataset(Dataset):
    """Bright rectangles of class 1 and dark ones of class 2 on grey, one or two an image."""

    def __init__(self, count=8):
        super().__init__()
        self.add_class("small", 1, "bright")
        self.add_class("small", 2, "dark")
        for index in range(count):
            self.add_image("small", image_id=f"picture {index}", path=None)
        self.prepare()

    def boxes(self, image_id):
        rng = np.random.default_rng(int(image_id))
        corners = rng.integers(2, SIDE // 2, (1 + image_id % 2, 2))
        return np.concatenate([corners, corners + rng.integers(12, SIDE // 2 - 2, corners.shape)], axis=1)

    def load_image(self, image_id):
        image = np.full((SIDE, SIDE, 3), 128, np.uint8)
        for index, (y1, x1, y2, x2) in enumerate(self.boxes(image_id)):
            image[y1:y2, x1:x2] = (230, 30)[index]
        return image

    def load_mask(self, image_id):
        boxes = self.boxes(image_id)
        masks = np.zeros((SIDE, SIDE, len(boxes)), bool)
        for index, (y1, x1, y2, x2) in enumerate(boxes):
            masks[..., :index][y1:y2, x1:x2] = False
            masks[y1:y2, x1:x2, index] = True
        return masks, np.arange(1, len(boxes) + 1, dtype=np.int32)


class KeypointDataset(SmallDataset):
    """The same with three keypoints each: two corners, and the middle."""

    keypoint_names = ("middle", "left_corner", "right_corner")
    skeleton = ((0, 1), (0, 2))
    keypoint_sigmas = (0.05, 0.05, 0.05)

    def load_keypoints(self, image_id):
        y1, x1, y2, x2 = self.boxes(image_id).T - 0.5
        points = np.array([[(y1 + y2) / 2, (x1 + x2) / 2], [y1 + 2, x1 + 2], [y1 + 2, x2 - 2]])
        return np.concatenate([np.moveaxis(points, -1, 0), np.full((len(y1), 3, 1), 2.0)], axis=-1)
