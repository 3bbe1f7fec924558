"""Checking what a user's dataset returns, with errors that name the image and the cure."""

import numpy as np

from .masks import binary_masks
from .report import image_label, warn_once

# C5 has a 32nd of an image's sides, and must be whole.
LEAST_MULTIPLE = 32


class DataError(ValueError):
    """A dataset returned something that cannot be. The text names the image and the cure.

    Attributes:
        problem: what kind of mistake it is, in words that are the same for every image.
    """

    def __init__(self, message, problem=""):
        super().__init__(message)
        self.problem = problem


def checked_image(dataset, config, image_id):
    """The image [H, W, IMAGE_CHANNEL_COUNT] as `dataset.load_image` gives it, in its dtype.

    A picture of one channel is repeated to three and alpha is dropped where three are expected.
    """
    label = f"{image_label(dataset, image_id)}: load_image()"
    return with_channels(dataset.load_image(image_id), config.IMAGE_CHANNEL_COUNT, label)


def check_sides(shape, multiple, label):
    """Whether a pyramid can halve both sides of an image until its last level.

    Args:
        shape: `(H, W, ...)` after resizing.
        multiple: what both must be multiples of.
        label: what the error calls the image.

    Raises:
        ValueError: a side is no multiple.
    """
    if shape[0] % multiple or shape[1] % multiple:
        raise ValueError(
            f"{label} is {shape[0]} x {shape[1]} pixels after resizing. Image size must be dividable by 2 at least "
            f"{multiple.bit_length() - 1} times: make both sides multiples of {multiple}, or set IMAGE_RESIZE_MODE = "
            '"square" or "pad64".'
        )


def with_channels(image, channels, label):
    """An image as `[H, W, channels]` in its dtype.

    A picture of one channel is repeated to three and alpha is dropped where three are expected.

    Args:
        image: `[H, W]` or `[H, W, any]` array of numbers.
        channels: IMAGE_CHANNEL_COUNT.
        label: where the image comes from, for errors.

    Raises:
        DataError: it is no image, or its channels cannot become `channels`.
    """
    image = np.asarray(image)
    if image.ndim == 2:
        image = image[:, :, None]
    if image.ndim != 3 or 0 in image.shape or not _is_numeric(image):
        raise DataError(
            f"{label} gave {_described(image)}; expected an array of numbers [height, width, channels].",
            "load_image() gives no image",
        )
    if image.shape[2] == 1 and channels == 3:
        image = np.repeat(image, 3, axis=2)
    elif image.shape[2] == 4 and channels == 3:
        image = image[:, :, :3]
    if image.shape[2] != channels:
        raise DataError(
            f"{label} gave {image.shape[2]} channels, but IMAGE_CHANNEL_COUNT = {channels}. "
            "Set IMAGE_CHANNEL_COUNT (and MEAN_PIXEL) to match, or convert the image first.",
            "channels differ from IMAGE_CHANNEL_COUNT",
        )
    return image


def grey_level_problem(image, config):
    """What is odd about the values of an image where MEAN_PIXEL says that they are grey levels from 0 to 255.

    Args:
        image: an array of numbers.
        config: MEAN_PIXEL is read.

    Returns:
        a sentence with the cure, or "".
    """
    if image.dtype == np.uint8 or np.max(config.MEAN_PIXEL) <= 1:
        return ""
    least, most = float(image.min()), float(image.max())
    if not np.isfinite(least + most):
        cure = "holds values that are no numbers: correct the picture"
    elif least < 0:
        cure = "seems to have lost its mean already: give the picture as it was read"
    elif 0 < most <= 1:
        cure = "seems to be scaled to 0..1: multiply it by 255"
    elif most > 255:
        cure = "seems to have more than 8 bits: scale it to 0..255"
    else:
        return ""
    values = f"{image.dtype} values from {least:g} to {most:g}"
    return f"has {values}, where grey levels from 0 to 255 are expected. It {cure}."


def checked_masks(dataset, config, image_id, image_shape):
    """Masks bool [H, W, N] and class_ids int32 [N] as `dataset.load_mask` gives them.

    Objects with an empty mask, and objects of class 0, are left out with one line in the log.

    Args:
        dataset: a prepared `Dataset`.
        config: NUM_CLASSES is read, and with keypoints NUM_KEYPOINTS.
        image_id: number of the image in the dataset.
        image_shape: (H, W, ...) that the masks must have; None takes them at any size, and gives [0, 0, 0] for none.

    Raises:
        DataError: they cannot be masks and class ids of an image of this shape.
    """
    masks, class_ids, _ = checked_objects(dataset, config, image_id, image_shape)
    return masks, class_ids


def checked_objects(dataset, config, image_id, image_shape, with_keypoints=False):
    """`checked_masks`, and float32 [N, NUM_KEYPOINTS, (y, x, visibility)] of the same objects or None."""
    masks, class_ids = all_masks(dataset, config, image_id, image_shape)
    keypoints = None
    if with_keypoints:
        keypoints = checked_keypoints(dataset, image_id, (len(class_ids), config.NUM_KEYPOINTS, 3))
    keep = _is_object(dataset, image_id, masks, class_ids)
    if keep.all():
        return masks, class_ids, keypoints
    return masks[:, :, keep], class_ids[keep], keypoints[keep] if with_keypoints else None


