"""Changing an image and its masks together at random.

An augmentation is an imgaug augmenter, or any function `(image, masks) -> (image, masks)`.
"""

import inspect
import random
import sys

import numpy as np

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


def augment(image, masks, augmentation, rng=None):
    """Apply an augmentation to an image and, where it moves pixels, to its masks.

    Args:
        image: [H, W, C], any dtype; masks: bool [H, W, N].
        augmentation: an imgaug augmenter, or a callable `(image, masks) -> (image, masks)`. A
            callable with an argument `rng` receives a numpy RandomState by that name.
        rng: numpy RandomState that decides everything, so the same state gives the same result
            in any thread. None: the augmentation draws from its own state.

    Returns:
        image and bool masks, of the sizes given.

    Raises:
        TypeError: the augmentation is neither. ValueError: it changed a size or the number of masks.
    """
    if is_imgaug(augmentation):
        new_image, new_masks = _run_imgaug(augmentation, image, masks, rng)
    elif callable(augmentation):
        new_image, new_masks = _run_callable(augmentation, image, masks, rng)
    else:
        raise TypeError(
            f"augmentation is a {type(augmentation).__name__}; it must be an imgaug augmenter (put a list "
            "into iaa.Sequential) or a function (image, masks) -> (image, masks)."
        )
    if np.shape(new_image) != image.shape or np.shape(new_masks) != masks.shape:
        raise ValueError(
            f"augmentation changed the image from {image.shape} to {np.shape(new_image)} and the masks from "
            f"{masks.shape} to {np.shape(new_masks)}; both must keep their shape. Use augmenters that keep "
            "the size (keep_size=True), and keep one mask for each object."
        )
    new_masks = np.asarray(new_masks)
    return np.asarray(new_image), new_masks if new_masks.dtype == bool else new_masks != 0


def flip_at_random(rng=None):
    """True for every second image, from Python's global state unless `rng` is given."""
    return bool(random.randint(0, 1) if rng is None else rng.randint(0, 2))


def is_imgaug(augmentation):
    """Whether this is an imgaug augmenter, without importing imgaug for the question."""
    meta = sys.modules.get("imgaug.augmenters.meta")
    return meta is not None and isinstance(augmentation, meta.Augmenter)


def _run_callable(augmentation, image, masks, rng):
    arguments = {"rng": rng} if rng is not None and _takes_rng(augmentation) else {}
    result = augmentation(image, masks, **arguments)
    if not isinstance(result, (tuple, list)) or len(result) != 2:
        raise ValueError(
            f"augmentation returned a {type(result).__name__}; it must return the pair (image, masks)."
        )
    return result


def _takes_rng(function):
    try:
        return "rng" in inspect.signature(function).parameters
    except (TypeError, ValueError):
        return False


def _run_imgaug(augmentation, image, masks, rng):
    import imgaug

    # A private copy: seeding a shared augmenter from several threads would mix their states.
    if rng is not None:
        augmentation = augmentation.deepcopy()
        augmentation.seed_(int(rng.randint(0, 2**31 - 1)))
    fixed = augmentation.to_deterministic()
    image = fixed.augment_image(image)
    if masks.shape[2]:
        _fill_with_background(fixed)
        # imgaug knows no boolean pictures.
        masks = fixed.augment_image(
            masks.astype(np.uint8), hooks=imgaug.HooksImages(activator=_runs_on_masks)
        )
    return image, masks


def _runs_on_masks(images, augmenter, parents, default):
    return any(cls.__name__ in MASK_AUGMENTERS for cls in type(augmenter).__mro__)


def _fill_with_background(augmenter):
    """What moves in from outside is no object, whatever colour the picture is filled with."""
    from imgaug.parameters import Deterministic

    for part in [augmenter, *augmenter.get_all_children(flat=True)]:
        for name in ("cval", "pad_cval"):
            if hasattr(part, name):
                setattr(part, name, Deterministic(0))
