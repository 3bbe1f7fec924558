"""torchvision's detectors train as there: the same targets, losses, gradients and first steps."""

import json
import re
from pathlib import Path

import keras
import numpy as np
import pytest

from mrcnn.engine.dialects.torchvision import TORCHVISION
from mrcnn.layers.keypoint_target import KeypointTargetLayer
from samples.coco.dataset import CocoDataset
from tests import golden_torchvision as peer
from tests.golden_training import LEARNS_WITH_NORMS, check_gradient_norms, check_losses, sample_in_order, train

pytestmark = [pytest.mark.jax, pytest.mark.slow]
# Its regions are drawn by the order of their scores, of which many are about equal: after a step a change of the images
# by a millionth moves the losses as far as the tolerance, so the median over a few such changes is compared.
UNSTEADY = ("maskrcnn_resnet50_fpn_v2", "first")
SCALES = tuple(1 + number * 1e-6 for number in (-2, -1, 0, 1, 2))
CASES = [
    ("maskrcnn_resnet50_fpn", "first"),
    pytest.param(("maskrcnn_resnet50_fpn", "all"), marks=pytest.mark.longest),
    pytest.param(("maskrcnn_resnet50_fpn_v2", "all"), marks=pytest.mark.longest),
    pytest.param(UNSTEADY, marks=pytest.mark.longest),
    pytest.param(("maskrcnn_resnet50_fpn_v2", "all_bnlive"), marks=pytest.mark.longest),
    pytest.param(("fasterrcnn_resnet50_fpn", "first"), marks=pytest.mark.longest),
    pytest.param(("fasterrcnn_resnet50_fpn", "all"), marks=pytest.mark.longest),
    pytest.param(("keypointrcnn_resnet50_fpn", "first"), marks=pytest.mark.longest),
    pytest.param(("keypointrcnn_resnet50_fpn", "all"), marks=pytest.mark.longest),
]


def config_of(config_class, numbers, scenario, case):
    config = config_class()
    config.IMAGES_PER_GPU = 2
    config.PRE_NMS_LIMIT_TRAINING = numbers["rpn_pre_nms_top_n_train"]
    config.POST_NMS_ROIS_TRAINING = numbers["rpn_post_nms_top_n_train"]
    config.USE_MINI_MASK, config.MAX_GT_INSTANCES = False, 6
    config.WEIGHT_DECAY, config.GRADIENT_CLIP_NORM = 0.0, None
    config.TRAIN_ROIS_PER_IMAGE = len(case["0/sampled_labels"])
    config.TRAIN_BN = scenario == "all_bnlive"
    if scenario != "first":
        config.ROI_POSITIVE_RATIO = 1.0
        config.RPN_TRAIN_ANCHORS_PER_IMAGE = 2 * len(case["0/rpn_labels"])
    return config


def inputs_of(folder, case, config, with_keypoints):
    data = np.load(folder / "train_inputs.npz")
    images = np.ascontiguousarray(data["input"].transpose(0, 2, 3, 1))
    metas = peer.metas_of(images, case["input_sizes"], case["input_sizes"], config.NUM_CLASSES)
    boxes = np.stack([data[f"{i}/boxes"][:, peer.SWAPPED] for i in range(2)])
    class_ids = np.stack([data[f"{i}/labels"] for i in range(2)]).astype("int32")
    if with_keypoints:
        class_ids = np.ones_like(class_ids)
    masks = np.zeros((*images.shape[:3], boxes.shape[1]), bool)
    for canvas, name in zip(masks, ("0/masks", "1/masks"), strict=True):
        canvas[: data[name].shape[1], : data[name].shape[2]] = data[name].transpose(1, 2, 0)
    keypoints = [np.stack([data[f"{i}/keypoints"][..., [1, 0, 2]] for i in range(2)])] if with_keypoints else []
    return [images, metas, class_ids, boxes, masks, *keypoints]


@pytest.fixture(scope="module", params=CASES, ids="-".join)
def run(request, golden_torchvision, tmp_path_factory):
    """The case, its model's sampled targets, the losses of three steps, its shape, statistics and gradients."""
    name, scenario = request.param
    folder, target = golden_torchvision, tmp_path_factory.mktemp("run")
    case, meta = peer.arrays(folder, f"train_{name}__{scenario}")
    model_class, config_class = peer.MODELS[name]
    config = config_of(config_class, meta["kwargs"], scenario, case)
    inputs = inputs_of(folder, case, config, "keypoint" in name)
    weights = peer.weight_file(folder, name, target)
    scales = SCALES if request.param == UNSTEADY else (1.0,)
    targets, steps, statistics, gradients = train(model_class, config, weights, inputs, meta, target, scales)
    return case, targets, steps, inputs[0].shape[1:], statistics, gradients


def test_gradient_norms(run):
    check_gradient_norms(run[-1], run[0], TORCHVISION)


@pytest.mark.parametrize("step", range(3))
def test_losses(run, step):
    check_losses(run[2], run[0], step)


def test_moving_statistics_after_a_step(run):
    case, statistics = run[0], run[4]
    if "bn_after_1_step" not in case:
        pytest.skip("the statistics of this case stay")
    names = {row.key: (row.layer, row.weight) for table in TORCHVISION.tables for row in table}
    compared = 0
    for key, expected in zip(case["bn_keys"], case["bn_after_1_step"], strict=True):
        layer, weight = names[str(key)]
        # Those of frozen layers stay here.
        if re.fullmatch(LEARNS_WITH_NORMS, layer):
            # PyTorch takes the variance of a sample: for the 70 cells of P5 it is a 69th more, of which a tenth counts.
            tolerance = 2e-6 if weight == "moving_mean" else 2e-3
            np.testing.assert_allclose(statistics[layer, weight][:4], expected, atol=tolerance, err_msg=key)
            compared += 1
    assert compared > 90


