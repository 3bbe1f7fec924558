"""Every number a user may turn, as UPPERCASE attributes of one class.

Subclass `Config`, override what differs, make one instance. Values are read where they are
used, so assigning on the instance later works too.
"""

import difflib
import inspect
import warnings

import numpy as np

from .config_checks import find_problems
from .config_derived import DERIVED, derive

_WARNED = set()


class Config:
    """Settings of a model, its training and its detection.

    Sizes are pixels, thresholds are fractions in [0, 1], boxes (y1, x1, y2, x2). Four values
    are computed from others, once here and again when one they come from is assigned:
    `BATCH_SIZE`, `IMAGE_SHAPE`, `BACKBONE_SHAPES`, `IMAGE_META_SIZE`. Assigning one of them
    directly wins.
    """

    # Lower-cased it names the log folder and the checkpoints. Every model needs one.
    NAME = None

    # --- Devices and epochs -------------------------------------------------------------
    # A batch is the product of these two. Training shares it among up to GPU_COUNT devices.
    GPU_COUNT = 1
    IMAGES_PER_GPU = 2
    # Fractions are rounded up.
    STEPS_PER_EPOCH = 1000
    VALIDATION_STEPS = 50
    # Threads that load images; 0 and 1 load in the training thread.
    WORKERS = 2

    # --- Backbone and pyramid -----------------------------------------------------------
    # "resnet50", "resnet101", "light", a keras.applications model's name, a callable, or PyTorch's "torch_resnet50",
    # "torch_resnet101", "torch_resnext101_32x8d", "msra_resnet50", "msra_resnet101".
    BACKBONE = "resnet101"
    # Only with a callable BACKBONE: function from image shape to the [L, 2] feature shapes.
    COMPUTE_BACKBONE_SHAPE = None
    # Pixels between two cells of each pyramid level, finest first.
    BACKBONE_STRIDES = [4, 8, 16, 32, 64]
    TOP_DOWN_PYRAMID_SIZE = 256
    FPN_CLASSIF_FC_LAYERS_SIZE = 1024
    # "batch" or "group" normalisation.
    NORM = "batch"
    # Of the pyramid: "batch", "group" or "none"; of the box and mask heads the same, or None for NORM.
    FPN_NORM = "none"
    HEAD_NORM = None
    # What batch normalisation adds to the variance; networks of keras.applications and callables have their own.
    NORM_EPSILON = 1e-3
    # Share of the moving statistics that a step of training keeps; None for the layers' own, mostly 0.99.
    NORM_MOMENTUM = None
    # False: convolutions of pyramid and heads have no bias where a normalisation follows.
    CONV_BIAS = True
    # None: batch norm in its normal mode. False: frozen. True: always in training mode, in frozen layers too.
    TRAIN_BN = False

    # --- Classes ------------------------------------------------------------------------
    # Counts the background: 1 + the number of classes.
    NUM_CLASSES = 1

    # --- Region proposals ---------------------------------------------------------------
    # Side of a square anchor in pixels, one for each pyramid level.
    RPN_ANCHOR_SCALES = (32, 64, 128, 256, 512)
    # Width / height of the anchors at every cell.
    RPN_ANCHOR_RATIOS = [0.5, 1, 2]
    # 1: anchors at every cell, 2: at every second one, and so on.
    RPN_ANCHOR_STRIDE = 1
    # torchvision's rounded anchors.
    RPN_ANCHOR_WHOLE_PIXELS = False
    # Width (None: twice TOP_DOWN_PYRAMID_SIZE) and number of the shared 3x3 convolutions.
    RPN_CHANNELS = None
    RPN_CONVOLUTIONS = 1
    # "softmax": two outputs an anchor, background and object; "sigmoid": one.
    RPN_OBJECTNESS = "softmax"
    # "joint": the best anchors of all levels together; "per_level": of each level, then the best of them.
    PROPOSALS = "joint"
    RPN_NMS_THRESHOLD = 0.7
    RPN_TRAIN_ANCHORS_PER_IMAGE = 256
    # Proposals kept by score before (in each level, where PROPOSALS says so), and left after, non-maximum suppression.
    PRE_NMS_LIMIT = 6000
    # In training; None for the same.
    PRE_NMS_LIMIT_TRAINING = None
    POST_NMS_ROIS_TRAINING = 2000
    POST_NMS_ROIS_INFERENCE = 1000
    RPN_BBOX_STD_DEV = np.array([0.1, 0.1, 0.2, 0.2])

    # --- Images and masks ---------------------------------------------------------------
    # "square": fit into MAX x MAX with padding. "pad64": pad sides to multiples of 64.
    # "crop": random MIN x MIN piece, for training only. "none": images are used as they are. "pad32": shorter side
    # to MIN, longer at most MAX, zeros behind it to multiples of 32, as in torchvision. "pad32_smooth": the same as in
    # Detectron2, which smooths when shrinking.
    IMAGE_RESIZE_MODE = "square"
    IMAGE_MIN_DIM = 800
    IMAGE_MAX_DIM = 1024
    # Smallest factor to scale up by, 0 for none. Comes after MIN_DIM, before MAX_DIM.
    IMAGE_MIN_SCALE = 0
    # Of early 2018, without effect: IMAGE_RESIZE_MODE has taken its place.
    IMAGE_PADDING = True
    IMAGE_CHANNEL_COUNT = 3
    # Subtracted from each channel; one number, or one for each channel (RGB order).
    MEAN_PIXEL = np.array([123.7, 116.8, 103.9])
    # What the difference is divided by, likewise.
    PIXEL_STD = 1.0
    # Ground-truth masks are kept as a small picture of what is inside the box.
    USE_MINI_MASK = True
    MINI_MASK_SHAPE = (56, 56)
    MAX_GT_INSTANCES = 100
    # Train on images without objects too; otherwise they are passed over.
    KEEP_EMPTY_IMAGES = False

    # --- Second stage -------------------------------------------------------------------
    # "matterport": one bilinear sample a bin (for its weights). "aligned": as in the paper. "unaligned": half a cell
    # off, for weights of torchvision.
    ROI_ALIGN = "matterport"
    # Samples along each side of a bin, for all but "matterport"; 0 for as many as a bin has pixels.
    ROI_SAMPLING_RATIO = 2
    # "fc": two fully connected layers. "conv": four convolutions and one fully connected layer.
    BOX_HEAD = "fc"
    POOL_SIZE = 7
    MASK_POOL_SIZE = 14
    # Twice MASK_POOL_SIZE: the mask head doubles it.
    MASK_SHAPE = [28, 28]
    TRAIN_ROIS_PER_IMAGE = 200
    ROI_POSITIVE_RATIO = 0.33
    # "ratio": proposals, as many negatives as keep the ratio. "fill": proposals and the objects' own boxes, negatives
    # fill the sample.
    ROI_TARGETS = "ratio"
    # Of each pixel of a mask: "binary", whether it is the object's, or its "shares", for ROI_TARGETS = "fill" only.
    MASK_TARGETS = "binary"
    # Both box losses are quadratic below BETA. Per "positive" sample: the mean of the four deltas' losses; per
    # "sampled" one, negatives too: their sum.
    BBOX_LOSS_BETA = 1.0
    # Of the RPN's alone; None for the same.
    RPN_BBOX_LOSS_BETA = None
    BBOX_LOSS_PER = "positive"
    BBOX_STD_DEV = np.array([0.1, 0.1, 0.2, 0.2])
    # Highest logarithm of a box's growth by its deltas; None sets no limit.
    BBOX_LOG_LIMIT = None
    # False: the second stage trains on rois given as an input instead of the proposals.
    USE_RPN_ROIS = True

    # --- Keypoints, of a KeypointRCNN ---------------------------------------------------
    NUM_KEYPOINTS = 17
    KEYPOINT_POOL_SIZE = 14
    # Width of the head's eight convolutions.
    KEYPOINT_CHANNELS = 512
    # Added to the data set's coordinates for the network and taken off its answers: 0.5 where whole numbers name the
    # centres of pixels, as in COCO.
    KEYPOINT_OFFSET = 0.5
    # What a keypoint's score is, at its place: "probability" in its heat map, or "logit".
    KEYPOINT_SCORE = "probability"

    # --- Detection ----------------------------------------------------------------------
    DETECTION_MAX_INSTANCES = 100
    DETECTION_MIN_CONFIDENCE = 0.7
    DETECTION_NMS_THRESHOLD = 0.3
    # "best_class": each proposal gives one detection at most; "per_class": one of each class at most.
    DETECTIONS = "best_class"
    # How a mask is enlarged: "box" fills the box rounded to whole pixels; "padded" is torchvision's way, "centers"
    # Detectron2's.
    MASK_PASTE = "box"

    # --- Optimisation -------------------------------------------------------------------
    # "sgd", "adam" or "adamw".
    OPTIMIZER = "sgd"
    LEARNING_RATE = 0.001
    LEARNING_MOMENTUM = 0.9
    # Of "adamw" in each step; else of the mean of each weight's squares, in the loss.
    WEIGHT_DECAY = 0.0001
    # Largest norm of one weight's gradient; None does not clip.
    GRADIENT_CLIP_NORM = 5.0
    # A loss that is not named weighs 1.
    LOSS_WEIGHTS = {
        "rpn_class_loss": 1.0,
        "rpn_bbox_loss": 1.0,
        "mrcnn_class_loss": 1.0,
        "mrcnn_bbox_loss": 1.0,
        "mrcnn_mask_loss": 1.0,
    }

    def __init__(self):
        self.__dict__.pop("_assigned", None)
        for name in DERIVED:
            derive(self, name)
        for name in ("BACKBONE", "COMPUTE_BACKBONE_SHAPE"):
            _keep_function(self, name)
        # From here on an assignment to a computed value is the user's wish and stays.
        self.__dict__["_assigned"] = set()
        _warn_about_class_attributes(self)

    def __setattr__(self, name, value):
        if not name.startswith("_"):
            _warn_if_near_miss(self, name)
        super().__setattr__(name, value)
        assigned = self.__dict__.get("_assigned")
        if assigned is None:
            return
        if name in DERIVED:
            # A set of its own: a copy of a configuration begins with the same one.
            assigned = self.__dict__["_assigned"] = assigned | {name}
        changed = {name}
        for derived, (sources, _) in DERIVED.items():
            if changed.intersection(sources) and derived not in assigned:
                derive(self, derived)
                changed.add(derived)

    def validate(self, mode=None):
        """Check all values against each other before a model is built.

        Args:
            mode: "training" or "inference" adds the checks of that use; None only the common.

        Raises:
            ValueError: one line for each attribute in error, with its value and what is allowed.
        """
        if mode not in (None, "training", "inference"):
            raise ValueError(f'mode is {mode!r}; use "training", "inference" or None.')
        problems = find_problems(self, mode)
        if problems:
            raise ValueError(f"{type(self).__name__}: " + "\n".join(problems))

    def to_dict(self):
        """All public values that are not functions, sorted by name."""
        public = (name for name in sorted(dir(self)) if not name.startswith("_"))
        return {name: getattr(self, name) for name in public if not callable(getattr(self, name))}

    def display(self):
        """Print all values, one a line."""
        print("\nConfigurations:")
        for name, value in self.to_dict().items():
            # Numpy breaks the lines of arrays.
            print(f"{name:30} {value}".replace("\n", ""))
        print("\n")


