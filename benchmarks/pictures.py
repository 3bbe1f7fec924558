"""Pictures and objects that anybody can make again."""

import numpy as np

from mrcnn.data.dataset import Dataset
from mrcnn.data.generator import DataGenerator


def photograph(height, width, seed=0):
    """A picture with detail of all sizes, uint8 `[height, width, 3]`."""
    rng = np.random.default_rng(seed)
    image = np.zeros((height, width, 3))
    for cells in (2, 5, 13, 34, 89):
        coarse = rng.normal(size=(cells, cells, 3)) / np.sqrt(cells)
        rows, columns = (np.arange(side) * cells // side for side in (height, width))
        image += coarse[rows][:, columns]
    return np.clip(128 + 90 * image, 0, 255).astype(np.uint8)


def ellipses(height, width, count, seed=0):
    """Masks of `count` ellipses with radii from 2 to 30 % of the shorter side, bool `[height, width, count]`."""
    rng = np.random.default_rng(seed)
    radii = min(height, width) * np.exp(rng.uniform(np.log(0.02), np.log(0.3), (count, 2)))
    centres = rng.uniform(0.1, 0.9, (count, 2)) * (height, width)
    y, x = np.mgrid[:height, :width]
    (cy, cx), (ry, rx) = centres.T, radii.T
    return ((y[..., None] - cy) / ry) ** 2 + ((x[..., None] - cx) / rx) ** 2 <= 1


class Pictures(Dataset):
    """Pictures of one size, each with the same number of objects.

    Args:
        count: number of pictures.
        height, width: their size.
        objects: number of ellipses in each.
        classes: number of classes without the background; the objects take them in turn.
    """

    def __init__(self, count, height, width, objects, classes):
        super().__init__()
        self.size, self.objects = (height, width), objects
        for number in range(1, classes + 1):
            self.add_class("pictures", number, f"class {number}")
        for index in range(count):
            self.add_image("pictures", index, path=None)
        self.prepare()

    def load_image(self, image_id):
        return photograph(*self.size, seed=int(image_id))

    def load_mask(self, image_id):
        class_ids = 1 + np.arange(self.objects, dtype=np.int32) % (self.num_classes - 1)
        return ellipses(*self.size, self.objects, seed=int(image_id)), class_ids


def training_batch(config, height, width, objects):
    """The inputs of a training graph: `BATCH_SIZE` pictures of a size that the configuration leaves as it is."""
    dataset = Pictures(config.BATCH_SIZE, height, width, objects, config.NUM_CLASSES - 1)
    return DataGenerator(dataset, config, shuffle=False)[0][0]
