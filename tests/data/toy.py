"""A dataset of drawn rectangles, with ways to break it."""

import numpy as np

from mrcnn.config import Config
from mrcnn.data.dataset import Dataset


class ToyConfig(Config):
    NAME = "toy"
    NUM_CLASSES = 3
    IMAGES_PER_GPU = 2
    IMAGE_MIN_DIM = 64
    IMAGE_MAX_DIM = 64
    MAX_GT_INSTANCES = 4
    MINI_MASK_SHAPE = (14, 14)
    RPN_ANCHOR_SCALES = (4, 8, 16, 32, 64)
    RPN_TRAIN_ANCHORS_PER_IMAGE = 16
    TRAIN_ROIS_PER_IMAGE = 12


class ToyDataset(Dataset):
    """Image `i` has `counts[i]` rectangles; its pixels tell its number."""

    def __init__(self, counts=(1, 2, 3, 1, 2), size=(48, 60), prepare=True):
        super().__init__()
        self.size = size
        self.add_class("toy", 1, "box, a rectangle")
        self.add_class("toy", 2, "bar")
        for number, count in enumerate(counts):
            self.add_image("toy", f"n{number}", path=None, count=count)
        if prepare:
            self.prepare()

    def load_image(self, image_id):
        image = np.full((*self.size, 3), 10 * image_id, np.uint8)
        image[ToyDataset.load_mask(self, image_id)[0].any(axis=2)] = 200
        return image

    def load_mask(self, image_id):
        count = self.image_info[image_id]["count"]
        masks = np.zeros((*self.size, count), bool)
        for index in range(count):
            masks[5 + index : 20 + 2 * index, 8 * index + 1 : 8 * index + 9, index] = True
        return masks, np.array([1 + index % 2 for index in range(count)], np.int32)


def returning(image=None, mask=None):
    """A prepared dataset of one image whose load_image or load_mask returns what is given."""

    class Fixed(ToyDataset):
        def load_image(self, image_id):
            return super().load_image(image_id) if image is None else image

        def load_mask(self, image_id):
            return super().load_mask(image_id) if mask is None else mask

    return Fixed(counts=(1,))
