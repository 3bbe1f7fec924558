"""Batches for training and validation, loaded by threads."""

import math
import threading

import keras
import numpy as np

from .augment import check_augmentation
from .batch import (
    CROPS_TO_TRY,
    MAX_FAILURES,
    check_dataset,
    load_item,
    stack_ground_truth,
    stack_images,
    stack_keypoints,
    stack_rois,
)
from .report import image_label, logger


class DataGenerator(keras.utils.PyDataset):
    """Batches of a dataset, by a true index: batch `i` of an epoch is the same whoever asks, and when.

    `generator[i]` is `(inputs,)`, with the inputs
        images         float32 [B, H, W, C], mean pixel subtracted
        image_metas    float32 [B, 12 + NUM_CLASSES]
        gt_class_ids   int32 [B, G], negative for crowds, 0 after the last object
        gt_boxes       float32 [B, G, (y1, x1, y2, x2)] in pixels
        gt_masks       bool [B, h, w, G], mini masks if USE_MINI_MASK
        gt_keypoints   float32 [B, G, K, (y, x, visibility)] in pixels, only `with_keypoints`
        random rois    int32 [B, random_rois, 4] in pixels, only with `random_rois`
    where G is MAX_GT_INSTANCES. With `detection_targets` too, sampled rois [B, R, 4] are added and
    the batch is `(inputs, [class_ids [B, R, 1], deltas [B, R, C, 4], masks [B, R, mh, mw, C]])`.

    With `shuffle` each epoch has its own order. Without, the images come in the dataset's order and
    every epoch is the same: for validation. Batches are always full: the last one goes on from
    the start. All random choices follow from the seed, the epoch and the place in it, so threads
    do not change them. Images without objects are passed over unless KEEP_EMPTY_IMAGES; an image
    that fails is logged once and the next one takes its place; several in a row that never failed before stop.

    Pass `shuffle=False` to `fit`: Keras would otherwise mix the batches of an epoch once more, and
    its step numbers would no longer be the index that `image_ids_of` takes. Add `EpochCounter` to
    the callbacks where a run must go on exactly after a pause.

    Args:
        dataset: a prepared `Dataset`.
        config: `Config`.
        shuffle: new order each epoch.
        augmentation: imgaug augmenter or callable, see `augment.augment`.
        random_rois: number of random rois to add to each image.
        detection_targets: with random rois, also make the second stage's targets.
        no_augmentation_sources: names of sources that are not augmented.
        seed: whole number; None draws one from numpy's global state.
        steps: batches in an epoch; None for one pass over the images. With `shuffle` the next epoch
            goes on where the last one stopped, with a new order for each pass.
        tried_out: whether the one who reads takes what the first two batches have in common, before the first
            epoch, for the shape of all. Where images may differ in size, the second gets a border then, once.
        with_keypoints: also give the objects' keypoints.

    Attributes:
        epoch: number of the epoch now running, from 0. Assign it to resume.
    """

    def __init__(
        self,
        dataset,
        config,
        shuffle=True,
        augmentation=None,
        random_rois=0,
        detection_targets=False,
        no_augmentation_sources=None,
        seed=None,
        steps=None,
        tried_out=False,
        with_keypoints=False,
    ):
        check_dataset(dataset, config, with_keypoints)
        if augmentation is not None:
            check_augmentation(augmentation, with_keypoints)
        if steps is not None and steps <= 0:
            raise ValueError(
                f"steps = {steps}; an epoch needs a batch or more (STEPS_PER_EPOCH, VALIDATION_STEPS)."
            )
        super().__init__(workers=config.WORKERS, use_multiprocessing=False, max_queue_size=10)
        self.dataset = dataset
        self.config = config
        self.shuffle = shuffle
        self.augmentation = augmentation
        self.random_rois = random_rois
        self.detection_targets = detection_targets
        self.with_keypoints = with_keypoints
        self.no_augmentation_sources = frozenset(no_augmentation_sources or ())
        self.image_ids = np.copy(dataset.image_ids)
        self.batch_size = config.BATCH_SIZE
        self.seed = int(np.random.randint(2**31 - 1)) if seed is None else int(seed)
        self.steps = None if steps is None else math.ceil(steps)
        self.epoch = 0
        self._lock = threading.Lock()
        self._orders = {}
        self._failed = set()
        self._substitutes = {}
        self._running = False
        self._read = set()
        self._first_shape = None
        self._to_widen = tried_out and config.IMAGE_RESIZE_MODE not in ("square", "crop")

    def __len__(self):
        """Batches in an epoch."""
        return self.steps or -(-len(self.image_ids) // self.batch_size)

    def __getitem__(self, index):
        """Batch `index` of the epoch now running; see the class for its parts."""
        if not 0 <= index < len(self):
            raise IndexError(f"There is no batch {index}; an epoch has {len(self)}.")
        epoch = self.epoch
        items = [self._item(epoch, slot) for slot in self._slots(index)]
        if self._to_widen:
            items = self._widened_once(items, index)
        batch = self._stack(items)
        with self._lock:
            self._read.add(index)
        return batch

    def _widened_once(self, items, index):
        """The items, in the second batch with a border that no side has in common with the first batch."""
        height, width = items[0].image.shape[:2]
        if index == 0:
            self._first_shape = height, width
        if index != 1 or self._first_shape is None:
            return items
        self._to_widen = False
        more = [64 + 64 * (side + 64 == first) for side, first in zip((height, width), self._first_shape, strict=True)]
        border = [(0, more[0]), (0, more[1]), (0, 0)]
        names = ("image",) if self.config.USE_MINI_MASK else ("image", "masks")
        return [item._replace(**{name: np.pad(getattr(item, name), border) for name in names}) for item in items]

    def image_ids_of(self, batch_index):
        """Ids [B] of the images of a batch in the epoch now running.

        Where an image was replaced while loading, the one that took its place.
        """
        epoch = self.epoch
        ids = []
        for slot in self._slots(batch_index):
            planned = self.image_ids[self._candidates(epoch, slot)[0]]
            ids.append(self._substitutes.get((epoch, slot), planned))
        return np.array(ids)

    def on_epoch_begin(self):
        """Called by Keras; its threads may have begun to load this epoch already."""
        self._running = True

    def on_epoch_end(self):
        """Go on to the next epoch.

        Keras also calls this once before the first epoch; only an epoch that was begun, or all
        of whose batches were read, is over.
        """
        if not self._running and len(self._read) < len(self):
            return
        with self._lock:
            self._running = False
            self._read.clear()
            self._substitutes.clear()
            self.epoch += 1

    def _stack(self, items):
        class_ids, boxes, masks = stack_ground_truth(items, self.config, np.float32)
        metas = np.stack([item.meta for item in items]).astype(np.float32)
        more_inputs, outputs = stack_rois(items)
        keypoints = [stack_keypoints(items, self.config)] if self.with_keypoints else []
        # Keras takes a list here for one tensor, a tuple for several.
        inputs = (stack_images(items, self.config), metas, class_ids, boxes, masks, *keypoints, *more_inputs)
        return (inputs, outputs) if outputs else (inputs,)

    def _slots(self, index):
        """Places of a batch's images in their epoch."""
        return range(index * self.batch_size, (index + 1) * self.batch_size)

    def _candidates(self, epoch, slot):
        """Positions of the image for this place, and of those that replace it if it fails, in turn."""
        count = len(self.image_ids)
        if not self.shuffle:
            return (np.arange(count) + slot) % count
        if self.steps is None:
            return np.roll(self._order(epoch), -(slot % count))
        place = epoch * self.steps * self.batch_size + slot
        return np.roll(self._order(place // count), -(place % count))

    def _order(self, number):
        """The permutation of one pass; the last few are kept."""
        with self._lock:
            if number not in self._orders:
                while len(self._orders) > 3:
                    del self._orders[next(iter(self._orders))]
                self._orders[number] = np.random.default_rng([self.seed, number]).permutation(
                    len(self.image_ids)
                )
            return self._orders[number]

    def _rng(self, epoch, slot, attempt):
        # A validation set gives the same numbers in every epoch.
        epoch = epoch if self.shuffle or self.augmentation is not None else 0
        sequence = np.random.SeedSequence([self.seed, epoch, slot, attempt])
        return np.random.RandomState(np.random.MT19937(sequence))

    def _item(self, epoch, slot):
        """The image of a place in the epoch, or the next one that loads and has objects."""
        # By image, which may come up more than once.
        failures, new_in_a_row, loaded = {}, [], False
        candidates = self._candidates(epoch, slot)
        if self.config.IMAGE_RESIZE_MODE == "crop":
            # Where no piece held an object, another piece of the same image may.
            candidates = np.resize(candidates, max(len(candidates), CROPS_TO_TRY))
        for attempt, position in enumerate(candidates):
            image_id = self.image_ids[position]
            if image_id in failures:
                continue
            try:
                item = load_item(
                    self.dataset,
                    self.config,
                    image_id,
                    augmentation=self.augmentation,
                    no_augmentation_sources=self.no_augmentation_sources,
                    random_rois=self.random_rois,
                    detection_targets=self.detection_targets,
                    rng=self._rng(epoch, slot, attempt),
                    with_keypoints=self.with_keypoints,
                )
            except Exception as error:
                failures[image_id], is_new = self._note_failure(image_id, error)
                # Those known to be bad are met again in every epoch, and say nothing of the rest.
                if is_new:
                    new_in_a_row.append(failures[image_id])
                if len(new_in_a_row) >= MAX_FAILURES:
                    raise RuntimeError(_too_many(new_in_a_row)) from error
                continue
            new_in_a_row, loaded = [], True
            if item is not None:
                if attempt:
                    with self._lock:
                        self._substitutes[epoch, slot] = image_id
                return item
        if not loaded:
            raise RuntimeError(_too_many(list(failures.values())))
        but = f" ({len(failures)} cannot be loaded)" if failures else ""
        raise ValueError(
            f"None of the {len(self.image_ids)} images has an object{but}. Correct load_mask(), or set "
            "KEEP_EMPTY_IMAGES = True to train on images without objects."
        )

    def _note_failure(self, image_id, error):
        """A line that says what failed, logged the first time, and whether this is the first time."""
        text = str(error)
        label = image_label(self.dataset, image_id)
        # Errors of the data room already begin with the image.
        line = (
            f"{type(error).__name__}: {text}" if label in text else f"{label}: {type(error).__name__}: {text}"
        )
        with self._lock:
            first = image_id not in self._failed
            self._failed.add(image_id)
        if first:
            logger.warning(f"Skipped, the next image takes its place. {line}", exc_info=_is_bug(error))
        return line, first


class EpochCounter(keras.callbacks.Callback):
    """Tells a `DataGenerator` which epoch `fit` is in, also with `initial_epoch`.

    Keras calls this before it begins to load the epoch's batches. The generator's own count may be
    ahead of it, as some backends try out a batch or two before the first epoch.
    """

    def __init__(self, generator):
        super().__init__()
        self.generator = generator

    def on_epoch_begin(self, epoch, logs=None):
        self.generator.epoch = epoch


def _is_bug(error):
    """Whether a trace helps: the data room's own errors say all, a user's KeyError does not."""
    return not isinstance(error, (ValueError, OSError))


def _too_many(failures):
    lines = "\n".join(failures[:MAX_FAILURES])
    return f"{len(failures)} images in a row could not be loaded; training stops.\n{lines}"
