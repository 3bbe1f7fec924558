import os
import numpy as np
from skimage import io
from mrcnn import utils as mrcnn_utils
from utils import numbers_in


class CellDataset(mrcnn_utils.Dataset):
    def __init__(self, folder):
        super().__init__()
        self.add_class("cells", 1, "cell")
        for n in numbers_in(folder):
            self.add_image("cells", n, os.path.join(folder, "img", "%d.tif" % n),
                           label=os.path.join(folder, "label", "%d.png" % n))
        self.prepare()

    def load_image(self, image_id, channels=3):
        gray = io.imread(self.image_info[image_id]["path"])
        assert gray.dtype == np.uint16
        return np.stack([gray] * channels, axis=-1)

    def load_mask(self, image_id):
        label = io.imread(self.image_info[image_id]["label"])
        values = [v for v in np.unique(label) if v]
        if not values:
            return np.zeros(label.shape + (0,), dtype=bool), np.zeros(0, dtype=int)
        masks = np.stack([label == v for v in values], axis=2)
        return masks, np.ones(len(values), dtype=int)
