"""torchvision's detectors train as there: the same targets, losses, gradients and first steps."""

import keras
import numpy as np
import pytest

import mrcnn.layers.anchor_target
import mrcnn.layers.roi_target
from tests import golden_torchvision as peer

pytestmark = [pytest.mark.jax, pytest.mark.slow]
CASES = [
    ("maskrcnn_resnet50_fpn", "first"),
    ("maskrcnn_resnet50_fpn", "all"),
    ("maskrcnn_resnet50_fpn_v2", "first"),
    ("fasterrcnn_resnet50_fpn", "first"),
]
LOSSES = {
    "loss_classifier": "mrcnn_class_loss",
    "loss_box_reg": "mrcnn_bbox_loss",
    "loss_mask": "mrcnn_mask_loss",
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
    return keras.ops.broadcast_to(keras.ops.linspace(1.0, 0.0, int(shape[1]))[None], shape)


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


def inputs_of(folder, case, num_classes):
    data = np.load(folder / "train_inputs.npz")
    images = np.ascontiguousarray(data["input"].transpose(0, 2, 3, 1))
    metas = peer.metas_of(images, case["input_sizes"], case["input_sizes"], num_classes)
    boxes = np.stack([data[f"{i}/boxes"][:, peer.SWAPPED] for i in range(2)])
    class_ids = np.stack([data[f"{i}/labels"] for i in range(2)]).astype("int32")
    masks = np.zeros((*images.shape[:3], boxes.shape[1]), bool)
    for canvas, name in zip(masks, ("0/masks", "1/masks"), strict=True):
        canvas[: data[name].shape[1], : data[name].shape[2]] = data[name].transpose(1, 2, 0)
    return [images, metas, class_ids, boxes, masks]


@pytest.fixture(scope="module", params=CASES, ids="-".join)
def run(request, golden_torchvision, tmp_path_factory):
    """The case, its model's sampled targets before training, and the losses of three steps."""
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
        graph, inputs = model.keras_model, inputs_of(folder, case, config.NUM_CLASSES)
        model.compile(meta["sgd"]["lr"], meta["sgd"]["momentum"])
        layer = graph.get_layer("proposal_targets")
        probe = keras.Model(graph.inputs, [*layer.output, *graph.get_layer("rpn_targets").output])
        targets = [keras.ops.convert_to_numpy(value) for value in probe.predict_on_batch(inputs)]
        steps = []
        for _ in range(len(case["loss_trajectory"])):
            graph.reset_metrics()
            steps.append(graph.train_on_batch(inputs, return_dict=True))
    return case, targets, steps, inputs[0].shape[1:]


@pytest.mark.parametrize("step", range(3))
def test_losses(run, step):
    case, _, steps, _ = run
    losses = [float(steps[step][LOSSES[name]]) for name in case["loss_names"]]
    # The whole is judged by its size: a small part of it is as uncertain as the rest.
    expected, tolerance = case["loss_trajectory"][step], TOLERANCES[step]
    np.testing.assert_allclose(losses, expected, rtol=tolerance, atol=tolerance * 0.1 if step else 0)


def test_sampled_anchors(run):
    case, targets, _, _ = run
    anchor_ids, labels, _ = targets[4:]
    for image in range(2):
        expected = case[f"{image}/rpn_labels"]
        positive = np.sort(anchor_ids[image][labels[image] == 1])
        if len(labels[image]) >= len(expected):
            np.testing.assert_array_equal(positive, np.flatnonzero(expected == 1))
        else:
            assert (expected[positive] == 1).all() and (expected[anchor_ids[image][labels[image] == 0]] == 0).all()


def test_sampled_regions_and_their_targets(run):
    case, targets, _, image_shape = run
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
