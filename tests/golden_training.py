"""Training of torchvision's and Detectron2's models, step by step, to be compared with theirs."""

import contextlib

import keras
import numpy as np
import pytest

import mrcnn.layers.anchor_target
import mrcnn.layers.roi_target
from mrcnn.engine.model_weights import list_weights

# What learns while the first two stages, and every batch norm, stay as they are.
LEARNS = r"(res[345].*)|(mrcnn_(?!.*_bn).*)|(rpn_.*)|(fpn_c\dp\d)|(fpn_p\d)"
LEARNS_WITH_NORMS = r"(res[345].*)|(bn[345].*)|(mrcnn_.*)|(rpn_.*)|(fpn_.*)"
# Relative tolerance of the losses before any step, after one and after two: differences grow with the steps.
TOLERANCES = (2e-4, 2e-3, 2e-2)
# torchvision's own loss of keypoints is that far from the one in double precision.
KEYPOINT_TOLERANCE = 2e-3
LONG_STEP = 2.0**20
LOSSES = {
    "mrcnn_class_loss": ("loss_classifier", "loss_cls"),
    "mrcnn_bbox_loss": ("loss_box_reg",),
    "mrcnn_mask_loss": ("loss_mask",),
    "mrcnn_keypoint_loss": ("loss_keypoint",),
    "rpn_class_loss": ("loss_objectness", "loss_rpn_cls"),
    "rpn_bbox_loss": ("loss_rpn_box_reg", "loss_rpn_loc"),
    "loss": ("total",),
}


def first_come_first_served(shape, seed):
    """Stands in for random priorities: the peers' samplers take the first candidates here."""
    place = keras.ops.cumsum(keras.ops.ones(shape), axis=1)
    return 1.0 - place / (1.0 + keras.ops.cast(shape[1], "float32"))


def sample_in_order(patch):
    """Lets anchors and regions be sampled by `first_come_first_served` while a graph is built and traced."""
    for module in (mrcnn.layers.anchor_target, mrcnn.layers.roi_target):
        patch.setattr(module, "random_priority", first_come_first_served)


def train(model_class, config, weights, inputs, meta, folder, scales=(1.0,)):
    """What a model samples before training, its gradients, and the losses of three steps.

    Args:
        model_class, config: of the model; without weight decay and clipping.
        weights: file to begin with.
        inputs: of the training graph.
        meta: what a recorded case says of itself; its `sgd` is used.
        folder: for logs.
        scales: the three steps are taken anew for the images times each of these.

    Returns:
        - targets: list of arrays, what `proposal_targets` and then `rpn_targets` return.
        - steps: a dict of losses a step, medians over `scales`.
        - statistics: the moving statistics after the first step, {(layer, weight): array}.
        - gradients: see `gradient_norms`.
    """
    with pytest.MonkeyPatch.context() as patch:
        sample_in_order(patch)
        model = model_class("training", config, folder)
        model.load_weights(weights)
        model.set_trainable(LEARNS_WITH_NORMS if config.FPN_NORM == "batch" else LEARNS, verbose=0)
        graph = model.keras_model
        layer = graph.get_layer("proposal_targets")
        probe = keras.Model(graph.inputs, [*layer.output, *graph.get_layer("rpn_targets").output])
        targets = [keras.ops.convert_to_numpy(value) for value in probe.predict_on_batch(inputs)]
        gradients = gradient_norms(graph, inputs)
        model.compile(meta["sgd"]["lr"], meta["sgd"]["momentum"])
        graph.optimizer.build(graph.trainable_variables)
        runs = []
        for scale in scales:
            runs.append([])
            with restored(graph, graph.optimizer):
                for number in range(meta["sgd"]["steps"]):
                    graph.reset_metrics()
                    scaled = [inputs[0] * np.float32(scale), *inputs[1:]]
                    runs[-1].append(graph.train_on_batch(scaled, return_dict=True))
                    if number == 0:
                        statistics = _moving_statistics(graph)
        steps = [{name: np.median([run[step][name] for run in runs]) for name in LOSSES if name in runs[0][0]}
                 for step in range(meta["sgd"]["steps"])]  # fmt: skip
    return targets, steps, statistics, gradients


@contextlib.contextmanager
def restored(*owners):
    """The variables of models and optimizers have their values again afterwards."""
    variables = {id(variable): variable for owner in owners for variable in owner.variables}.values()
    saved = [keras.ops.convert_to_numpy(variable) for variable in variables]
    yield
    for variable, value in zip(variables, saved, strict=True):
        variable.assign(value)


def _moving_statistics(graph):
    moving = [w for w in list_weights(graph) if w.weight.startswith("moving_")]
    return {(w.layer, w.weight): keras.ops.convert_to_numpy(w.variable) for w in moving}


def check_losses(steps, case, step):
    """Asserts that the losses of a step, counted from 0, are the case's."""
    names = list(case["loss_names"])
    found = {there: float(steps[step][here]) for here, theirs in LOSSES.items() for there in theirs if there in names}
    losses, expected = np.array([found[name] for name in names]), case["loss_trajectory"][step]
    tolerance = np.full(len(names), TOLERANCES[step])
    if "loss_keypoint" in names:
        tolerance[np.isin(names, ("loss_keypoint", "total"))] = max(TOLERANCES[step], KEYPOINT_TOLERANCE)
    np.testing.assert_array_less(np.abs(losses - expected), tolerance * np.abs(expected) + 1e-12)


def gradient_norms(model, inputs):
    """Norm of the gradient of each trainable weight, {(layer, weight): float}.

    It is read off a step of plain descent, so long that what float32 loses in adding it to a weight is nothing beside
    it. Afterwards the model has its weights again, and is to be compiled anew.
    """
    learned = {id(variable) for variable in model.trainable_variables}
    weights = [weight for weight in list_weights(model) if id(weight.variable) in learned]
    before = [keras.ops.convert_to_numpy(weight.variable) for weight in weights]
    model.compile(keras.optimizers.SGD(LONG_STEP))
    with restored(model):
        model.train_on_batch(inputs)
        after = [keras.ops.convert_to_numpy(weight.variable) for weight in weights]
    return {
        (weight.layer, weight.weight): float(np.linalg.norm(end - start)) / LONG_STEP
        for weight, start, end in zip(weights, before, after, strict=True)
    }


def check_gradient_norms(gradients, case, dialect):
    """Asserts that each norm is within a hundredth of the case's, which has the names of `dialect`."""
    table = max(dialect.tables, key=lambda rows: sum((row.layer, row.weight) in gradients for row in rows))
    names = {row.key: (row.layer, row.weight) for row in table}
    expected = {names[key]: norm for key, norm in zip(case["grad_keys"], case["grad_norm"], strict=True)}
    assert gradients.keys() == expected.keys()
    for name, norm in expected.items():
        assert abs(gradients[name] - norm) <= 1e-2 * norm + 1e-6, name
