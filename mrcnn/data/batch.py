"""Training items and their stacking into batches, for both generators."""

from typing import NamedTuple

import numpy as np

from .checks import LEAST_MULTIPLE, check_sides
from .image_meta import mold_padded
from .load import chosen_instances, load_sample
from .random_rois import build_detection_targets, generate_random_rois
from .report import image_label
from .resize import EXACT_MODES, PAD_MULTIPLE

# Images that may fail one after the other before training stops.
MAX_FAILURES = 5
# Pieces of images that are cut at random, in mode "crop", until one holds an object.
CROPS_TO_TRY = 200


class Item(NamedTuple):
    """One image for training, shapes as `load_image_gt` returns them, before padding to G objects."""

    image: np.ndarray
    meta: np.ndarray
    class_ids: np.ndarray
    boxes: np.ndarray
    masks: np.ndarray
    # float32 [N, K, (y, x, visibility)] in pixels of the image
    keypoints: np.ndarray | None
    random_rois: np.ndarray | None
    # rois, class_ids, deltas and masks of `build_detection_targets`
    targets: tuple | None


def load_item(
    dataset,
    config,
    image_id,
    augment=False,
    augmentation=None,
    no_augmentation_sources=(),
    random_rois=0,
    detection_targets=False,
    limit=True,
    rng=None,
    with_keypoints=False,
):
    """Load one image for training; None if it has no objects and KEEP_EMPTY_IMAGES is not set.

    `augmentation` is left away for images of `no_augmentation_sources`. `limit` keeps at most
    MAX_GT_INSTANCES objects. `rng` decides all random choices; None draws from the global states.
    """
    if dataset.image_info[image_id]["source"] in no_augmentation_sources:
        augmentation = None
    image, meta, class_ids, boxes, masks, keypoints = load_sample(
        dataset, config, image_id, augment, augmentation, config.USE_MINI_MASK, rng, with_keypoints
    )
    multiple = LEAST_MULTIPLE if config.IMAGE_RESIZE_MODE in EXACT_MODES else PAD_MULTIPLE
    check_sides(image.shape, multiple, image_label(dataset, image_id))
    if not (class_ids > 0).any() and not config.KEEP_EMPTY_IMAGES:
        return None
    rois = targets = None
    if random_rois:
        rois = generate_random_rois(image.shape, random_rois, class_ids, boxes, rng)
        if detection_targets:
            targets = build_detection_targets(rois, class_ids, boxes, masks, config, rng)
    item = Item(image, meta, class_ids, boxes, masks, keypoints, rois, targets)
    return limit_item(dataset, config, item, rng) if limit else item


def limit_item(dataset, config, item, rng=None):
    """The item with at most MAX_GT_INSTANCES objects."""
    image_id = int(item.meta[0])
    chosen = chosen_instances(dataset, config, image_id, len(item.class_ids), rng)
    return item._replace(
        class_ids=item.class_ids[chosen],
        boxes=item.boxes[chosen],
        masks=item.masks[:, :, chosen],
        keypoints=None if item.keypoints is None else item.keypoints[chosen],
    )


def stack_images(items, config):
    """Centred images float32 [B, H, W, C].

    Raises:
        ValueError: the images have different sizes.
    """
    shapes = sorted({item.image.shape for item in items})
    if len(shapes) > 1:
        raise ValueError(
            f"The images of one batch have the sizes {shapes}. IMAGE_RESIZE_MODE = "
            f'{config.IMAGE_RESIZE_MODE!r} does not make them equal: set it to "square" or "crop", or set '
            "IMAGES_PER_GPU = GPU_COUNT = 1."
        )
    return np.stack([mold_padded(item.image, item.meta[7:11], config) for item in items])


def stack_ground_truth(items, config, box_dtype):
    """Class ids int32 [B, G], boxes [B, G, 4] and masks bool [B, h, w, G], zeros after the objects."""
    slots = config.MAX_GT_INSTANCES
    class_ids = np.zeros((len(items), slots), dtype=np.int32)
    boxes = np.zeros((len(items), slots, 4), dtype=box_dtype)
    masks = np.zeros((len(items), *items[0].masks.shape[:2], slots), dtype=bool)
    for row, item in enumerate(items):
        count = len(item.class_ids)
        class_ids[row, :count] = item.class_ids
        boxes[row, :count] = item.boxes
        masks[row, :, :, :count] = item.masks
    return class_ids, boxes, masks


def stack_keypoints(items, config):
    """Keypoints float32 [B, G, K, (y, x, visibility)] in pixels, zeros after the objects."""
    keypoints = np.zeros((len(items), config.MAX_GT_INSTANCES, config.NUM_KEYPOINTS, 3), np.float32)
    for row, item in enumerate(items):
        keypoints[row, : len(item.keypoints)] = item.keypoints
    return keypoints


def stack_rois(items):
    """The further inputs and the outputs that random rois and their targets add: two lists."""
    inputs, outputs = [], []
    if items[0].random_rois is not None:
        inputs.append(np.stack([item.random_rois for item in items]))
    if items[0].targets is not None:
        rois, class_ids, deltas, masks = (
            np.stack(part) for part in zip(*(item.targets for item in items), strict=True)
        )
        inputs.append(rois)
        outputs += [class_ids[..., None], deltas, masks]
    return inputs, outputs


def check_dataset(dataset, config, with_keypoints=False):
    """Raise ValueError for a dataset that cannot be trained on, before the first image is read."""
    try:
        num_images, num_classes = dataset.num_images, dataset.num_classes
    except AttributeError:
        raise ValueError(
            f"{type(dataset).__name__} is not prepared: call prepare() on it after the last add_image()."
        ) from None
    if len(dataset.image_ids) == 0:
        later = len(dataset.image_info) > num_images
        cure = (
            "Call prepare() again after add_image()."
            if later
            else "Add images with add_image() before prepare()."
        )
        raise ValueError(f"{type(dataset).__name__} has no images. {cure}")
    if num_classes > config.NUM_CLASSES:
        raise ValueError(
            f"The dataset has {num_classes} classes with the background, but NUM_CLASSES = "
            f"{config.NUM_CLASSES}. Set NUM_CLASSES = {num_classes}."
        )
    if with_keypoints and len(dataset.keypoint_names) != config.NUM_KEYPOINTS:
        raise ValueError(
            f"{type(dataset).__name__}.keypoint_names has {len(dataset.keypoint_names)} names, but NUM_KEYPOINTS = "
            f"{config.NUM_KEYPOINTS}. Name the keypoints in the order in which load_keypoints() returns them, and set "
            "NUM_KEYPOINTS to their number."
        )
