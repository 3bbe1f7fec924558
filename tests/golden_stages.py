"""Stages of a detector on the peer's own regions: more outputs of the graph that finds its own, and comparisons."""

import keras
import numpy as np

from tests import golden_torchvision as peer

# Kind of stage: the case's key of its regions, the layer that pools them, and its head.
STAGES = {
    "box": ("proposals", "roi_align_classifier", "mrcnn_classifier"),
    "mask": ("det_boxes_input", "roi_align_mask", "mrcnn_masks"),
    "keypoint": ("det_boxes_input", "roi_align_keypoint", "mrcnn_keypoints"),
}


def add_stages(graph, case, probes, pyramid):
    """Adds to `probes` the stem, the RPN's logits and, where `case` has them, the stages on its regions.

    Args:
        graph: of a detector in inference mode.
        case: what was recorded of the peer.
        probes: symbolic outputs by name; some are added.
        pyramid: P2 to P5 among them.

    Returns:
        the graph's inputs and those for the regions, and the arrays for the latter.
    """
    probes["stem"] = graph.get_layer("res2a_branch1").input
    probes["rpn_logits"] = keras.layers.Concatenate(axis=1)(graph.get_layer("ROI").input[5:])
    inputs, arrays = list(graph.inputs), []
    if "box_logits" not in case:
        return inputs, arrays
    by_name = {layer.name: layer for layer in graph.layers}
    for kind, (key, pool, head) in STAGES.items():
        if head in by_name:
            inputs.append(keras.Input((None, 4)))
            arrays.append(peer.normalised(case[key], case["padded_size"])[None])
            probes[f"{kind}_pool"] = by_name[pool]([inputs[-1], graph.inputs[1], *pyramid])
            probes[f"{kind}_head"] = by_name[head](probes[f"{kind}_pool"])
    return inputs, arrays


def check_objectness(values, case):
    """Of every anchor, as a logit: a probability is blind where it is nearly 0 or 1."""
    background, thing = np.moveaxis(values["rpn_logits"][0], -1, 0)
    assert peer.deviation(thing - background, case["rpn_objectness"]) <= 1e-3


def check_boxes(values, case, background_last):
    """Pooled cells, class logits and box deltas of the peer's proposals."""
    check_pooled(values["box_pool"][0][case["box_pool_rows"]], case["box_pool"])
    logits, deltas = (output[0] for output in values["box_head"])
    expected = case["box_logits"]
    deltas = deltas[case["box_delta_rows"]][..., peer.SWAPPED]
    if background_last:
        expected, deltas = np.roll(expected, 1, axis=1), deltas[:, 1:]
    assert peer.deviation(logits, expected) <= 1e-3
    assert peer.deviation(deltas.reshape(len(deltas), -1), case["box_deltas"]) <= 1e-3


def check_pooled(cells, expected):
    """Every eighth channel is recorded."""
    assert peer.deviation(cells[..., ::8].transpose(0, 3, 1, 2), expected) <= 1e-3


def check_masks(values, case, class_ids, paste):
    """Mask logits in the peer's boxes, and the pixels of the image that they mark."""
    logits = values["mask_head"][0][np.arange(len(class_ids)), :, :, class_ids]
    assert peer.deviation(logits, case["mask_logits"]) <= 2e-3
    if "mask_pool" in case:
        check_pooled(values["mask_pool"][0][: len(case["mask_pool"])], case["mask_pool"])
    height, width = case["original_sizes"][0]
    pasted = paste(1 / (1 + np.exp(-logits)), case["det_boxes"][:, peer.SWAPPED], (height, width))
    differing = np.moveaxis(pasted, -1, 0) != peer.masks_of(case, "", height, width)
    assert differing.mean(axis=(1, 2)).max() < 1e-3


def check_heat_maps(values, case):
    """Heat maps in the peer's boxes; of some boxes they are recorded before the last doubling only."""
    found = values["keypoint_head"][0]
    low = keras.ops.image.resize(case["kp_low"], found.shape[1:3], data_format="channels_first")
    for expected in (keras.ops.convert_to_numpy(low), *([case["kp_logits"]] if "kp_logits" in case else [])):
        assert peer.deviation(found[: len(expected)].transpose(0, 3, 1, 2), expected) <= 2e-3
