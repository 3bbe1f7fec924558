"""Small state dicts with the names of torchvision's and Detectron2's detectors, and Keras models that hold ours."""

import keras
import numpy as np

BLOCKS_50, BLOCKS_101 = (3, 4, 6, 3), (3, 4, 23, 3)
# The stages from 3 on, the pyramid and the heads.
SMALL = 4


def _fill(shapes, seed):
    rng = np.random.default_rng(seed)
    return {key: rng.normal(size=shape).astype("float32") for key, shape in shapes.items()}


def _norm(key, channels):
    return {f"{key}.{name}": (channels,) for name in ("weight", "bias", "running_mean", "running_var")}


def _layer(key, *shape):
    return {f"{key}.weight": shape, f"{key}.bias": (shape[0],)}


def _transposed(key, inputs, outputs, side):
    return {f"{key}.weight": (inputs, outputs, side, side), f"{key}.bias": (outputs,)}


def torchvision_state(classes=5, task="mask", blocks=BLOCKS_50, seed=0):
    """{key: array} of a narrow torchvision detector with today's names; `task` is "mask", "keypoint" or "faster"."""
    body = "backbone.body"
    shapes = {f"{body}.conv1.weight": (64, 3, 7, 7), **_norm(f"{body}.bn1", 64)}
    for stage, count in enumerate(blocks, start=1):
        width = 64 if stage == 1 else SMALL
        for index in range(count):
            block = f"{body}.layer{stage}.{index}"
            for number, side in ((1, 1), (2, 3), (3, 1)):
                shapes |= {f"{block}.conv{number}.weight": (width, width, side, side)}
                shapes |= _norm(f"{block}.bn{number}", width)
            if index == 0:
                shapes |= {f"{block}.downsample.0.weight": (width, width, 1, 1)}
                shapes |= _norm(f"{block}.downsample.1", width)
    for index in range(4):
        shapes |= _layer(f"backbone.fpn.inner_blocks.{index}.0", SMALL, SMALL, 1, 1)
        shapes |= _layer(f"backbone.fpn.layer_blocks.{index}.0", SMALL, SMALL, 3, 3)
    shapes |= _layer("rpn.head.conv.0.0", SMALL, SMALL, 3, 3)
    shapes |= _layer("rpn.head.cls_logits", 3, SMALL, 1, 1) | _layer("rpn.head.bbox_pred", 12, SMALL, 1, 1)
    shapes |= _layer("roi_heads.box_head.fc6", 6, SMALL * 49) | _layer("roi_heads.box_head.fc7", 6, 6)
    shapes |= _layer("roi_heads.box_predictor.cls_score", classes, 6)
    shapes |= _layer("roi_heads.box_predictor.bbox_pred", 4 * classes, 6)
    if task == "mask":
        for index in range(4):
            shapes |= _layer(f"roi_heads.mask_head.{index}.0", SMALL, SMALL, 3, 3)
        shapes |= _transposed("roi_heads.mask_predictor.conv5_mask", SMALL, SMALL, 2)
        shapes |= _layer("roi_heads.mask_predictor.mask_fcn_logits", classes, SMALL, 1, 1)
    if task == "keypoint":
        for index in range(8):
            shapes |= _layer(f"roi_heads.keypoint_head.{2 * index}", SMALL, SMALL, 3, 3)
        shapes |= _transposed("roi_heads.keypoint_predictor.kps_score_lowres", SMALL, 17, 4)
    return _fill(shapes, seed)


def detectron2_state(classes=4, blocks=BLOCKS_50, groups=1, seed=0):
    """{key: array} of a narrow Mask R-CNN of Detectron2 with `classes` objects, the background not counted."""
    body = "backbone.bottom_up"
    shapes = {f"{body}.stem.conv1.weight": (64, 3, 7, 7), **_norm(f"{body}.stem.conv1.norm", 64)}
    for stage, count in enumerate(blocks, start=2):
        width = SMALL if stage > 2 else 64 if groups == 1 else 256
        for index in range(count):
            parts = {"conv1": (width, 1), "conv2": (width // groups or 1, 3), "conv3": (width, 1)}
            parts |= {"shortcut": (width, 1)} if index == 0 else {}
            for part, (inputs, side) in parts.items():
                key = f"{body}.res{stage}.{index}.{part}"
                shapes |= {f"{key}.weight": (width, inputs, side, side), **_norm(f"{key}.norm", width)}
    for level in (2, 3, 4, 5):
        shapes |= _layer(f"backbone.fpn_lateral{level}", SMALL, SMALL, 1, 1)
        shapes |= _layer(f"backbone.fpn_output{level}", SMALL, SMALL, 3, 3)
    rpn, box, mask = "proposal_generator.rpn_head", "roi_heads.box_head", "roi_heads.mask_head"
    shapes |= _layer(f"{rpn}.conv", SMALL, SMALL, 3, 3) | _layer(f"{rpn}.objectness_logits", 3, SMALL, 1, 1)
    shapes |= _layer(f"{rpn}.anchor_deltas", 12, SMALL, 1, 1)
    shapes |= _layer(f"{box}.fc1", 6, SMALL * 49) | _layer(f"{box}.fc2", 6, 6)
    shapes |= _layer("roi_heads.box_predictor.cls_score", classes + 1, 6)
    shapes |= _layer("roi_heads.box_predictor.bbox_pred", 4 * classes, 6)
    for number in (1, 2, 3, 4):
        shapes |= _layer(f"{mask}.mask_fcn{number}", SMALL, SMALL, 3, 3)
    shapes |= _transposed(f"{mask}.deconv", SMALL, SMALL, 2) | _layer(f"{mask}.predictor", classes, SMALL, 1, 1)
    return _fill(shapes, seed)


class _Holder(keras.layers.Layer):
    """Owns weights of the given shapes and does nothing."""

    def __init__(self, shapes, **kwargs):
        super().__init__(**kwargs)
        for name, shape in shapes.items():
            self.add_weight(name=name, shape=shape, initializer="ones")


class _Network(keras.Model):
    """Owns the layers it is given."""

    def __init__(self, parts):
        super().__init__()
        self.parts = parts


def holder(dialect, state):
    """A Keras model with exactly the layers, weights and shapes that `state` becomes, all ones."""
    by_layer = {}
    for row in dialect.read(state, "test")[0]:
        by_layer.setdefault(row.entry.layer, {})[row.entry.weight] = row.ours.shape
    return _Network([_Holder(shapes, name=layer) for layer, shapes in by_layer.items()])


def held(model):
    """{(layer, weight): array} of a `holder`."""
    return {tuple(w.path.split("/")[-2:]): keras.ops.convert_to_numpy(w.value) for w in model.weights}


def arrays_of_all_kinds():
    """A state dict with several shapes, types and orders in memory."""
    rng = np.random.default_rng(0)
    return {
        "a.weight": rng.normal(size=(4, 3, 2, 1)).astype("float32"), "a.bias": np.array([1.5], "float64"),
        "n": np.array(7), "empty": np.zeros((0, 3), "float32"), "turned": np.ones((2, 3), "float32").T,
    }


def same_arrays(a, b):
    """Whether two state dicts have the same names, types and numbers."""
    return a.keys() == b.keys() and all(a[k].dtype == b[k].dtype and np.array_equal(a[k], b[k]) for k in a)
