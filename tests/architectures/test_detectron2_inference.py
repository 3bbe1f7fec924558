"""Detectron2's Mask and Keypoint R-CNN, loaded from their own weights, give Detectron2's numbers stage by stage."""

import keras
import numpy as np
import pytest

from mrcnn.architectures.keypoint_rcnn import KeypointRCNN
from mrcnn.architectures.mask_rcnn import MaskRCNN
from mrcnn.configurations import Detectron2KeypointRCNN, Detectron2MaskRCNN
from mrcnn.data.keypoints import find_keypoints
from mrcnn.data.mask_paste import paste_centers
from tests import golden_stages as stages
from tests import golden_torchvision as peer

pytestmark = [pytest.mark.jax, pytest.mark.slow]
MASK, KEYPOINT = "d2_mask_rcnn_R_50_FPN_3x", "d2_keypoint_rcnn_R_50_FPN_3x"
MODELS = {MASK: (MaskRCNN, Detectron2MaskRCNN), KEYPOINT: (KeypointRCNN, Detectron2KeypointRCNN)}
CASES = [(model, case) for model in MODELS for case in ("synth", "batch", "photo_a")]
IN_TESTS = [
    pytest.param(case, marks=() if case[1] == "synth" else pytest.mark.longest, id="-".join(case)) for case in CASES
]
LAYERS = {
    "res2": "res2c_out", "res3": "res3d_out", "res4": "res4f_out", "res5": "res5c_out",
    "p2": "fpn_p2", "p3": "fpn_p3", "p4": "fpn_p4", "p5": "fpn_p5", "p6": "fpn_p6",
}  # fmt: skip
TOLERANCES = {"res2": 1e-4, "res3": 2e-4, "res4": 5e-4, "res5": 1e-3}


def images_of(folder, case, config):
    """The molded images: padded to one size, mean subtracted, red first."""
    height, width = case["padded_size"]
    images = np.zeros((len(case["image_sizes"]), height, width, 3), np.float32)
    if "image_bgr" in case:
        pixels = case["image_bgr"][..., ::-1]
        images[0, : pixels.shape[0], : pixels.shape[1]] = pixels - config.MEAN_PIXEL.astype(np.float32)
        return images
    synth = peer.synth(folder)
    for seed, (canvas, size) in enumerate(zip(images, case["image_sizes"], strict=True)):
        pixels = synth.scene(*(int(side) for side in size), seed)[0]
        canvas[: size[0], : size[1]] = pixels - config.MEAN_PIXEL.astype(np.float32)
    return images


@pytest.fixture(scope="module", params=IN_TESTS)
def run(request, golden_torchvision, tmp_path_factory):
    return run_case(golden_torchvision, *request.param, tmp_path_factory.mktemp("run"))


def run_case(folder, model_name, name, target):
    """The case, the report on its weights, its images, and what the model's layers and outputs gave."""
    case, meta = peer.arrays(folder, f"{model_name}__{name}")
    model_class, config_class = MODELS[model_name]
    numbers = dict(zip(meta.get("overrides", [])[::2], meta.get("overrides", [])[1::2], strict=True))
    config = config_class()
    images = images_of(folder, case, config)
    config.IMAGES_PER_GPU = len(images)
    config.PRE_NMS_LIMIT = numbers.get("MODEL.RPN.PRE_NMS_TOPK_TEST", 1000)
    config.POST_NMS_ROIS_INFERENCE = numbers.get("MODEL.RPN.POST_NMS_TOPK_TEST", 1000)
    config.DETECTION_MAX_INSTANCES = numbers.get("TEST.DETECTIONS_PER_IMAGE", 100)
    model = model_class("inference", config, target)
    report = model.load_weights(peer.weight_file(folder, model_name, target))
    metas = peer.metas_of(images, case["image_sizes"], case["image_sizes"], config.NUM_CLASSES)
    graph = model.keras_model
    probes = {key: graph.get_layer(layer).output for key, layer in LAYERS.items()}
    probes["anchors"] = graph.get_layer("anchors").output
    third = "masks" if model_name == MASK else "keypoint_logits"
    names = ("detections", "probs", "deltas", third, "proposals", "rpn_probs", "rpn_deltas")
    probes |= dict(zip(names, graph.outputs, strict=True))
    inputs, regions = stages.add_stages(graph, case, probes, [probes[f"p{level}"] for level in (2, 3, 4, 5)])
    values = keras.Model(inputs, probes).predict_on_batch([images, metas, *regions])
    return case, report, images, keras.tree.map_structure(keras.ops.convert_to_numpy, values)


def rows(images):
    """Number and prefix in the case's keys of each image."""
    return [(i, f"{i}/" if len(images) > 1 else "") for i in range(len(images))]


def same_detections(run, within=1e-3):
    """(image, prefix, row there, row here) of detections whose boxes agree with the peer's to so many pixels."""
    case, _, images, values = run
    for row, prefix in rows(images):
        detections = values["detections"][row]
        boxes = peer.pixels(detections[:, :4], images[row].shape)
        same = np.abs(case[f"{prefix}det_boxes_input"][:, None] - boxes[None]).max(-1) <= within
        same &= case[f"{prefix}det_classes"][:, None] + 1 == detections[None, :, 4]
        yield from ((row, prefix, there, here) for there, here in np.argwhere(same))


