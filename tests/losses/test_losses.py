"""The losses against plain loops, and at their edges."""

import keras
import numpy as np
import pytest
from keras import ops

from mrcnn.losses import functional, layers
from tests.golden_torchvision import SWAPPED
from tests.harness import check_layer, gradient_at, input_gradients

pytestmark = pytest.mark.jax
LIKE_TORCHVISION = {"beta": 1 / 9, "per": "sampled"}
B, A, S, R, C, N, M = 3, 20, 6, 5, 4, 2, 7
RNG = np.random.default_rng(0)
CASES = {
    layers.RPNClassLoss: [
        RNG.normal(size=(B, A, 2)).astype("float32"),
        RNG.integers(0, A, (B, S)).astype("int32"),
        RNG.integers(-1, 2, (B, S)).astype("int32"),
    ],
    layers.RPNBoxLoss: [
        RNG.normal(size=(B, A, 4)).astype("float32"),
        RNG.integers(0, A, (B, S)).astype("int32"),
        RNG.integers(-1, 2, (B, S)).astype("int32"),
        RNG.normal(size=(B, S, 4)).astype("float32"),
    ],
    layers.ClassLoss: [
        RNG.integers(0, C, (B, R)).astype("int32"),
        RNG.normal(size=(B, R, C)).astype("float32"),
        np.array([[1, 1, 1, 1], [1, 0, 1, 1], [1, 1, 0, 0]], "float32"),
    ],
    layers.BoxLoss: [
        RNG.integers(0, C, (B, R)).astype("int32"),
        RNG.normal(size=(B, R, 4)).astype("float32"),
        RNG.normal(size=(B, R, C, 4)).astype("float32"),
    ],
    layers.KeypointLoss: [
        RNG.integers(0, M * M, (B, N, 5)).astype("int32"),
        RNG.integers(0, 2, (B, N, 5)).astype("bool"),
        RNG.normal(size=(B, N, M, M, 5)).astype("float32"),
    ],
    layers.MaskLoss: [
        RNG.integers(0, C, (B, N)).astype("int32"),
        RNG.integers(0, 2, (B, N, M, M)).astype("float32"),
        RNG.normal(size=(B, N, M, M, C)).astype("float32"),
    ],
}


def cross_entropy(logits, class_id):
    return np.log(np.exp(logits).sum()) - logits[class_id]


def huber(x):
    return np.mean([0.5 * v * v if abs(v) < 1 else abs(v) - 0.5 for v in x])


def values_by_loops(kind, inputs):
    """`[(image, value, weight)]` of every sample that could count."""
    if kind in (layers.RPNClassLoss, layers.RPNBoxLoss):
        predictions, ids, labels, *rest = inputs
        for b, s in np.ndindex(ids.shape):
            predicted = predictions[b, ids[b, s]]
            if kind is layers.RPNClassLoss and labels[b, s] >= 0:
                yield b, cross_entropy(predicted, labels[b, s]), 1
            elif kind is layers.RPNBoxLoss and labels[b, s] == 1:
                yield b, huber(rest[0][b, s] - predicted), 1
        return
    class_ids = inputs[0]
    if kind is layers.KeypointLoss:
        for b, n, k in zip(*np.nonzero(inputs[1]), strict=True):
            yield b, cross_entropy(inputs[2][b, n, :, :, k].ravel(), class_ids[b, n, k]), 1
        return
    for b, r in np.ndindex(class_ids.shape):
        class_id = class_ids[b, r]
        if kind is layers.ClassLoss:
            logits = inputs[1][b, r]
            yield b, cross_entropy(logits, class_id), inputs[2][b, logits.argmax()]
        elif class_id > 0 and kind is layers.BoxLoss:
            yield b, huber(inputs[1][b, r] - inputs[2][b, r, class_id]), 1
        elif class_id > 0:
            probs = 1 / (1 + np.exp(-inputs[2][b, r, ..., class_id]))
            truth = inputs[1][b, r]
            yield b, -np.mean(truth * np.log(probs) + (1 - truth) * np.log(1 - probs)), 1


@pytest.mark.parametrize("kind", CASES, ids=lambda kind: kind.__name__)
class TestEveryLoss:
    def test_is_the_mean_over_all_samples_of_the_batch(self, kind):
        inputs = CASES[kind]
        rows = list(values_by_loops(kind, inputs))
        total = sum(weight for _, _, weight in rows)
        expected = [B * sum(v * w for b, v, w in rows if b == image) / total for image in range(B)]
        np.testing.assert_allclose(ops.convert_to_numpy(kind()(inputs)), expected, rtol=1e-5)

    def test_keeps_the_promises_of_a_layer(self, kind):
        (vector,) = check_layer(kind(), CASES[kind])
        assert vector.shape == (B,) and vector.dtype == np.float32

    def test_half_precision_inputs_give_float32(self, kind):
        halves = [x.astype("float16") if x.dtype.kind == "f" else x for x in CASES[kind]]
        exact = ops.convert_to_numpy(kind()(CASES[kind]))
        result = ops.convert_to_numpy(kind()(halves))
        assert result.dtype == np.float32
        np.testing.assert_allclose(result, exact, rtol=2e-2, atol=2e-2)


