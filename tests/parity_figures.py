"""How near the detectors are to torchvision's and Detectron2's: `python -m tests.parity_figures FOLDER [WORD]`.

A row a case of the golden folder whose model has WORD in its name: the largest deviation of features and of the RPN's
deltas in standard deviations, the shares of the peer's stable proposals and detections that are found, the largest
difference of a mask's probability, and the share of keypoints within 0.01 pixels of the peer's, where boxes agree.
"""

import sys
import tempfile
from pathlib import Path

import keras
import numpy as np

from tests import golden_torchvision as peer
from tests.architectures import test_detectron2_inference as detectron2
from tests.architectures import test_torchvision_inference as torchvision


def figures(case, layers, images, values, classes, offset):
    """One case's numbers but for the keypoints'."""
    backbone = pyramid = deltas = masks = float("nan")
    if f"{next(iter(layers))}/coords" in case:
        by_layer = {}
        for key in layers:
            coords = case[f"{key}/coords"].astype(int)
            found = values[key].transpose(0, 3, 1, 2)[tuple(coords.T)]
            by_layer[key] = peer.deviation(found, case[f"{key}/values"])
        backbone = max(value for key, value in by_layer.items() if key[0] in "Cr")
        pyramid = max(value for key, value in by_layer.items() if key[0] in "Pp")
        deltas = peer.deviation(values["rpn_deltas"][0][:, peer.SWAPPED], case["rpn_deltas"])
    proposals, detections, differences = [], [], []
    for row in range(len(images)):
        prefix = f"{row}/" if len(images) > 1 else ""
        shape, found = images[row].shape, values["detections"][row]
        boxes = peer.pixels(found[:, :4], shape)
        here = peer.pixels(values["proposals"][row], shape)
        proposals.append(peer.share_found(case[f"{prefix}proposals"], here, case[f"{prefix}proposal_stable"]))
        labels, scores = case[f"{prefix}{classes}"] + offset, case[f"{prefix}det_scores"]
        close = (labels, found[:, 4], 0), (scores, found[:, 5], 2e-3)
        expected, stable = case[f"{prefix}det_boxes_input"], case[f"{prefix}det_stable"]
        detections.append(peer.share_found(expected, boxes, stable, *close))
        if "masks" in values:
            same = (np.abs(expected[:, None] - boxes[None]).max(-1) <= 1e-3) & (labels[:, None] == found[None, :, 4])
            for there, slot in np.argwhere(same):
                mask = values["masks"][row, slot, :, :, int(found[slot, 4])]
                differences.append(np.abs(mask - case[f"{prefix}mask_probs"][there]).max())
    masks = max(differences, default=masks)
    return backbone, pyramid, deltas, min(proposals), min(detections), masks


def main(folder, word=""):
    folder = Path(folder)
    print(f"keras {keras.__version__}, {keras.backend.backend()}")
    print("| model | case | backbone | pyramid | deltas | proposals | detections | masks | keypoints |")
    print("|---|---|---|---|---|---|---|---|---|")
    names = [getattr(case, "values", [case])[0] for case in torchvision.CASES]
    for name, case in [*names, *detectron2.CASES]:
        if word not in name:
            continue
        with tempfile.TemporaryDirectory() as target:
            if name in detectron2.MODELS:
                module, run = detectron2, detectron2.run_case(folder, name, case, Path(target))
                arrays, _, images, values = run
                row = figures(arrays, detectron2.LAYERS, images, values, "det_classes", 1)
            else:
                module, run = torchvision, torchvision.Run(folder, name, case, Path(target))
                values = run.values
                row = figures(run.case, run.layers, run.images, values, "det_labels", 0)
        near = float("nan")
        if "keypoint_logits" in values:
            near = (module.keypoints_of_stable_detections(run)[0] <= 0.01).mean()
        cells = ("" if np.isnan(value) else f"{value:.2g}" for value in (*row, near))
        print(f"| {name} | {case} | " + " | ".join(cells) + " |", flush=True)
        keras.backend.clear_session()


if __name__ == "__main__":
    main(*sys.argv[1:])
