"""torchvision's detectors, loaded from their own weights, give torchvision's numbers stage by stage."""

import keras
import numpy as np
import pytest

from mrcnn.data.mask_paste import paste_padded
from tests import golden_stages as stages
from tests import golden_torchvision as peer

pytestmark = pytest.mark.jax
CASES = [
    ("maskrcnn_resnet50_fpn", "synth"),
    *(
        pytest.param((model, case), marks=[pytest.mark.slow, *more])
        for model, case, *more in [
            ("maskrcnn_resnet50_fpn", "photo_a"),
            ("maskrcnn_resnet50_fpn", "batch"),
            ("maskrcnn_resnet50_fpn_v2", "synth"),
            ("maskrcnn_resnet50_fpn_v2", "photo_a", pytest.mark.longest),
            ("maskrcnn_resnet50_fpn_v2", "batch", pytest.mark.longest),
            ("fasterrcnn_resnet50_fpn", "synth"),
            ("fasterrcnn_resnet50_fpn", "batch", pytest.mark.longest),
            ("keypointrcnn_resnet50_fpn", "synth"),
            ("keypointrcnn_resnet50_fpn", "photo_a", pytest.mark.longest),
            ("keypointrcnn_resnet50_fpn", "batch", pytest.mark.longest),
        ]
    ),
]
BACKBONE = {"C2": "res2c_out", "C3": "res3d_out", "C4": "res4f_out", "C5": "res5c_out"}
# A few times the noise between two convolution kernels of one program, in standard deviations.
TOLERANCES = {"stem": 5e-5, "C2": 1e-4, "C3": 2e-4, "C4": 5e-4, "C5": 1e-3}


class Run:
    """A case, its model, and what the model gave."""

    def __init__(self, folder, name, case, target):
        self.case, meta = peer.arrays(folder, f"{name}__{case}")
        model_class, config_class = peer.MODELS[name]
        config, numbers = config_class(), meta["kwargs"]
        images = np.ascontiguousarray(self.case["input"].transpose(0, 2, 3, 1))
        config.IMAGES_PER_GPU = len(images)
        config.PRE_NMS_LIMIT = numbers.get("rpn_pre_nms_top_n_test", 1000)
        config.POST_NMS_ROIS_INFERENCE = numbers.get("rpn_post_nms_top_n_test", 1000)
        config.DETECTION_MAX_INSTANCES = numbers.get("box_detections_per_img", 100)
        self.model = model_class("inference", config, target)
        self.report = self.model.load_weights(peer.weight_file(folder, name, target))
        sizes, originals = self.case["image_sizes"], self.case["original_sizes"]
        metas = peer.metas_of(images, sizes, originals, config.NUM_CLASSES)
        self.images = images
        graph = self.model.keras_model
        fpn = "fpn_p{}" if config.FPN_NORM == "none" else "fpn_p{}_bn"
        layers = BACKBONE | {f"P{level}": fpn.format(level) for level in (2, 3, 4, 5)} | {"P6": "fpn_p6"}
        probes = {key: graph.get_layer(layer).output for key, layer in layers.items()}
        probes["anchors"] = graph.get_layer("anchors").output
        names = ("detections", "probs", "deltas", "masks", "proposals", "rpn_probs", "rpn_deltas")
        if model_class is peer.FasterRCNN:
            names = tuple(name for name in names if name != "masks")
        if model_class is peer.KeypointRCNN:
            names = tuple("keypoint_logits" if name == "masks" else name for name in names)
        probes |= dict(zip(names, graph.outputs, strict=True))
        inputs, regions = stages.add_stages(graph, self.case, probes, [probes[f"P{level}"] for level in (2, 3, 4, 5)])
        values = keras.Model(inputs, probes).predict_on_batch([images, metas, *regions])
        self.values = keras.tree.map_structure(keras.ops.convert_to_numpy, values)
        self.layers = layers

    def rows(self):
        """Number and prefix in the case's keys of each image."""
        return [(i, f"{i}/" if len(self.images) > 1 else "") for i in range(len(self.images))]

    def results(self, row):
        """What `detect` would return for an image."""
        third = self.values.get("masks", self.values.get("keypoint_logits"))
        outputs = [self.values[key] for key in ("detections", "probs", "deltas")] + [third]
        window = (0, 0, *self.case["image_sizes"][row])
        shape = (*self.case["original_sizes"][row], 3)
        return self.model.read_result(outputs, row, shape, self.images[row].shape, window, self.model.config)


@pytest.fixture(scope="module", params=CASES, ids="-".join)
def run(request, golden_torchvision, tmp_path_factory):
    return Run(golden_torchvision, *request.param, tmp_path_factory.mktemp("run"))


def test_every_weight_is_loaded(run):
    assert not run.report.missing and not run.report.unused


def test_features(run):
    if "C2/coords" not in run.case:
        pytest.skip("this case keeps no features")
    for key in ("stem", *run.layers):
        coords = run.case[f"{key}/coords"].astype(int)
        values = run.values[key].transpose(0, 3, 1, 2)[tuple(coords.T)]
        assert peer.deviation(values, run.case[f"{key}/values"]) <= TOLERANCES.get(key, 1e-3), key


