"""torchvision's detectors train as there: the same targets, losses, gradients and first steps."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest

import mrcnn.layers.anchor_target
import mrcnn.layers.roi_target
from mrcnn.engine.dialects.torchvision import TORCHVISION
from mrcnn.engine.model_weights import list_weights
from mrcnn.layers.keypoint_target import KeypointTargetLayer
from samples.coco.dataset import CocoDataset
from tests import golden_torchvision as peer

pytestmark = [pytest.mark.jax, pytest.mark.slow]
CASES = [
    ("maskrcnn_resnet50_fpn", "first"),
    pytest.param(("maskrcnn_resnet50_fpn", "all"), marks=pytest.mark.longest),
    pytest.param(("maskrcnn_resnet50_fpn_v2", "all"), marks=pytest.mark.longest),
    pytest.param(("fasterrcnn_resnet50_fpn", "first"), marks=pytest.mark.longest),
    pytest.param(("keypointrcnn_resnet50_fpn", "first"), marks=pytest.mark.longest),
    pytest.param(("keypointrcnn_resnet50_fpn", "all"), marks=pytest.mark.longest),
]
LOSSES = {
    "loss_classifier": "mrcnn_class_loss",
    "loss_box_reg": "mrcnn_bbox_loss",
    "loss_mask": "mrcnn_mask_loss",
    "loss_keypoint": "mrcnn_keypoint_loss",
    "loss_objectness": "rpn_class_loss",
    "loss_rpn_box_reg": "rpn_bbox_loss",
    "total": "loss",
}
# Relative tolerance of the losses before any step, after one and after two: differences grow with the steps.
TOLERANCES = (2e-4, 2e-3, 2e-2)
LEARNS = r"(res[345].*)|(mrcnn_(?!.*_bn).*)|(rpn_.*)|(fpn_c\dp\d)|(fpn_p\d)"
LEARNS_WITH_NORMS = r"(res[345].*)|(bn[345].*)|(mrcnn_.*)|(rpn_.*)|(fpn_.*)"


def first_come_first_served(shape, seed):
    """Stands in for random priorities: the peer's sampler takes the first candidates here."""
    place = keras.ops.cumsum(keras.ops.ones(shape), axis=1)
    return 1.0 - place / (1.0 + keras.ops.cast(shape[1], "float32"))


def config_of(config_class, numbers, scenario, case):
    config = config_class()
    config.IMAGES_PER_GPU = 2
    config.PRE_NMS_LIMIT_TRAINING = numbers["rpn_pre_nms_top_n_train"]
    config.POST_NMS_ROIS_TRAINING = numbers["rpn_post_nms_top_n_train"]
    config.USE_MINI_MASK, config.MAX_GT_INSTANCES = False, 6
    config.WEIGHT_DECAY, config.GRADIENT_CLIP_NORM = 0.0, None
    config.TRAIN_ROIS_PER_IMAGE = len(case["0/sampled_labels"])
    if scenario == "all":
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
    """The case, its model's sampled targets and gradients before training, and the losses of three steps."""
    name, scenario = request.param
    folder, target = golden_torchvision, tmp_path_factory.mktemp("run")
    case, meta = peer.arrays(folder, f"train_{name}__{scenario}")
    model_class, config_class = peer.MODELS[name]
    with pytest.MonkeyPatch.context() as patch:
        for module in (mrcnn.layers.anchor_target, mrcnn.layers.roi_target):
            patch.setattr(module, "random_priority", first_come_first_served)
        config = config_of(config_class, meta["kwargs"], scenario, case)
        model = model_class("training", config, target)
        model.load_weights(peer.weight_file(folder, name, target))
        model.set_trainable(LEARNS_WITH_NORMS if config.FPN_NORM == "batch" else LEARNS, verbose=0)
        graph, inputs = model.keras_model, inputs_of(folder, case, config, model.learns_keypoints)
        model.compile(meta["sgd"]["lr"], meta["sgd"]["momentum"])
        layer = graph.get_layer("proposal_targets")
        probe = keras.Model(graph.inputs, [*layer.output, *graph.get_layer("rpn_targets").output])
        targets = [keras.ops.convert_to_numpy(value) for value in probe.predict_on_batch(inputs)]
        gradients = gradient_norms(graph, inputs) if keras.backend.backend() == "tensorflow" else None
        steps = []
        for _ in range(len(case["loss_trajectory"])):
            graph.reset_metrics()
            steps.append(graph.train_on_batch(inputs, return_dict=True))
    return case, targets, steps, inputs[0].shape[1:], gradients


def gradient_norms(graph, inputs):
    """Norm of the gradient of each trainable weight, {(layer, weight): float}."""
    import tensorflow as tf

    @tf.function
    def gradients():
        with tf.GradientTape() as tape:
            loss = graph.compute_loss(y_pred=graph(inputs, training=True))
        return tape.gradient(loss, graph.trainable_variables)

    norms = {id(v): float(tf.norm(g)) for v, g in zip(graph.trainable_variables, gradients(), strict=True)}
    by_name = {(w.layer, w.weight): norms.get(id(w.variable)) for w in list_weights(graph)}
    return {name: norm for name, norm in by_name.items() if norm is not None}


def test_gradient_norms(run):
    case, gradients = run[0], run[-1]
    if gradients is None:
        pytest.skip("gradients are taken with TensorFlow; the steps after them are compared on every backend")
    table = max(TORCHVISION.tables, key=lambda rows: sum((row.layer, row.weight) in gradients for row in rows))
    names = {row.key: (row.layer, row.weight) for row in table}
    expected = {names[key]: norm for key, norm in zip(case["grad_keys"], case["grad_norm"], strict=True)}
    assert gradients.keys() == expected.keys()
    for name, norm in expected.items():
        assert abs(gradients[name] - norm) <= 1e-2 * norm + 1e-6, name


@pytest.mark.parametrize("step", range(3))
def test_losses(run, step):
    case, _, steps, *_ = run
    losses = [float(steps[step][LOSSES[name]]) for name in case["loss_names"]]
    # The whole is judged by its size: a small part of it is as uncertain as the rest.
    expected, tolerance = case["loss_trajectory"][step], np.full(len(losses), TOLERANCES[step])
    if "loss_keypoint" in case["loss_names"]:
        # torchvision's own loss of keypoints is that far from the one in double precision.
        tolerance[np.isin(case["loss_names"], ("loss_keypoint", "total"))] = max(TOLERANCES[step], 2e-3)
    np.testing.assert_array_less(
        np.abs(losses - expected), tolerance * (np.abs(expected) + (0.1 if step else 0)) + 1e-12
    )


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
    case, targets, _, image_shape, _ = run
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
    for module in (mrcnn.layers.anchor_target, mrcnn.layers.roi_target):
        monkeypatch.setattr(module, "random_priority", first_come_first_served)
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