def test_every_weight_is_loaded(run):
    assert not run[1].missing and not run[1].unused


def test_features_and_the_rpn(run):
    case, _, _, values = run
    if "res2/coords" not in case:
        pytest.skip("this case keeps no features")
    for key in LAYERS:
        coords = case[f"{key}/coords"].astype(int)
        found = values[key].transpose(0, 3, 1, 2)[tuple(coords.T)]
        assert peer.deviation(found, case[f"{key}/values"]) <= TOLERANCES.get(key, 1e-3), key
    stages.check_objectness(values, case)
    np.testing.assert_allclose(values["anchors"][:, peer.SWAPPED], case["anchors"], atol=1e-4)
    assert peer.deviation(values["rpn_deltas"][0][:, peer.SWAPPED], case["rpn_deltas"]) <= 1e-3


def test_stable_proposals(run):
    case, _, images, values = run
    for row, prefix in rows(images):
        proposals = peer.pixels(values["proposals"][row], images[row].shape)
        stable = case[f"{prefix}proposal_stable"]
        assert peer.share_found(case[f"{prefix}proposals"], proposals, stable) >= 0.99


def test_boxes_of_the_peers_proposals(run):
    case, _, _, values = run
    if "box_pool" not in values:
        pytest.skip("this case keeps no logits")
    stages.check_boxes(values, case, background_last=True)


def test_stable_detections(run):
    case, _, images, values = run
    for row, prefix in rows(images):
        detections = values["detections"][row]
        detections = detections[detections[:, 4] > 0]
        share = peer.share_found(
            case[f"{prefix}det_boxes_input"],
            peer.pixels(detections[:, :4], images[row].shape),
            case[f"{prefix}det_stable"],
            (case[f"{prefix}det_classes"] + 1, detections[:, 4], 0),
            (case[f"{prefix}det_scores"], detections[:, 5], 2e-3),
        )
        assert share >= 0.98


def test_pasted_masks(run):
    """Of the peer's boxes and small masks: fewer than one pixel in a thousand lies so near one half that it differs."""
    case, _, images, values = run
    if "masks" not in values:
        pytest.skip("this model finds no masks")
    for row, prefix in rows(images):
        height, width = case["original_sizes"][row]
        boxes = case[f"{prefix}det_boxes"][:, peer.SWAPPED]
        pasted = np.moveaxis(paste_centers(case[f"{prefix}mask_probs"], boxes, (height, width)), -1, 0)
        expected = peer.masks_of(case, prefix, height, width)
        assert (pasted != expected).mean(axis=(1, 2)).max() < 1e-3


def test_masks_in_the_peers_boxes(run):
    case, _, _, values = run
    if "mask_logits" not in case:
        pytest.skip("this case keeps no logits of masks")
    stages.check_masks(values, case, case["det_classes"] + 1, paste_centers)


def test_heat_maps_in_the_peers_boxes(run):
    case, _, _, values = run
    if "kp_low" not in case:
        pytest.skip("this case keeps no heat maps")
    stages.check_heat_maps(values, case)


def test_masks_of_stable_detections(run):
    case, _, _, values = run
    if "masks" not in values:
        pytest.skip("this model finds no masks")
    compared = 0
    for row, prefix, there, here in same_detections(run):
        mask = values["masks"][row, here, :, :, int(values["detections"][row, here, 4])]
        np.testing.assert_allclose(mask, case[f"{prefix}mask_probs"][there], atol=5e-3)
        compared += 1
    assert compared >= 10


def keypoints_of_stable_detections(run):
    """Of detections whose boxes agree to 5e-4 pixels: distances from the peer's keypoints `[n, K]`, pixels, their
    scores and the peer's `[n, K]`.
    """
    case, _, images, values = run
    distances, here_scores, there_scores = [], [], []
    for row, prefix, there, here in same_detections(run, within=5e-4):
        box = peer.pixels(values["detections"][row, here : here + 1, :4], images[row].shape)[:, [1, 0, 3, 2]]
        points, scores = find_keypoints(values["keypoint_logits"][row, here : here + 1], box)
        expected = case[f"{prefix}keypoints_input"][there]
        distances.append(np.abs(points[0] - expected[:, [1, 0]]).max(axis=-1))
        here_scores.append(scores[0])
        there_scores.append(expected[:, 2])
    return np.array(distances), np.array(here_scores), np.array(there_scores)


def test_keypoints_of_stable_detections(run):
    """A keypoint may lie elsewhere where its map has a place about as likely."""
    if "keypoint_logits" not in run[-1]:
        pytest.skip("this model finds no keypoints")
    distances, scores, expected = keypoints_of_stable_detections(run)
    np.testing.assert_allclose(scores, expected, rtol=5e-3, atol=1e-5)
    assert len(distances) and np.mean(distances > 0.01) <= 0.02
