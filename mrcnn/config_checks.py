"""Rules that the values of a `Config` must keep, and the sentences that say so.

Each rule yields lines of the form "ATTRIBUTE = value: what is allowed".
"""

import difflib
import numbers

import numpy as np

RESIZE_MODES = ("square", "pad64", "crop", "none", "pad32", "pad32_smooth")

# The pyramid halves the image six times.
SIZE_RULE = (
    "Image size must be dividable by 2 at least 6 times to avoid fractions when downscaling and upscaling. "
    "For example, use 256, 320, 384, 448, 512, 576, 640, 768, 832, 896, 1024."
)

LOSS_NAMES = (
    *("rpn_class_loss", "rpn_bbox_loss", "mrcnn_class_loss"),
    *("mrcnn_bbox_loss", "mrcnn_mask_loss", "mrcnn_keypoint_loss"),
)

_CHOICES = {
    "IMAGE_RESIZE_MODE": RESIZE_MODES,
    "NORM": ("batch", "group"),
    "FPN_NORM": ("none", "batch", "group"),
    "HEAD_NORM": (None, "none", "batch", "group"),
    "ROI_ALIGN": ("matterport", "aligned", "unaligned"),
    "RPN_OBJECTNESS": ("softmax", "sigmoid"),
    "PROPOSALS": ("joint", "per_level"),
    "BOX_HEAD": ("fc", "conv"),
    "ROI_TARGETS": ("ratio", "fill"),
    "MASK_TARGETS": ("binary", "shares"),
    "BBOX_LOSS_PER": ("positive", "sampled"),
    "DETECTIONS": ("best_class", "per_class"),
    "MASK_PASTE": ("box", "padded", "centers"),
    "KEYPOINT_SCORE": ("probability", "logit"),
    "CONV_BIAS": (False, True),
    "RPN_ANCHOR_WHOLE_PIXELS": (False, True),
    "OPTIMIZER": ("sgd", "adam", "adamw"),
    "TRAIN_BN": (None, False, True),
}

# Attribute -> smallest whole number.
_WHOLE = {
    "GPU_COUNT": 1,
    "IMAGES_PER_GPU": 1,
    "BATCH_SIZE": 1,
    "WORKERS": 0,
    "ROI_SAMPLING_RATIO": 0,
    "NUM_CLASSES": 1,
    "IMAGE_CHANNEL_COUNT": 1,
    "TOP_DOWN_PYRAMID_SIZE": 1,
    "FPN_CLASSIF_FC_LAYERS_SIZE": 1,
    "RPN_ANCHOR_STRIDE": 1,
    "RPN_CONVOLUTIONS": 1,
    "RPN_TRAIN_ANCHORS_PER_IMAGE": 1,
    "PRE_NMS_LIMIT": 1,
    "POST_NMS_ROIS_TRAINING": 1,
    "POST_NMS_ROIS_INFERENCE": 1,
    "MAX_GT_INSTANCES": 1,
    "POOL_SIZE": 1,
    "MASK_POOL_SIZE": 1,
    "NUM_KEYPOINTS": 1,
    "KEYPOINT_POOL_SIZE": 1,
    "KEYPOINT_CHANNELS": 1,
    "TRAIN_ROIS_PER_IMAGE": 1,
    "DETECTION_MAX_INSTANCES": 1,
}

# None stands for one pass over all images; a validation of 0 steps still runs one.
_STEPS = ("STEPS_PER_EPOCH", "VALIDATION_STEPS")

_WHOLE_OR_NONE = {
    "IMAGE_MIN_DIM": 0,
    "RPN_CHANNELS": 1,
    "PRE_NMS_LIMIT_TRAINING": 1,
}

# Attribute -> (lowest, highest) number; None has no bound.
_NUMBERS = {
    "RPN_NMS_THRESHOLD": (0, 1),
    "DETECTION_NMS_THRESHOLD": (0, 1),
    "DETECTION_MIN_CONFIDENCE": (0, 1),
    "KEYPOINT_OFFSET": (0, 1),
    "ROI_POSITIVE_RATIO": (0, 1),
    "LEARNING_MOMENTUM": (0, 1),
    "WEIGHT_DECAY": (0, None),
    "NORM_EPSILON": (0, 1),
    "BBOX_LOSS_BETA": (0, None),
}

_FOURS = ("RPN_BBOX_STD_DEV", "BBOX_STD_DEV")


def find_problems(settings, mode):
    """Lines that describe every broken rule; an empty list for a sound `Config`."""
    if "BATCH_SIZE" not in vars(settings):
        return ["BATCH_SIZE is not computed yet: call super().__init__() in the subclass's __init__."]
    problems = list(_simple_rules(settings))
    if not problems:
        for rule in (_names, _sizes, _pixels, _pyramid, _rois, _masks, _optimiser):
            problems.extend(rule(settings, mode))
    return problems


def _line(settings, name, allowed):
    return f"{name} = {getattr(settings, name)!r}: {allowed}"


