"""Datasets and detectors made of arrays."""

from types import SimpleNamespace

import numpy as np

from mrcnn.data.dataset import Dataset
from mrcnn.data.masks import extract_bboxes


def square(height, width, y, x, side):
    """Mask [height, width] with one square."""
    mask = np.zeros([height, width], bool)
    mask[y:y + side, x:x + side] = True
    return mask


class ArrayDataset(Dataset):
    """Images given as lists of (class id, mask); all are grey pictures of `shape`."""

    def __init__(self, images, class_names=("cat", "dog"), shape=(64, 80)):
        super().__init__()
        self.shape = shape
        for class_id, name in enumerate(class_names, start=1):
            self.add_class("array", class_id, name)
        for index, objects in enumerate(images):
            self.add_image("array", index, None, objects=objects)
        self.prepare()

    def load_image(self, image_id):
        image = np.full([*self.shape, 3], 100, np.uint8)
        image[0, 0] = image_id
        return image

    def load_mask(self, image_id):
        objects = self.image_info[image_id]["objects"]
        if not objects:
            return np.empty([0, 0, 0]), np.empty([0])
        class_ids, masks = zip(*objects, strict=True)
        return np.stack(masks, axis=-1), np.array(class_ids)


def as_result(masks, class_ids, scores=None):
    """Result of `detect()` from masks [H, W, N]."""
    return {
        "rois": extract_bboxes(masks), "class_ids": np.asarray(class_ids, np.int32), "masks": masks,
        "scores": np.ones(len(class_ids), np.float32) if scores is None else np.asarray(scores, np.float32)}


def empty_result(shape=(64, 80)):
    return as_result(np.zeros([*shape, 0], bool), [])


def truth_as_result(dataset, image_id):
    """The ground truth without its crowds, as if it had been detected."""
    masks, class_ids = dataset.load_mask(image_id)
    keep = np.flatnonzero(class_ids > 0)
    return as_result(masks[..., keep] != 0, class_ids[keep]) if keep.size else empty_result(dataset.shape)


class FakeModel:
    """`detect` answers with what `answer(image_id)` gives; the id is read from the first pixel."""

    mode = "inference"

    def __init__(self, answer, batch_size=2, max_instances=100):
        self.answer = answer
        self.config = SimpleNamespace(BATCH_SIZE=batch_size, DETECTION_MAX_INSTANCES=max_instances)
        self.batches = []

    def detect(self, images, verbose=0):
        self.batches.append([int(image[0, 0, 0]) for image in images])
        return [self.answer(image_id) for image_id in self.batches[-1]]
