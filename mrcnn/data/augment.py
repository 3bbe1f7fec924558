"""Changing an image, its masks and its keypoints together at random.

An augmentation is an imgaug augmenter, or any function `(image, masks) -> (image, masks)`; with keypoints a function
`(image, masks, keypoints) -> (image, masks, keypoints)`.
"""

import inspect
import random
import sys

import numpy as np

from .keypoints import hide_outside
from .masks import binary_masks

# Augmenters that choose among others; which of their children run on masks is asked for each.
_CHOOSERS = {
    *("Sequential", "SomeOf", "OneOf", "Sometimes"),
    *("KeepSizeByResize", "WithPolarWarping", "RandAugment"),
}

# Augmenters that move pixels. All others (colour, noise, blur...) leave masks alone.
_GEOMETRIC = {
    *("Fliplr", "Flipud", "Affine", "AffineCv2", "PiecewiseAffine", "PerspectiveTransform"),
    *("ElasticTransformation", "Rot90", "Rotate", "Jigsaw"),
    *("ScaleX", "ScaleY", "ShearX", "ShearY", "TranslateX", "TranslateY"),
    *("Crop", "Pad", "CropAndPad", "Resize", "Scale"),
    *(
        f"{center}{kind}To{goal}"
        for center in ("", "Center")
        for kind in ("Crop", "Pad")
        for goal in ("FixedSize", "MultiplesOf", "PowersOf", "AspectRatio", "Square")
    ),
}

MASK_AUGMENTERS = frozenset(_CHOOSERS | _GEOMETRIC)


def augment(image, masks, augmentation, rng=None, keypoints=None, mirrored=None):
    """Apply an augmentation to an image and, where it moves pixels, to its masks and keypoints.

    Args:
        image: [H, W, C], any dtype; masks: bool [H, W, N].
        augmentation: an imgaug augmenter, or a callable `(image, masks) -> (image, masks)`. A
            callable with an argument `rng` receives a numpy RandomState by that name. With keypoints a callable takes
            them by the name `keypoints`, returns them as a third value, and swaps left and right itself.
        rng: numpy RandomState that decides everything, so the same state gives the same result
            in any thread. None: the augmentation draws from its own state.
        keypoints: float32 [N, K, (y, x, visibility)] in pixels, or None.
        mirrored: with keypoints, the order int [K] in which those of a mirrored object stand, see `mirrored_order`.

    Returns:
        image and bool masks, of the sizes given, and the keypoints float32: zeros where not annotated or moved out of
        the image; None if there were none.

    Raises:
        TypeError, ValueError: as of `check_augmentation`. ValueError: it changed a size or the number of masks.
    """
    check_augmentation(augmentation, keypoints is not None)
    if is_imgaug(augmentation):
        new_image, new_masks, new_keypoints = _run_imgaug(augmentation, image, masks, rng, keypoints, mirrored)
    else:
        new_image, new_masks, new_keypoints = _run_callable(augmentation, image, masks, rng, keypoints)
    if np.shape(new_image) != image.shape or np.shape(new_masks) != masks.shape:
        raise ValueError(
            f"augmentation changed the image from {image.shape} to {np.shape(new_image)} and the masks from "
            f"{masks.shape} to {np.shape(new_masks)}; both must keep their shape. Use augmenters that keep "
            "the size (keep_size=True), and keep one mask for each object."
        )
    if keypoints is not None:
        new_keypoints = hide_outside(np.asarray(new_keypoints), image.shape)
    return np.asarray(new_image), binary_masks(np.asarray(new_masks)), new_keypoints


def check_augmentation(augmentation, with_keypoints=False):
    """Whether `augment` can use it.

    Raises:
        TypeError: it is neither an imgaug augmenter nor callable. ValueError: it is a callable that does not take the
        keypoints there are.
    """
    if is_imgaug(augmentation):
        return
    if not callable(augmentation):
        raise TypeError(
            f"augmentation is a {type(augmentation).__name__}; it must be an imgaug augmenter (put a list "
            "into iaa.Sequential) or a function (image, masks) -> (image, masks)."
        )
    if with_keypoints and not _takes(augmentation, "keypoints"):
        raise ValueError(
            "augmentation does not take keypoints, which would stay behind: give the function a third argument "
            "named keypoints and return (image, masks, keypoints), or use an imgaug augmenter."
        )