def _is_whole(value, lowest):
    return isinstance(value, numbers.Integral) and not isinstance(value, bool) and value >= lowest


def _is_number(value, lowest, highest):
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not np.isfinite(value):
        return False
    return (lowest is None or value >= lowest) and (highest is None or value <= highest)


def _numbers_of(value):
    """1-D float array of a number or a sequence of numbers, None for anything else."""
    try:
        array = np.atleast_1d(np.asarray(value, dtype=np.float64))
    except (TypeError, ValueError):
        return None
    return array if array.ndim == 1 and np.isfinite(array).all() else None


def _simple_rules(settings):
    for name, allowed in _CHOICES.items():
        value = getattr(settings, name)
        if not any(value is choice or (isinstance(value, str) and value == choice) for choice in allowed):
            yield _line(settings, name, f"must be one of {', '.join(map(repr, allowed))}.")
    for name, lowest in _WHOLE.items():
        if not _is_whole(getattr(settings, name), lowest):
            yield _line(settings, name, f"must be a whole number, {lowest} or more.")
    for name, lowest in _WHOLE_OR_NONE.items():
        if getattr(settings, name) is not None and not _is_whole(getattr(settings, name), lowest):
            yield _line(settings, name, f"must be a whole number, {lowest} or more, or None.")
    for name in _STEPS:
        value = getattr(settings, name)
        if value is not None and not (_is_number(value, 0, None) and (value > 0 or name == "VALIDATION_STEPS")):
            yield _line(settings, name, "must be a number of steps, or None for one pass over the images.")
    for name, (lowest, highest) in _NUMBERS.items():
        if not _is_number(getattr(settings, name), lowest, highest):
            until = "or more" if highest is None else f"to {highest}"
            yield _line(settings, name, f"must be a number, {lowest} {until}.")
    for name in _FOURS:
        array = _numbers_of(getattr(settings, name))
        if array is None or array.shape != (4,) or (array <= 0).any():
            yield _line(settings, name, "must be four numbers above 0, for y, x, height and width.")


def _names(settings, mode):
    if not isinstance(settings.NAME, str) or not settings.NAME.strip():
        yield _line(settings, "NAME", "must be a text; it names the log folder and the checkpoints.")
    if mode == "training" and settings.NUM_CLASSES < 2:
        yield _line(settings, "NUM_CLASSES", "must be 1 (background) + the number of classes, so at least 2.")
    if not callable(settings.BACKBONE) and not (isinstance(settings.BACKBONE, str) and settings.BACKBONE):
        yield _line(settings, "BACKBONE", "must be a backbone's name or a callable.")
    if settings.COMPUTE_BACKBONE_SHAPE is not None and not callable(settings.COMPUTE_BACKBONE_SHAPE):
        yield _line(settings, "COMPUTE_BACKBONE_SHAPE", "must be None or a function of the image shape.")
    expected = 12 + settings.NUM_CLASSES
    if settings.IMAGE_META_SIZE != expected:
        yield _line(settings, "IMAGE_META_SIZE", f"must be 12 + NUM_CLASSES = {expected}; do not assign it.")


def _sizes(settings, mode):
    resize = settings.IMAGE_RESIZE_MODE
    minimum, maximum = settings.IMAGE_MIN_DIM, settings.IMAGE_MAX_DIM
    if resize == "square":
        if not _is_whole(maximum, 1):
            yield _line(settings, "IMAGE_MAX_DIM", "must be a whole number of pixels, 64 or more.")
        elif maximum % 64:
            yield _line(settings, "IMAGE_MAX_DIM", SIZE_RULE)
    if resize == "crop":
        if not minimum or minimum % 64:
            yield _line(settings, "IMAGE_MIN_DIM", f'is the side of the piece in mode "crop". {SIZE_RULE}')
        if mode == "inference":
            yield _line(
                settings,
                "IMAGE_RESIZE_MODE",
                'cuts at random and is for training only; use "pad64" to detect.',
            )
    if resize.startswith("pad32") and not (_is_whole(minimum, 1) and _is_whole(maximum, minimum)):
        allowed = f'and IMAGE_MAX_DIM = {maximum!r} must be whole in mode "{resize}", the second not the smaller.'
        yield _line(settings, "IMAGE_MIN_DIM", allowed)
    if resize == "pad64" and minimum and minimum % 64:
        yield _line(settings, "IMAGE_MIN_DIM", f'in mode "pad64". {SIZE_RULE}')
    if settings.IMAGE_MIN_SCALE and not _is_number(settings.IMAGE_MIN_SCALE, 0, None):
        yield _line(settings, "IMAGE_MIN_SCALE", "must be a number, 0 or more; 0 sets no smallest scale.")


