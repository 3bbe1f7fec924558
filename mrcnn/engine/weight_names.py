"""Names of layers and weights as other programs wrote them, put into Matterport's words."""

import re

CLASS_HEADS = ("mrcnn_class_logits", "mrcnn_bbox_fc", "mrcnn_bbox", "mrcnn_mask")
# What a network for boxes alone does not have.
TASK_HEADS = ("mrcnn_mask", "mrcnn_keypoint")
# Entries of one class along the last axis of every weight of these layers.
CLASS_UNITS = {"mrcnn_class_logits": 1, "mrcnn_bbox_fc": 4, "mrcnn_mask": 1}

_KERAS_1_NAMES = {"W": "kernel", "b": "bias", "running_mean": "moving_mean", "running_std": "moving_variance"}
_BATCH_NORM = ("gamma", "beta", "moving_mean", "moving_variance")
KNOWN_WEIGHTS = ("kernel", "bias", *_BATCH_NORM)
_RESNET = re.compile(r"^conv([2-5])_block(\d+)_([0-3])_(conv|bn)$")
_RESNET_BRANCH = {"0": "1", "1": "2a", "2": "2b", "3": "2c"}
_RESNET_STEM = {"conv1_conv": "conv1", "conv1_bn": "bn_conv1"}


def canonical_weight(name, layer):
    """The weight's name in today's words: "conv1_W_1" of the layer "conv1" is "kernel".

    Keras 1 stored the variance under the name running_std. Unknown names are returned as they are.
    """
    short = name.removeprefix(f"{layer}_")
    stem, _, number = short.rpartition("_")
    if number.isdigit():
        short = stem
    short = _KERAS_1_NAMES.get(short, short)
    return short if short in KNOWN_WEIGHTS else name


def weights_by_order(shapes):
    """Names for the weights of one layer that are known by their order only.

    Args:
        shapes: the arrays' shapes, in the file's order.

    Returns:
        list of names; positions ("0", "1", ...) where order and rank do not tell the kind of layer.
    """
    ranks = [len(shape) for shape in shapes]
    if len(ranks) == 4 and set(ranks) == {1}:
        return list(_BATCH_NORM)
    if ranks == [1, 1]:
        return ["gamma", "beta"]
    if ranks and ranks[0] >= 2 and ranks[1:] in ([], [1]):
        return ["kernel", "bias"][: len(ranks)]
    return [str(position) for position in range(len(ranks))]


def matterport_resnet_name(layer):
    """Matterport's name of a layer of `keras.applications` ResNet-50/101, or None if it is not one.

    "conv2_block1_0_conv" (the shortcut) is "res2a_branch1", "conv4_block23_3_bn" is "bn4w_branch2c".
    """
    if layer in _RESNET_STEM:
        return _RESNET_STEM[layer]
    match = _RESNET.match(layer)
    if match is None:
        return None
    stage, block, part, kind = match.groups()
    prefix = "res" if kind == "conv" else "bn"
    return f"{prefix}{stage}{chr(ord('a') + int(block) - 1)}_branch{_RESNET_BRANCH[part]}"