def flip_at_random(rng=None):
    """True for every second image, from Python's global state unless `rng` is given."""
    return bool(random.randint(0, 1) if rng is None else rng.randint(0, 2))


def is_imgaug(augmentation):
    """Whether this is an imgaug augmenter, without importing imgaug for the question."""
    meta = sys.modules.get("imgaug.augmenters.meta")
    return meta is not None and isinstance(augmentation, meta.Augmenter)


def _run_callable(augmentation, image, masks, rng, keypoints):
    arguments = {"rng": rng} if rng is not None and _takes(augmentation, "rng") else {}
    if keypoints is None:
        expected = "the pair (image, masks)"
    else:
        arguments["keypoints"] = keypoints
        expected = "the triple (image, masks, keypoints)"
    result = augmentation(image, masks, **arguments)
    if not isinstance(result, (tuple, list)) or len(result) != (2 if keypoints is None else 3):
        raise ValueError(f"augmentation returned a {type(result).__name__}; it must return {expected}.")
    if keypoints is None:
        return *result, None
    if np.shape(result[2]) != keypoints.shape:
        raise ValueError(f"augmentation changed the keypoints' shape from {keypoints.shape} to {np.shape(result[2])}.")
    return result


def _takes(function, name):
    try:
        return name in inspect.signature(function).parameters
    except (TypeError, ValueError):
        return False


def _run_imgaug(augmentation, image, masks, rng, keypoints, mirrored):
    import imgaug

    # A private copy: seeding a shared augmenter from several threads would mix their states.
    if rng is not None:
        augmentation = augmentation.deepcopy()
        augmentation.seed_(int(rng.randint(0, 2**31 - 1)))
    fixed = augmentation.to_deterministic()
    if keypoints is not None:
        keypoints = _moved_keypoints(fixed, keypoints, image.shape, mirrored)
    image = fixed.augment_image(image)
    if masks.shape[2]:
        _fill_with_background(fixed)
        # imgaug knows no boolean pictures.
        masks = fixed.augment_image(
            masks.astype(np.uint8), hooks=imgaug.HooksImages(activator=_runs_on_masks)
        )
    return image, masks, keypoints


def _moved_keypoints(augmenter, keypoints, shape, mirrored):
    """Keypoints [N, K, 3] where a deterministic augmenter takes them; those of a mirrored object change names."""
    from imgaug.augmentables.kps import KeypointsOnImage

    height, width = shape[:2]
    # Three more tell whether the image is mirrored: the way round that they are walked then turns over.
    corner = np.array([[height, width], [height, 2 * width], [2 * height, width]]) / 4
    points = np.concatenate([keypoints[..., :2].reshape(-1, 2), corner])
    moved = augmenter.augment_keypoints(KeypointsOnImage.from_xy_array(points[:, ::-1], shape)).to_xy_array()[:, ::-1]
    (down_y, down_x), (right_y, right_x) = moved[-1] - moved[-3], moved[-2] - moved[-3]
    moved = moved[:-3].reshape(keypoints[..., :2].shape)
    keypoints = np.concatenate([moved, keypoints[..., 2:]], axis=-1)
    return keypoints[:, mirrored] if right_x * down_y - right_y * down_x < 0 else keypoints


def _runs_on_masks(images, augmenter, parents, default):
    return any(cls.__name__ in MASK_AUGMENTERS for cls in type(augmenter).__mro__)


def _fill_with_background(augmenter):
    """What moves in from outside is no object, whatever colour the picture is filled with."""
    from imgaug.parameters import Deterministic

    for part in [augmenter, *augmenter.get_all_children(flat=True)]:
        for name in ("cval", "pad_cval"):
            if hasattr(part, name):
                setattr(part, name, Deterministic(0))
