"""One image with its ground truth, ready for the network."""

import numpy as np

from .augment import augment as run_augmentation
from .augment import flip_at_random
from .checks import DataError, checked_image, checked_objects, grey_level_problem
from .image_meta import compose_image_meta
from .keypoints import mirrored_keypoints, mirrored_order, resized_keypoints
from .masks import resized_bboxes, sample_mini_masks
from .report import image_info_of, image_label, logger, warn_once
from .resize import apply_plan, nearest_rows, plan_resize, take_mask


def load_image_gt(dataset, config, image_id, augment=False, augmentation=None, use_mini_mask=False, rng=None):
    """Load an image and its objects, resized as the config says.

    Args:
        dataset: a prepared `Dataset`.
        config: `Config`; IMAGE_*, NUM_CLASSES and MINI_MASK_SHAPE are read.
        image_id: number of the image in the dataset.
        augment: deprecated; True flips half of the images left to right.
        augmentation: imgaug augmenter or callable, see `augment.augment`.
        use_mini_mask: return small masks of what is inside each box.
        rng: numpy RandomState for all random choices; None draws from the global states.

    Returns:
        image: [h, w, C], dtype as loaded.
        image_meta: float64 [12 + NUM_CLASSES], see `compose_image_meta`.
        class_ids: int32 [N], negative for crowds.
        bbox: int32 [N, (y1, x1, y2, x2)] in pixels of the returned image.
        mask: bool [h, w, N], or [MINI_MASK_SHAPE, N].

    Raises:
        ValueError: the dataset returned something that cannot be; the text names image and cure.
    """
    if augmentation is None and not isinstance(augment, (bool, int)) and augment is not None:
        # A fork's fourth argument is the augmentation.
        augment, augmentation = False, augment
    return load_sample(dataset, config, image_id, augment, augmentation, use_mini_mask, rng)[:5]


def load_sample(
    dataset, config, image_id, augment=False, augmentation=None, use_mini_mask=False, rng=None, with_keypoints=False
):
    """`load_image_gt`, and one value more: keypoints float32 [N, K, (y, x, visibility)] in pixels of the returned
    image, KEYPOINT_OFFSET added, zeros where not annotated or not in it; None unless `with_keypoints`.
    """
    active = active_class_ids(dataset, config, image_id)
    image = checked_image(dataset, config, image_id)
    if problem := grey_level_problem(image, config):
        warn_once(dataset, "grey levels", f"{image_label(dataset, image_id)} {problem}")
    mask, class_ids, keypoints = checked_objects(dataset, config, image_id, image.shape, with_keypoints)

    plan = _plan(image.shape, config, rng)
    original_shape = image.shape
    image = apply_plan(image, plan)
    mirrored = None
    if with_keypoints:
        keypoints = resized_keypoints(keypoints, original_shape, plan, config.KEYPOINT_OFFSET)
        mirrored = mirrored_order(dataset.keypoint_names)
    rows = nearest_rows(mask.shape[0], plan.size[0], plan.padding[0], plan.crop and plan.crop[0::2])
    columns = nearest_rows(mask.shape[1], plan.size[1], plan.padding[1], plan.crop and plan.crop[1::2])
    if augment:
        logger.warning("'augment' is deprecated. Use 'augmentation' instead.")
        if flip_at_random(rng):
            image, columns = np.ascontiguousarray(image[:, ::-1]), columns[::-1]
            if with_keypoints:
                keypoints = mirrored_keypoints(keypoints, image.shape[1], mirrored)
    # Mini masks need no large masks: they are sampled from the loaded ones through rows and columns.
    if augmentation is not None or not use_mini_mask:
        mask = take_mask(mask, rows, columns)
        if augmentation is not None:
            image, mask, keypoints = run_augmentation(image, mask, augmentation, rng, keypoints, mirrored)
        rows, columns = np.arange(mask.shape[0]), np.arange(mask.shape[1])
        if use_mini_mask:
            mask, rows, columns = _unmirrored(mask, rows, columns)

    bbox = resized_bboxes(mask, rows, columns)
    seen = bbox[:, 2] > bbox[:, 0]
    if not seen.all():
        mask, class_ids, bbox = mask[:, :, seen], class_ids[seen], bbox[seen]
        keypoints = keypoints[seen] if with_keypoints else None
    if use_mini_mask:
        mask = sample_mini_masks(mask, bbox, config.MINI_MASK_SHAPE, rows, columns)
    meta = compose_image_meta(
        image_id, original_shape, image.shape, plan.window, plan.scale, active
    )
    return image, meta, class_ids, bbox, mask, keypoints


def _unmirrored(mask, rows, columns):
    """A mask that is a mirrored view of another, as flips make them, is read through its rows and columns instead."""
    if mask.strides[0] < 0:
        mask, rows = mask[::-1], rows[::-1]
    if mask.strides[1] < 0:
        mask, columns = mask[:, ::-1], columns[::-1]
    return mask, rows, columns


def _plan(shape, config, rng):
    return plan_resize(
        *shape[:2],
        min_dim=config.IMAGE_MIN_DIM,
        max_dim=config.IMAGE_MAX_DIM,
        min_scale=config.IMAGE_MIN_SCALE,
        mode=config.IMAGE_RESIZE_MODE,
        rng=rng,
    )


def active_class_ids(dataset, config, image_id):
    """int32 [NUM_CLASSES], 1 for the classes that the image's source knows.

    The loss is not charged for the others: a source cannot say that they are absent.

    Raises:
        DataError: the dataset has more classes than the config, or the source has none.
    """
    if dataset.num_classes > config.NUM_CLASSES:
        raise DataError(
            f"The dataset has {dataset.num_classes} classes with the background, but NUM_CLASSES = "
            f"{config.NUM_CLASSES}. Set NUM_CLASSES = {dataset.num_classes}.",
            "more classes than NUM_CLASSES",
        )
    source = image_info_of(dataset, image_id)["source"]
    if source not in dataset.source_class_ids:
        raise DataError(
            f"{image_label(dataset, image_id)}: no class was added for source {source!r}; the sources with "
            f"classes are {list(dataset.source_class_ids)[1:]}. Use the same name in add_class() and "
            "add_image().",
            "source without classes",
        )
    active = np.zeros(config.NUM_CLASSES, dtype=np.int32)
    active[dataset.source_class_ids[source]] = 1
    return active


def chosen_instances(dataset, config, image_id, count, rng=None):
    """What picks at most MAX_GT_INSTANCES out of `count` objects of an image: an index of arrays."""
    limit = config.MAX_GT_INSTANCES
    if count <= limit:
        return slice(None)
    warn_once(
        dataset,
        ("many objects", image_id),
        f"{image_label(dataset, image_id)} has {count} objects; each time a random {limit} of them are "
        "trained on. Raise MAX_GT_INSTANCES to use all.",
    )
    return (np.random if rng is None else rng).choice(np.arange(count), limit, replace=False)