def _pixels(settings, mode):
    channels = settings.IMAGE_CHANNEL_COUNT
    mean = _numbers_of(settings.MEAN_PIXEL)
    if mean is None or mean.size not in (1, channels):
        yield _line(
            settings,
            "MEAN_PIXEL",
            f"must be one number, or one for each of IMAGE_CHANNEL_COUNT = {channels}.",
        )
    std = _numbers_of(settings.PIXEL_STD)
    if std is None or std.size not in (1, channels) or (std <= 0).any():
        allowed = f"must be one number above 0, or one for each of IMAGE_CHANNEL_COUNT = {channels}."
        yield _line(settings, "PIXEL_STD", allowed)
    beta = settings.RPN_BBOX_LOSS_BETA
    if beta is not None and not _is_number(beta, 0, None):
        yield _line(settings, "RPN_BBOX_LOSS_BETA", "must be a number, 0 or more, or None for BBOX_LOSS_BETA.")
    limit = settings.BBOX_LOG_LIMIT
    if limit is not None and not (_is_number(limit, 0, None) and limit > 0):
        yield _line(settings, "BBOX_LOG_LIMIT", "must be a number above 0, or None.")


def _pyramid(settings, mode):
    strides = _numbers_of(settings.BACKBONE_STRIDES)
    if strides is None or strides.size != 5 or strides[0] < 1 or (strides[1:] != 2 * strides[:-1]).any():
        yield _line(settings, "BACKBONE_STRIDES", "must be five numbers of pixels, for P2 to P6, each twice the last.")
        return
    if not callable(settings.BACKBONE) and strides[0] != 4:
        yield _line(settings, "BACKBONE_STRIDES", "must be [4, 8, 16, 32, 64] where BACKBONE is no callable.")
    scales = _numbers_of(settings.RPN_ANCHOR_SCALES)
    if scales is None or scales.size != strides.size or (scales <= 0).any():
        yield _line(
            settings,
            "RPN_ANCHOR_SCALES",
            f"must be {strides.size} numbers above 0, one for each of BACKBONE_STRIDES.",
        )
    ratios = _numbers_of(settings.RPN_ANCHOR_RATIOS)
    if ratios is None or ratios.size < 1 or (ratios <= 0).any():
        yield _line(settings, "RPN_ANCHOR_RATIOS", "must be one or more numbers above 0 (width / height).")


def _rois(settings, mode):
    count = settings.TRAIN_ROIS_PER_IMAGE
    if mode == "training" and count * settings.ROI_POSITIVE_RATIO < 1:
        allowed = f"leaves no positive region; times TRAIN_ROIS_PER_IMAGE = {count} it must be 1 or more."
        yield _line(settings, "ROI_POSITIVE_RATIO", allowed)


def _is_pair(value):
    array = _numbers_of(value)
    return array is not None and array.shape == (2,) and (array >= 1).all() and (array % 1 == 0).all()


def _masks(settings, mode):
    if settings.USE_MINI_MASK and not _is_pair(settings.MINI_MASK_SHAPE):
        yield _line(
            settings,
            "MINI_MASK_SHAPE",
            "must be (height, width), whole pixels, or set USE_MINI_MASK = False.",
        )
    if settings.MASK_TARGETS == "shares" and settings.ROI_TARGETS != "fill":
        yield _line(settings, "MASK_TARGETS", 'must be "binary" where ROI_TARGETS is not "fill".')
    if not _is_pair(settings.MASK_SHAPE):
        yield _line(settings, "MASK_SHAPE", "must be [height, width] in whole pixels.")
    elif mode != "inference" and tuple(settings.MASK_SHAPE) != (2 * settings.MASK_POOL_SIZE,) * 2:
        side = 2 * settings.MASK_POOL_SIZE
        yield _line(
            settings,
            "MASK_SHAPE",
            f"must be [{side}, {side}], twice MASK_POOL_SIZE = {settings.MASK_POOL_SIZE}.",
        )


def _optimiser(settings, mode):
    rate = settings.LEARNING_RATE
    if isinstance(rate, numbers.Real) and not (_is_number(rate, 0, None) and rate > 0):
        yield _line(settings, "LEARNING_RATE", "must be a number above 0 or a schedule.")
    share = settings.NORM_MOMENTUM
    if share is not None and not _is_number(share, 0, 1):
        yield _line(settings, "NORM_MOMENTUM", "must be a number, 0 to 1, or None for the layers' own.")
    clip = settings.GRADIENT_CLIP_NORM
    if clip is not None and not (_is_number(clip, 0, None) and clip > 0):
        yield _line(settings, "GRADIENT_CLIP_NORM", "must be a number above 0, or None not to clip.")
    if not isinstance(settings.LOSS_WEIGHTS, dict):
        yield _line(settings, "LOSS_WEIGHTS", f"must be a dict with any of {', '.join(LOSS_NAMES)}.")
        return
    for name, weight in settings.LOSS_WEIGHTS.items():
        if name not in LOSS_NAMES:
            close = difflib.get_close_matches(str(name), LOSS_NAMES, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"use {', '.join(LOSS_NAMES)}."
            yield f"LOSS_WEIGHTS has the unknown loss {name!r}: {hint}"
        elif not _is_number(weight, 0, None):
            yield f"LOSS_WEIGHTS[{name!r}] = {weight!r}: must be a number, 0 or more."