def test_anchors_and_what_the_rpn_says_of_them(run):
    if "rpn_objectness" not in run.case:
        pytest.skip("this case keeps no objectness")
    np.testing.assert_allclose(run.values["anchors"][:, peer.SWAPPED], run.case["anchors"], atol=1e-4)
    stages.check_objectness(run.values, run.case)
    assert peer.deviation(run.values["rpn_deltas"][0][:, peer.SWAPPED], run.case["rpn_deltas"]) <= 1e-3


def test_stable_proposals(run):
    for row, prefix in run.rows():
        proposals = peer.pixels(run.values["proposals"][row], run.images[row].shape)
        stable = run.case[f"{prefix}proposal_stable"]
        assert peer.share_found(run.case[f"{prefix}proposals"], proposals, stable) >= 0.99


def test_boxes_of_the_peers_proposals(run):
    if "box_pool" not in run.values:
        pytest.skip("this case keeps no logits")
    stages.check_boxes(run.values, run.case, background_last=False)
    hidden = run.case["box_head"]
    logits = keras.ops.convert_to_numpy(run.model.parts.box_head.class_logits(hidden))
    assert peer.deviation(logits, run.case["box_logits"][: len(hidden)]) <= 1e-3


def test_stable_detections(run):
    for row, prefix in run.rows():
        detections = run.values["detections"][row]
        detections = detections[detections[:, 4] > 0]
        assert len(detections) == len(run.case[f"{prefix}det_labels"])
        share = peer.share_found(
            run.case[f"{prefix}det_boxes_input"],
            peer.pixels(detections[:, :4], run.images[row].shape),
            run.case[f"{prefix}det_stable"],
            (run.case[f"{prefix}det_labels"], detections[:, 4], 0),
            (run.case[f"{prefix}det_scores"], detections[:, 5], 2e-3),
        )
        assert share >= 0.98


def test_results_in_pixels(run):
    for row, prefix in run.rows():
        found = run.results(row)
        share = peer.share_found(
            run.case[f"{prefix}det_boxes"],
            found["rois"][:, peer.SWAPPED],
            run.case[f"{prefix}det_stable"],
            (run.case[f"{prefix}det_labels"], found["class_ids"], 0),
            (run.case[f"{prefix}det_scores"], found["scores"], 2e-3),
        )
        assert share >= 0.98


def test_pasted_masks(run):
    """Of the peer's boxes and small masks, pixel for pixel."""
    if "masks" not in run.values:
        pytest.skip("this model finds no masks")
    for row, prefix in run.rows():
        height, width = run.case["original_sizes"][row]
        boxes = run.case[f"{prefix}det_boxes"][:, peer.SWAPPED]
        pasted = paste_padded(run.case[f"{prefix}mask_probs"], boxes, (height, width))
        np.testing.assert_array_equal(np.moveaxis(pasted, -1, 0), peer.masks_of(run.case, prefix, height, width))


def test_masks_in_the_peers_boxes(run):
    if "mask_logits" not in run.case:
        pytest.skip("this case keeps no logits of masks")
    stages.check_masks(run.values, run.case, run.case["det_labels"], paste_padded)


def test_masks_of_stable_detections(run):
    """On boxes that agree with the peer's to 2e-3 pixels."""
    if "masks" not in run.values:
        pytest.skip("this model finds no masks")
    compared = 0
    for row, prefix, there, here in same_detections(run, within=2e-3):
        mask = run.values["masks"][row, here, :, :, int(run.values["detections"][row, here, 4])]
        np.testing.assert_allclose(mask, run.case[f"{prefix}mask_probs"][there], atol=5e-3)
        compared += 1
    assert compared >= 10


def same_detections(run, within):
    """(image, prefix, row there, row here) of detections whose boxes agree with the peer's to so many pixels."""
    for row, prefix in run.rows():
        detections = run.values["detections"][row]
        boxes = peer.pixels(detections[:, :4], run.images[row].shape)
        same = np.abs(run.case[f"{prefix}det_boxes_input"][:, None] - boxes[None]).max(-1) <= within
        same &= run.case[f"{prefix}det_labels"][:, None] == detections[None, :, 4]
        yield from ((row, prefix, there, here) for there, here in np.argwhere(same))


def test_heat_maps_in_the_peers_boxes(run):
    if "kp_low" not in run.case:
        pytest.skip("this case keeps no heat maps")
    stages.check_heat_maps(run.values, run.case)


def keypoints_of_stable_detections(run):
    """Of detections whose boxes agree to 5e-4 pixels: distances from the peer's keypoints `[n, K]`, pixels, and the
    differences of their scores `[n, K]` in standard deviations.
    """
    results = {row: run.results(row) for row, _ in run.rows()}
    distances, differences = [], []
    for row, prefix, there, here in same_detections(run, within=5e-4):
        points, scores = run.case[f"{prefix}keypoints"], run.case[f"{prefix}keypoints_scores"]
        distances.append(np.abs(results[row]["keypoints"][here] - points[there][:, [1, 0]]).max(axis=-1))
        differences.append(np.abs(results[row]["keypoint_scores"][here] - scores[there]) / scores.std())
    return np.array(distances), np.array(differences)


def test_keypoints_of_stable_detections(run):
    """A keypoint may lie elsewhere where its map is about as high."""
    if "keypoint_logits" not in run.values:
        pytest.skip("this model finds no keypoints")
    distances, differences = keypoints_of_stable_detections(run)
    assert differences.max() <= 2e-3
    assert len(distances) >= 5 and np.mean(distances > 0.01) <= 0.02
