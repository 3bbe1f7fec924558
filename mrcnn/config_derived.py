"""Values of a `Config` that are computed from its others."""

import math

import numpy as np


def _image_shape(settings):
    side = settings.IMAGE_MIN_DIM if settings.IMAGE_RESIZE_MODE == "crop" else settings.IMAGE_MAX_DIM
    return np.array([side, side, settings.IMAGE_CHANNEL_COUNT])


def _backbone_shapes(settings):
    sides = [int(side) for side in settings.IMAGE_SHAPE[:2]]
    return np.array([[math.ceil(side / stride) for side in sides] for stride in settings.BACKBONE_STRIDES])


# Name -> (the attributes it comes from, how). What comes from another computed value stands behind it.
DERIVED = {
    "BATCH_SIZE": (("IMAGES_PER_GPU", "GPU_COUNT"), lambda settings: settings.IMAGES_PER_GPU * settings.GPU_COUNT),
    "IMAGE_SHAPE": (
        ("IMAGE_MIN_DIM", "IMAGE_MAX_DIM", "IMAGE_CHANNEL_COUNT", "IMAGE_RESIZE_MODE"),
        _image_shape,
    ),
    # Height and width of each pyramid level; scripts of early 2018 make anchors from it.
    "BACKBONE_SHAPES": (("IMAGE_SHAPE", "BACKBONE_STRIDES"), _backbone_shapes),
    # id, original shape, image shape, window, scale, then one flag a class.
    "IMAGE_META_SIZE": (("NUM_CLASSES",), lambda settings: 1 + 3 + 3 + 4 + 1 + settings.NUM_CLASSES),
}


def derive(settings, name):
    """Compute one derived value; one from an impossible value waits for `validate` to say so."""
    try:
        settings.__dict__[name] = DERIVED[name][1](settings)
    except (TypeError, ValueError, ArithmeticError):
        settings.__dict__[name] = None