def test_sampled_anchors(run):
    case, targets, *_ = run
    anchor_ids, labels, _ = targets[4:]
    for image in range(2):
        expected = case[f"{image}/rpn_labels"]
        positive = np.sort(anchor_ids[image][labels[image] == 1])
        if len(labels[image]) >= len(expected):
            np.testing.assert_array_equal(positive, np.flatnonzero(expected == 1))
        else:
            assert (expected[positive] == 1).all() and (expected[anchor_ids[image][labels[image] == 0]] == 0).all()


def test_sampled_regions_and_their_targets(run):
    case, targets, _, image_shape, *_ = run
    rois, class_ids, deltas, masks = targets[:4]
    for image in range(2):
        expected = case[f"{image}/sampled_proposals"]
        boxes = peer.pixels(rois[image], image_shape)
        distance = np.abs(expected[:, None] - boxes[None]).max(-1)
        nearest = distance.argmin(axis=1)
        # Boxes as near to each other as two convolution kernels differ are one and the same here.
        assert np.mean(distance.min(axis=1) < 0.05) >= 0.99
        same = distance.min(axis=1) < 0.05
        np.testing.assert_array_equal(class_ids[image][nearest][same], case[f"{image}/sampled_labels"][same])
        positive = same & (case[f"{image}/sampled_labels"] > 0)
        moves = deltas[image][nearest][:, peer.SWAPPED][positive]
        np.testing.assert_allclose(moves, case[f"{image}/sampled_regression_targets"][positive], atol=2e-2)
        if f"{image}/mask_targets" in case:
            there = case[f"{image}/mask_targets"].astype("float32")
            here = masks[image][nearest[positive]]
            assert len(here) == len(there) and np.abs(here.sum((1, 2)) - there.sum((1, 2))).max() < 3


def test_fine_tuning_on_photographs(golden_torchvision, test_data, tmp_path, monkeypatch):
    """From a file of torchvision to classes of one's own: the loss falls, classes are kept by name."""
    dataset = CocoDataset()
    dataset.load_coco(str(test_data / "coco_mini"), "train", "2017", class_ids=[1, 17, 18])
    dataset.image_info = dataset.image_info[:4]
    dataset.prepare()
    # Every epoch sees the same photographs and draws the same anchors and regions: its losses compare.
    sample_in_order(monkeypatch)
    # The frozen stages begin on random features here, so the steps are small.
    config = type("Mine", (peer.TorchvisionMaskRCNN,), {"NAME": "mine", "NUM_CLASSES": 4, "IMAGE_MIN_DIM": 160,
                  "IMAGE_MAX_DIM": 256, "STEPS_PER_EPOCH": 4, "TRAIN_ROIS_PER_IMAGE": 64, "WORKERS": 0})()  # fmt: skip
    model = peer.MaskRCNN("training", config, tmp_path)
    weights = peer.weight_file(golden_torchvision, "maskrcnn_resnet50_fpn", tmp_path)
    report = model.load_weights(weights, class_names=dataset.class_names)
    assert report.classes.kept == ("BG", "person", "cat", "dog") and not report.classes.new
    history = model.train(dataset, None, 2e-5, epochs=3, layers="heads", verbose=0).history["loss"]
    assert history[2] < history[1] < history[0]
    names = json.loads((Path(model.log_dir) / "class_names.json").read_text())
    assert names == dataset.class_names


def test_keypoints_targets(golden_torchvision, run):
    """The cells of the heat maps, of regions in the peer's order."""
    case, targets, *_ = run
    if "0/kp_heatmap_index" not in case:
        pytest.skip("this model learns no keypoints")
    rois, class_ids, image_shape = targets[0], targets[1], run[3]
    data = np.load(golden_torchvision / "train_inputs.npz")
    for image in range(2):
        boxes = peer.pixels(rois[image], image_shape)[class_ids[image] > 0]
        expected = case[f"{image}/sampled_proposals"][case[f"{image}/sampled_labels"] > 0]
        distance = np.abs(expected[:, None] - boxes[None]).max(-1)
        nearest, same = distance.argmin(axis=1), distance.min(axis=1) < 0.05
        layer = KeypointTargetLayer(56)
        metas = peer.metas_of([np.zeros(image_shape)], [image_shape[:2]], [image_shape[:2]], 2)
        cells, counts = layer([
            rois[image][None, : len(boxes)], class_ids[image][None, : len(boxes)], np.ones((1, 6), "int32"),
            data[f"{image}/boxes"][None][..., peer.SWAPPED], data[f"{image}/keypoints"][None][..., [1, 0, 2]], metas,
        ])  # fmt: skip
        cells, counts = (keras.ops.convert_to_numpy(x)[0][nearest][same] for x in (cells, counts))
        there = case[f"{image}/kp_heatmap_index"][same], case[f"{image}/kp_valid"][same].astype(bool)
        assert (counts != there[1]).mean() <= 0.01
        both = counts & there[1]
        assert both.any() and (cells[both] != there[0][both]).mean() <= 0.02