def all_masks(dataset, config, image_id, image_shape):
    """`checked_masks` with the empty masks and the objects of class 0."""
    label = image_label(dataset, image_id)
    returned = dataset.load_mask(image_id)
    if not isinstance(returned, (tuple, list)) or len(returned) != 2:
        raise DataError(
            f"{label}: load_mask() returned a {type(returned).__name__}; it must return the pair "
            "(masks [height, width, count], class_ids [count]).",
            "load_mask() gives no pair of masks and class ids",
        )
    class_ids = _class_ids(returned[1], config, label)
    return _masks(returned[0], class_ids, image_shape, label), class_ids


def _class_ids(class_ids, config, label):
    array = np.asarray(class_ids)
    if array.size == 0:
        return np.zeros(0, np.int32)
    if not _is_numeric(array) or (array.astype(np.float64) % 1 != 0).any():
        raise DataError(
            f"{label}: load_mask() returned class ids {array.ravel()[:5].tolist()}; they must be whole "
            "numbers, the position of each class in dataset.class_names.",
            "class ids are no whole numbers",
        )
    array = array.reshape(-1).astype(np.int32)
    wrong = array[np.abs(array) >= config.NUM_CLASSES]
    if wrong.size:
        raise DataError(
            f"{label}: load_mask() returned class id {wrong[0]}, but NUM_CLASSES = {config.NUM_CLASSES} "
            f"allows 1 to {config.NUM_CLASSES - 1}. Name all classes with add_class() and set NUM_CLASSES to 1 + their "
            "number, or correct load_mask().",
            "class ids out of range",
        )
    return array


def _masks(masks, class_ids, image_shape, label):
    try:
        masks = np.asarray(masks)
    except ValueError as error:
        raise DataError(
            f"{label}: load_mask() returned masks of different sizes ({error}).", "masks cannot become bool"
        ) from error
    if masks.size == 0 and not len(class_ids):
        return np.zeros((*(image_shape or (0, 0))[:2], 0), dtype=bool)
    if masks.ndim == 2:
        masks = masks[:, :, None]
    if masks.ndim != 3 or not _is_numeric(masks):
        raise DataError(
            f"{label}: load_mask() returned masks of {_described(masks)}; "
            "they must be an array of numbers [height, width, count].",
            "masks cannot become bool",
        )
    height, width = (image_shape or masks.shape)[:2]
    if masks.shape[:2] != (height, width):
        swapped = masks.shape[1:] == (height, width)
        hint = (
            "The count must be the last axis: use np.stack(masks, axis=-1)."
            if swapped
            else "Draw the masks at the size of the image, or resize them in load_mask()."
        )
        raise DataError(
            f"{label}: load_mask() returned (height, width) = {masks.shape[:2]} but the image is "
            f"{(height, width)}. {hint}",
            "mask size differs from the image",
        )
    if masks.shape[2] != len(class_ids):
        raise DataError(
            f"{label}: load_mask() returned {masks.shape[2]} masks and {len(class_ids)} class ids; "
            "return one class id for each mask.",
            "masks and class ids differ in number",
        )
    # Masks stacked from other orders in memory would be copied again at each step.
    return np.ascontiguousarray(binary_masks(masks))


def checked_keypoints(dataset, image_id, expected):
    """float32 `expected` = (objects, keypoints, 3): what `load_keypoints` returned.

    Raises:
        DataError: they are of another shape, or not (y, x, visibility).
    """
    keypoints = np.asarray(dataset.load_keypoints(image_id), np.float32)
    if keypoints.size == 0 and not expected[0]:
        return np.zeros(expected, np.float32)
    label = image_label(dataset, image_id)
    if keypoints.shape != expected:
        raise DataError(
            f"{label}: load_keypoints() returned shape {keypoints.shape}, expected {expected}: (y, x, visibility) of "
            "NUM_KEYPOINTS keypoints for each mask of load_mask(), in its order.",
            "keypoints do not fit the masks or NUM_KEYPOINTS",
        )
    if not np.isfinite(keypoints).all() or not np.isin(keypoints[..., 2], (0, 1, 2)).all():
        raise DataError(
            f"{label}: load_keypoints() returned a coordinate that is no number or a visibility other than 0 (not "
            "annotated), 1 (hidden) and 2 (visible).",
            "keypoints with values that cannot be",
        )
    return keypoints


def have_pixels(masks):
    """Which of the masks bool [H, W, N] have a pixel: bool [N]."""
    height, width, count = masks.shape
    # In two steps: long inner loops first, which numpy runs much faster than over few instances.
    return masks.reshape(height, width * count).any(axis=0).reshape(width, count).any(axis=0)


def _is_object(dataset, image_id, masks, class_ids):
    """Bool [N]: neither empty nor background."""
    filled = have_pixels(masks)
    keep = filled & (class_ids != 0)
    if keep.all():
        return keep
    warn_once(
        dataset,
        ("left out", image_id),
        f"{image_label(dataset, image_id)}: left out {np.count_nonzero(~filled)} objects with an empty mask and "
        f"{np.count_nonzero(filled & (class_ids == 0))} of class 0 (background) of {len(keep)}, numbers "
        f"{np.flatnonzero(~keep)[:5].tolist()} from 0. Correct load_mask() or the annotation if they should count.",
    )
    return keep


def _is_numeric(array):
    return array.dtype == bool or (np.issubdtype(array.dtype, np.number) and np.isrealobj(array))


def _described(array):
    return f"shape {array.shape}, dtype {array.dtype}"
