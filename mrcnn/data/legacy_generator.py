"""The generators of Matterport and its TensorFlow 2 forks, which also make the RPN's targets: for looking at data."""

import functools

import numpy as np

from .anchor_targets import build_rpn_targets
from .anchors import config_anchors
from .augment import check_augmentation
from .batch import (
    CROPS_TO_TRY,
    MAX_FAILURES,
    check_dataset,
    limit_item,
    load_item,
    stack_ground_truth,
    stack_images,
    stack_rois,
)
from .generator import DataGenerator
from .report import image_label, logger


def data_generator(
    dataset,
    config,
    shuffle=True,
    augment=False,
    augmentation=None,
    random_rois=0,
    batch_size=1,
    detection_targets=False,
    no_augmentation_sources=None,
):
    """Yield batches without end, for inspecting training data; `DataGenerator` serves training.

    Args: as of `DataGenerator`; `augment` is the deprecated random flip.

    Yields:
        inputs: images float32 [B, H, W, C], image_metas [B, 12 + C], rpn_match int32 [B, A, 1],
            rpn_bbox [B, RPN_TRAIN_ANCHORS_PER_IMAGE, 4], gt_class_ids int32 [B, G], gt_boxes
            int32 [B, G, 4] pixels, gt_masks bool [B, h, w, G]; with `random_rois` also rpn_rois
            int32 [B, random_rois, 4]; with `detection_targets` too, rois [B, R, 4].
        outputs: empty, or with `detection_targets` class_ids [B, R, 1], deltas [B, R, C, 4] and
            masks [B, R, mh, mw, C].

    Raises:
        ValueError: the dataset is empty or not prepared. RuntimeError: several images in a row failed.
    """
    check_dataset(dataset, config)
    if augmentation is not None:
        check_augmentation(augmentation)
    options = {
        "augment": augment,
        "augmentation": augmentation,
        "no_augmentation_sources": frozenset(no_augmentation_sources or ()),
        "random_rois": random_rois,
        "detection_targets": detection_targets,
        "limit": False,
    }
    anchors = {}
    batch = []
    for item in _endless_items(dataset, config, shuffle, options):
        rpn = _rpn_targets(item, config, anchors)
        # The anchors have learned of all objects; only the batch's slots are limited.
        batch.append((limit_item(dataset, config, item), *rpn))
        if len(batch) == batch_size:
            yield _stack(batch, config)
            batch = []


class RPNDataGenerator(DataGenerator):
    """The batches of `DataGenerator` in the order and the types of `data_generator`: `[i]` is `(inputs, outputs)`.

    It is its own iterator, without end: `next` takes the batches in turn and goes on with the next epoch.
    """

    _next = 0

    @functools.cached_property
    def _anchors(self):
        return {}

    def __iter__(self):
        return self

    def __next__(self):
        batch = self[self._next]
        self._next += 1
        if self._next == len(self):
            self._next = 0
            self.on_epoch_end()
        return batch

    def _stack(self, items):
        rpn = [_rpn_targets(item, self.config, self._anchors) for item in items]
        return _stack([(item, *targets) for item, targets in zip(items, rpn, strict=True)], self.config)


def _rpn_targets(item, config, anchors):
    """Match and deltas of the anchors; `anchors` keeps those of each image shape for the next call."""
    shape = item.image.shape
    if shape not in anchors:
        anchors[shape] = config_anchors(config, shape)
    return build_rpn_targets(shape, anchors[shape], item.class_ids, item.boxes, config)


def _endless_items(dataset, config, shuffle, options):
    image_ids = np.copy(dataset.image_ids)
    failures = []
    passes_without_objects = 0
    while True:
        if shuffle:
            np.random.shuffle(image_ids)
        passes_without_objects += 1
        for image_id in image_ids:
            try:
                item = load_item(dataset, config, image_id, **options)
            except Exception as error:
                logger.exception(f"Error processing {image_label(dataset, image_id)}")
                failures.append(f"{image_label(dataset, image_id)}: {error}")
                if len(failures) >= MAX_FAILURES:
                    raise RuntimeError(
                        f"{len(failures)} images in a row could not be loaded.\n" + "\n".join(failures)
                    ) from error
                continue
            failures = []
            if item is not None:
                passes_without_objects = 0
                yield item
        crops_to_try = CROPS_TO_TRY if config.IMAGE_RESIZE_MODE == "crop" else 0
        if not failures and passes_without_objects * len(image_ids) > crops_to_try:
            raise ValueError(
                f"None of the {len(image_ids)} images has an object. Correct load_mask(), or set "
                "KEEP_EMPTY_IMAGES = True."
            )


def _stack(batch, config):
    items, matches, deltas = zip(*batch, strict=True)
    metas = np.stack([item.meta for item in items])
    ground_truth = stack_ground_truth(items, config, np.int32)
    more_inputs, outputs = stack_rois(items)
    rpn = [np.stack(matches)[..., None], np.stack(deltas)]
    return [stack_images(items, config), metas, *rpn, *ground_truth, *more_inputs], outputs