@pytest.mark.parametrize(
    "kind", [layers.RPNBoxLoss, layers.BoxLoss, layers.MaskLoss, layers.KeypointLoss], ids=lambda k: k.__name__
)
def test_without_positives_is_zero_with_no_gradient(kind):
    inputs = [np.zeros_like(x) if x.dtype in (np.int32, bool) else x for x in CASES[kind]]
    np.testing.assert_array_equal(ops.convert_to_numpy(kind()(inputs)), np.zeros(B))
    assert not input_gradients(kind(), inputs).any()


def swapped(deltas):
    """Deltas of the peer `[1, N * 4]` or more in our order."""
    return deltas.reshape(1, len(deltas), -1, 4)[..., SWAPPED]


def test_second_stage_like_torchvision(golden_torchvision):
    case = np.load(golden_torchvision / "ops_losses_layers.npz")
    class_ids, logits, deltas = case["labels"].astype("int32")[None], case["logits"], swapped(case["reg"])
    active = np.ones((1, logits.shape[1]), "float32")

    def class_loss(values):
        return functional.mrcnn_class_loss(class_ids, values, active)

    def box_loss(values):
        return functional.mrcnn_bbox_loss(class_ids, swapped(case["targets"])[:, :, 0], values, **LIKE_TORCHVISION)

    for loss, at, name in ((class_loss, logits[None], "cls"), (box_loss, deltas, "box")):
        np.testing.assert_allclose(ops.convert_to_numpy(loss(at))[0], case[f"fastrcnn_{name}"], rtol=2e-4)
    np.testing.assert_allclose(gradient_at(logits[None], class_loss)[0], case["fastrcnn_grad_logits"], atol=1e-6)
    np.testing.assert_allclose(gradient_at(deltas, box_loss), swapped(case["fastrcnn_grad_reg"]), atol=1e-6)


def test_rpn_like_torchvision(golden_torchvision):
    case = np.load(golden_torchvision / "ops_losses_layers.npz")
    labels = case["rpn_labels"].astype("int32")[None]
    ids = np.arange(labels.size, dtype="int32")[None]
    logits = np.stack([np.zeros(labels.size), case["rpn_obj"].ravel()], axis=-1).astype("float32")[None]
    found = ops.convert_to_numpy(functional.rpn_class_loss(logits, ids, labels))[0]
    np.testing.assert_allclose(found, case["rpn_obj_loss"], rtol=2e-4)
    deltas, targets = (swapped(case[key])[:, :, 0] for key in ("rpn_delta", "rpn_targets"))
    found = ops.convert_to_numpy(functional.rpn_bbox_loss(deltas, ids, labels, targets, **LIKE_TORCHVISION))[0]
    np.testing.assert_allclose(found, case["rpn_box_loss"], rtol=2e-4)


def test_masks_and_keypoints_like_torchvision(golden_torchvision):
    case = np.load(golden_torchvision / "ops_masks_keypoints.npz")
    class_ids = case["mask_gt_labels"][case["project_idx"]].astype("int32")[None]
    logits = case["mask_logits"].transpose(0, 2, 3, 1)[None]
    found = ops.convert_to_numpy(functional.mrcnn_mask_loss(class_ids, case["projected_28"][None], logits))[0]
    np.testing.assert_allclose(found, case["mask_loss"], rtol=2e-4)
    cells, counts = case["kp_heatmap_index"].astype("int32")[None], case["kp_valid"].astype(bool)[None]
    maps = case["kp_maps"].astype("float32").transpose(0, 2, 3, 1)[None]
    found = ops.convert_to_numpy(functional.mrcnn_keypoint_loss(cells, counts, maps))[0]
    np.testing.assert_allclose(found, case["kp_loss"], rtol=2e-3)


def test_huge_logits_stay_finite():
    inputs = [x * 1e4 if x.dtype == np.float32 and x.ndim > 3 else x for x in CASES[layers.MaskLoss]]
    assert np.all(np.isfinite(ops.convert_to_numpy(layers.MaskLoss()(inputs))))


def test_a_value_that_does_not_count_may_be_infinite():
    values, weights = np.array([[1.0, np.inf]], "float32"), np.array([[1.0, 0.0]], "float32")
    assert float(functional.batch_share(ops.array(values), ops.array(weights))[0]) == 1.0


def test_smooth_l1_is_continuous_at_one():
    below, above = functional.smooth_l1(ops.array([1 - 1e-4, 1 + 1e-4], "float32"))
    assert float(above) - float(below) == pytest.approx(2e-4, rel=0.1)


def test_layers_are_registered():
    for kind in CASES:
        assert keras.saving.get_registered_object(f"mrcnn>{kind.__name__}") is kind
