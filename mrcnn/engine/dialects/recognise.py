"""Which dialect a file speaks, and which ready configuration its weights belong to."""

from .detectron2 import DETECTRON2
from .torchvision import TORCHVISION

DIALECTS = {dialect.name: dialect for dialect in (TORCHVISION, DETECTRON2)}

READY_CONFIGURATIONS = (
    "torchvision_maskrcnn_r50_fpn",
    "torchvision_maskrcnn_r50_fpn_v2",
    "torchvision_fasterrcnn_r50_fpn",
    "torchvision_keypointrcnn_r50_fpn",
    "detectron2_maskrcnn_r50_fpn",
    "detectron2_maskrcnn_r101_fpn",
    "detectron2_maskrcnn_x101_fpn",
    "detectron2_keypointrcnn_r50_fpn",
)
# Blocks in the stages 2 to 5; inputs of a group and outputs of the first 3x3 convolution.
_DEPTHS = {(3, 4, 6, 3): "50", (3, 4, 23, 3): "101"}
_KINDS = {(64, 64): "r", (8, 256): "x"}
_EVERY_DETECTOR_HAS = ("conv1", "fpn_c5p5", "rpn_bbox_pred", "mrcnn_class_logits")
_SHOWN = 3


def find_dialect(state, path):
    """The `Dialect` of the arrays `state`, {key: array}.

    Raises:
        ValueError: the keys are of no detector that is known here, or of two.
    """
    found = [dialect for dialect in DIALECTS.values() if any(key.startswith(dialect.marks) for key in state)]
    if len(found) == 1:
        return found[0]
    shown = ", ".join(list(state)[:_SHOWN]) or "none"
    raise ValueError(
        f"{path} holds {len(state)} arrays ({shown}, ...) with names of {'both' if found else 'neither'} torchvision's "
        f"{'and' if found else 'nor'} Detectron2's detectors with a feature pyramid. Expected one of: a state dict of "
        "torchvision.models.detection, or a file of Detectron2's model zoo; weights of a backbone alone are not read."
    )


def recognise(state):
    """The ready configuration that the weights `state`, {key: array}, belong to, or None.

    Raises:
        ValueError: see `find_dialect` and `Dialect.read`.
    """
    dialect = find_dialect(state, "The state dict")
    moved, _ = dialect.read(state, "The state dict")
    return ready_configuration(dialect.name, {row.name: row.ours.shape for row in moved})


def ready_configuration(dialect_name, shapes):
    """The ready configuration with weights of these shapes, {(layer, weight): shape}, or None.

    The number of classes is left out of account.
    """
    layers = {layer for layer, _ in shapes}
    task = "keypoint" if "mrcnn_keypoint_deconv" in layers else "mask" if "mrcnn_mask" in layers else "faster"
    name = _name(dialect_name, task, layers, shapes)
    return name if name in READY_CONFIGURATIONS else None


def related_configuration(dialect_name, shapes):
    """As `ready_configuration`; where there is none for the heads, the one with masks on the same backbone, or None."""
    related = _name(dialect_name, "mask", {layer for layer, _ in shapes}, shapes)
    return ready_configuration(dialect_name, shapes) or (related if related in READY_CONFIGURATIONS else None)


def _name(dialect_name, task, layers, shapes):
    """The name that a ready configuration for these weights has; None where they are no known detector's."""
    depth = _DEPTHS.get(tuple(_count_blocks(layers, stage) for stage in (2, 3, 4, 5)))
    kind = _KINDS.get(tuple(shapes.get(("res2a_branch2b", "kernel"), ())[2:]))
    if depth is None or kind is None or not layers.issuperset(_EVERY_DETECTOR_HAS):
        return None
    return f"{dialect_name}_{task}rcnn_{kind}{depth}_fpn{'_v2' if 'mrcnn_class_fc' in layers else ''}"


def _count_blocks(layers, stage):
    return sum(name.startswith(f"res{stage}") and name.endswith("_branch2a") for name in layers)


def describe_fit(dialect_name, shapes):
    """A sentence that names the ready configuration with weights of these shapes, {(layer, weight): shape}."""
    configuration = ready_configuration(dialect_name, shapes)
    classes = shapes.get(("mrcnn_class_logits", "bias"), ("?",))[0]
    if configuration:
        return f'The file fits the configuration "{configuration}" with NUM_CLASSES = {classes}.'
    return f"No ready configuration has this network of {dialect_name} ({', '.join(READY_CONFIGURATIONS)} exist)."