def require_config(config):
    """Raises TypeError for anything but an instance of a `Config`, so for the class itself too."""
    if isinstance(config, type):
        raise TypeError(f"config is the class {config.__name__}: pass an instance, {config.__name__}().")
    # No isinstance: a notebook that reloads this module has instances of the class of before.
    if not callable(getattr(config, "validate", None)):
        raise TypeError(f"config is {config!r}: pass an instance of a subclass of mrcnn.config.Config.")


def _keep_function(config, name):
    """Keep a function of the class body from becoming a method, unless it asks for `self`."""
    function = getattr(type(config), name)
    if inspect.isfunction(function) and "self" not in inspect.signature(function).parameters:
        config.__dict__.setdefault(name, function)


def _known_names(config):
    """Names that the package itself declares, also in a later architecture's own config."""
    package = __name__.partition(".")[0]
    names = set(DERIVED)
    for cls in type(config).__mro__:
        if cls.__module__.partition(".")[0] == package:
            names.update(name for name in vars(cls) if name.isupper())
    return names


def _warn_if_near_miss(config, name, stacklevel=3):
    known = _known_names(config)
    if name in known or (type(config), name) in _WARNED:
        return
    close = difflib.get_close_matches(name.upper(), known, n=1, cutoff=0.85)
    if close:
        _WARNED.add((type(config), name))
        warnings.warn(
            f"{type(config).__name__}.{name} is not a setting of this package and has no effect: "
            f"did you mean {close[0]}?",
            stacklevel=stacklevel,
        )


def _warn_about_class_attributes(config):
    for cls in type(config).__mro__:
        for name in vars(cls):
            if name.startswith("_") or callable(getattr(cls, name)):
                continue
            _warn_if_near_miss(config, name, stacklevel=4)
            if name in DERIVED and (cls, name) not in _WARNED:
                _WARNED.add((cls, name))
                warnings.warn(
                    f"{cls.__name__}.{name} is computed from {' and '.join(DERIVED[name][0])}; the value "
                    f"in the class is not used. Set those, or assign {name} on the instance.",
                    stacklevel=4,
                )
