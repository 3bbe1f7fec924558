"""Matterport's compute_ap family."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mrcnn.evaluation import compute_ap, compute_ap_range, compute_matches, compute_recall

from .fakes import as_result, square


@pytest.fixture(scope="module")
def peer(golden):
    with np.load(golden / "pure.npz") as arrays:
        return {name.removeprefix("ap/"): arrays[name] for name in arrays.files if name.startswith("ap/")}


@pytest.fixture(scope="module")
def peer_arguments(peer):
    return [peer[name] for name in ("gt_boxes", "gt_class_ids", "gt_masks", "pred_boxes", "pred_class_ids",
                                    "pred_scores", "pred_masks")]


@pytest.mark.parametrize("threshold", ["0.30", "0.50", "0.75"])
class TestGolden:
    def test_matches(self, peer, peer_arguments, threshold):
        gt_match, pred_match, overlaps = compute_matches(*peer_arguments, iou_threshold=float(threshold))
        np.testing.assert_array_equal(gt_match, peer[f"{threshold}/gt_match"])
        np.testing.assert_array_equal(pred_match, peer[f"{threshold}/pred_match"])
        np.testing.assert_allclose(overlaps, peer[f"{threshold}/overlaps"], atol=1e-6)

    def test_ap(self, peer, peer_arguments, threshold):
        ap, precisions, recalls, overlaps = compute_ap(*peer_arguments, iou_threshold=float(threshold))
        assert ap == pytest.approx(float(peer[f"{threshold}/ap"]), abs=1e-9)
        np.testing.assert_allclose(precisions, peer[f"{threshold}/precisions"])
        np.testing.assert_allclose(recalls, peer[f"{threshold}/recalls"], atol=1e-7)
        assert overlaps.shape == (8, 5)


def test_golden_range_and_recall(peer, peer_arguments, capsys):
    assert compute_ap_range(*peer_arguments) == pytest.approx(float(peer["range"]), abs=1e-9)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 11
    assert lines[0].startswith("AP @0.50:\t 0.") and lines[-1] == "AP @0.50-0.95:\t 0.745"
    recall, ids = compute_recall(peer["pred_boxes"], peer["gt_boxes"], 0.5)
    assert recall == float(peer["recall"])
    np.testing.assert_array_equal(ids, peer["recall_ids"])


def arguments(truth, found):
    """Positional arguments from two results."""
    return (truth["rois"], truth["class_ids"], truth["masks"],
            found["rois"], found["class_ids"], found["scores"], found["masks"])


def stack(*masks):
    return np.stack(masks, axis=-1)


ONE = as_result(stack(square(20, 20, 2, 2, 6)), [1])
NONE = as_result(np.zeros([20, 20, 0], bool), [])
UNLOADED = {"rois": np.zeros([0, 4]), "class_ids": np.zeros([0]), "masks": np.empty([0, 0, 0])}


@pytest.mark.parametrize(("truth", "found", "expected"), [
    (ONE, ONE, 1.0), (ONE, NONE, 0.0), (NONE, ONE, 0.0), (NONE, NONE, 1.0), (UNLOADED, ONE, 0.0)])
def test_empty_sides_give_numbers(truth, found, expected):
    ap, precisions, recalls, overlaps = compute_ap(*arguments(truth, found))
    assert ap == expected
    assert len(precisions) == len(recalls) == len(found["scores"]) + 2
    assert overlaps.shape == (len(found["scores"]), len(truth["class_ids"]))
    assert compute_ap_range(*arguments(truth, found), verbose=0) == expected


def test_threshold_arrays_are_taken():
    assert compute_ap_range(*arguments(ONE, ONE), iou_thresholds=np.array([0.5, 0.7]), verbose=0) == 1.0
    with pytest.raises(ValueError, match="iou_thresholds is empty"):
        compute_ap_range(*arguments(ONE, ONE), iou_thresholds=[])


def test_padding_is_left_out_wherever_it_stands():
    masks = stack(np.zeros([20, 20], bool), square(20, 20, 2, 2, 6))
    padded = {"rois": np.array([[0, 0, 0, 0], [2, 2, 8, 8]]), "class_ids": np.array([0, 1]), "masks": masks}
    gt_match, pred_match, overlaps = compute_matches(*arguments(padded, ONE))
    assert gt_match.tolist() == [0] and pred_match.tolist() == [0] and overlaps.shape == (1, 1)


def test_wrong_class_does_not_match():
    assert compute_ap(*arguments(ONE, as_result(ONE["masks"], [2])))[0] == 0.0


def test_mini_masks_are_named_in_the_error():
    mini = dict(ONE, masks=np.ones([56, 56, 1], bool))
    with pytest.raises(ValueError, match="use_mini_mask=False"):
        compute_ap(*arguments(mini, ONE))


def test_counts_that_differ_are_named():
    with pytest.raises(ValueError, match="gt_boxes has 2 rows"):
        compute_ap(*arguments(dict(ONE, rois=np.ones([2, 4])), ONE))


@pytest.mark.parametrize(("pred", "gt", "expected"), [
    (np.zeros([0, 4]), [[0, 0, 4, 4]], 0.0), ([[0, 0, 4, 4]], np.zeros([0, 4]), 1.0),
    ([[0, 0, 4, 4]], [[0, 0, 4, 4], [9, 9, 12, 12]], 0.5)])
def test_recall_edges(pred, gt, expected):
    recall, ids = compute_recall(np.array(pred), np.array(gt), 0.5)
    assert recall == expected
    assert len(ids) == (1 if expected == 0.5 else 0)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 6), st.integers(0, 8))
def test_same_as_the_plain_loop(seed, gt_count, pred_count):
    """Against the definition, one prediction and one object at a time."""
    rng = np.random.default_rng(seed)
    gt_masks, pred_masks = rng.random([8, 8, gt_count]) > 0.3, rng.random([8, 8, pred_count]) > 0.3
    truth = as_result(gt_masks, rng.integers(1, 3, gt_count))
    found = as_result(pred_masks, rng.integers(1, 3, pred_count), rng.permutation(pred_count))
    gt_match, pred_match, overlaps = compute_matches(*arguments(truth, found), iou_threshold=0.4)
    classes = found["class_ids"][np.argsort(-found["scores"])]
    expected = np.full(gt_count, -1.0)
    for i in range(pred_count):
        for j in np.argsort(overlaps[i], kind="stable")[::-1]:
            if expected[j] < 0 and overlaps[i, j] >= 0.4 and classes[i] == truth["class_ids"][j]:
                expected[j] = i
                break
    np.testing.assert_array_equal(gt_match, expected)
    assert np.count_nonzero(pred_match > -1) == np.count_nonzero(gt_match > -1)
