"""Confusion matrices."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mrcnn.data.masks import extract_bboxes
from mrcnn.evaluation import confusion_matrix, confusion_of_detections, evaluate_confusion, gt_pred_lists

from .fakes import ArrayDataset, FakeModel, as_result, empty_result, square, truth_as_result

CLASSES = 4


def mask(y, x, side):
    return square(64, 80, y, x, side)


def by_hand(gt_boxes, gt_ids, gt_masks, pred_boxes, pred_ids, pred_scores, pred_masks, threshold, least_score):
    """The definition in plain loops; boxes where there are no masks."""
    def shared(i, j):
        if gt_masks is not None:
            a, b = gt_masks[..., j], pred_masks[..., i]
            return np.sum(a & b), np.sum(a | b), np.sum(b)
        (y1, x1, y2, x2), (v1, u1, v2, u2) = gt_boxes[j], pred_boxes[i]
        both = max(min(y2, v2) - max(y1, v1), 0) * max(min(x2, u2) - max(x1, u1), 0)
        area = (v2 - v1) * (u2 - u1)
        return both, (y2 - y1) * (x2 - x1) + area - both, area

    matrix = [[0] * CLASSES for _ in range(CLASSES)]
    taken = set()
    for i in sorted(range(len(pred_ids)), key=lambda i: -pred_scores[i]):
        if pred_scores[i] < least_score:
            continue
        best, best_key = None, None
        for j in range(len(gt_ids)):
            both, either, _ = shared(i, j)
            if gt_ids[j] > 0 and j not in taken and both / either >= threshold:
                key = (both / either, gt_ids[j] == pred_ids[i])
                # The later one of equals, as in COCO's evaluation.
                if best is None or key >= best_key:
                    best, best_key = j, key
        if best is not None:
            taken.add(best)
            matrix[gt_ids[best]][pred_ids[i]] += 1
        elif not any(gt_ids[j] == -pred_ids[i] and shared(i, j)[0] / shared(i, j)[2] >= threshold
                     for j in range(len(gt_ids))):
            matrix[0][pred_ids[i]] += 1
    for j in range(len(gt_ids)):
        if gt_ids[j] > 0 and j not in taken:
            matrix[gt_ids[j]][0] += 1
    return matrix


def scene(rng, count, crowds):
    """Rectangles on a coarse grid, so that equal overlaps and equal boxes occur."""
    corners = rng.integers(0, 4, [count, 2])
    boxes = np.concatenate([corners, corners + rng.integers(1, 4, [count, 2])], axis=1)
    masks = np.zeros([7, 7, count], bool)
    for i, (y1, x1, y2, x2) in enumerate(boxes):
        masks[y1:y2, x1:x2, i] = True
    ids = rng.integers(1, CLASSES, count)
    return boxes, np.where(rng.random(count) < 0.2, -ids, ids) if crowds else ids, masks


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10 ** 6), st.integers(0, 6), st.integers(0, 6), st.sampled_from([0.3, 0.5, 0.75]),
       st.sampled_from([0.0, 0.4]), st.booleans())
def test_as_defined(seed, objects, predictions, threshold, least_score, boxes_only):
    rng = np.random.default_rng(seed)
    truth, found = scene(rng, objects, crowds=True), scene(rng, predictions, crowds=False)
    scores = rng.permutation(predictions) / max(predictions, 1)
    if boxes_only:
        truth, found = (*truth[:2], None), (*found[:2], None)
    matrix = confusion_matrix(*truth, *found[:2], scores, found[2], CLASSES, threshold, least_score)
    assert matrix.dtype == np.int64
    assert matrix.tolist() == by_hand(*truth, *found[:2], scores, found[2], threshold, least_score)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10 ** 6), st.integers(0, 8))
def test_the_truth_as_predictions_is_diagonal(seed, objects):
    """Also where several objects have the same pixels."""
    boxes, ids, masks = scene(np.random.default_rng(seed), objects, crowds=False)
    matrix = confusion_matrix(boxes, ids, masks, boxes, ids, np.ones(objects), masks, CLASSES)
    assert matrix.tolist() == np.diag(np.bincount(ids, minlength=CLASSES)).tolist()


def test_every_object_and_every_prediction_counts_once():
    rng = np.random.default_rng(5)
    truth, found = scene(rng, 9, crowds=False), scene(rng, 12, crowds=False)
    matrix = confusion_matrix(*truth, *found[:2], rng.random(12), found[2], CLASSES)
    assert matrix[1:].sum(axis=1).tolist() == np.bincount(truth[1], minlength=CLASSES)[1:].tolist()
    assert matrix[:, 1:].sum(axis=0).tolist() == np.bincount(found[1], minlength=CLASSES)[1:].tolist()
    assert matrix[0, 0] == 0


def test_padding_is_left_out():
    boxes, ids = np.array([[0, 0, 4, 4], [0, 0, 0, 0]]), [1, 0]
    assert confusion_matrix(boxes, ids, None, boxes, ids, [0.9, 0.0], None, 2).tolist() == [[0, 0], [0, 1]]


def test_soft_masks_are_cut_at_one_half():
    hard = mask(2, 2, 20)[..., None]
    boxes = extract_bboxes(hard)
    matrix = confusion_matrix(boxes, [1], hard, boxes, [1], [1.0], np.where(hard, 0.9, 0.4), 2)
    assert matrix.tolist() == [[0, 0], [0, 1]]


@pytest.mark.parametrize(("changed", "message"), [
    ({"iou_threshold": 0}, "iou_threshold is 0"),
    ({"gt_class_ids": [1, 2]}, "gt_boxes has 1 rows, gt_class_ids 2"),
    ({"pred_class_ids": [9]}, "pred_class_ids holds 9, but num_classes = 3"),
    ({"pred_scores": []}, "0 pred_scores for 1 predictions"),
    ({"pred_masks": None}, "give both"),
    ({"pred_masks": np.ones([56, 56, 1])}, "use_mini_mask=False"),
])
def test_errors(changed, message):
    masks = mask(2, 2, 20)[..., None]
    arguments = {"gt_boxes": extract_bboxes(masks), "gt_class_ids": [1], "gt_masks": masks,
                 "pred_boxes": extract_bboxes(masks), "pred_class_ids": [1], "pred_scores": [1.0], "pred_masks": masks,
                 "num_classes": 3}
    with pytest.raises(ValueError, match=message):
        confusion_matrix(**(arguments | changed))


class TestDataset:
    @pytest.fixture
    def dataset(self):
        """Two cats and a dog in three images; the last image is empty."""
        return ArrayDataset([[(1, mask(2, 2, 20)), (2, mask(30, 40, 25))], [(1, mask(10, 10, 40))], []])

    @pytest.fixture
    def found(self, dataset):
        """The dog taken for a cat, a cat found where nothing is, the second cat missed."""
        results = {0: truth_as_result(dataset, 0), 1: empty_result(),
                   2: as_result(np.stack([mask(0, 0, 9)], axis=-1), [1], [0.6])}
        results[0]["class_ids"][1] = 1
        return results

    def test_sum_of_the_images(self, dataset, found, capsys):
        expected = [[0, 1, 0], [1, 1, 0], [0, 1, 0]]
        assert confusion_of_detections(found, dataset).tolist() == expected
        model = FakeModel(found.get)
        assert evaluate_confusion(model, dataset, verbose=0).tolist() == expected
        assert model.batches == [[0, 1], [2, 2]]
        assert capsys.readouterr().out == ""

    def test_images_and_scores_can_be_chosen(self, dataset, found):
        model = FakeModel(found.get, batch_size=1)
        assert evaluate_confusion(model, dataset, limit=1, verbose=0).sum() == 2
        assert evaluate_confusion(model, dataset, image_ids=[2], verbose=0).tolist() == [[0, 1, 0], [0] * 3, [0] * 3]
        assert confusion_of_detections(found, dataset, score_threshold=0.7)[0].tolist() == [0, 0, 0]

    def test_training_model_gives_its_twin(self, dataset, found):
        class Training:
            mode = "training"

            def inference_twin(self):
                return FakeModel(found.get)
        assert evaluate_confusion(Training(), dataset, verbose=0).sum() == 4

    def test_masks_or_boxes(self):
        ring = mask(10, 10, 30) & ~mask(13, 13, 24)
        dataset = ArrayDataset([[(1, ring)]])
        found = {0: as_result(mask(10, 10, 30)[..., None], [1])}
        assert confusion_of_detections(found, dataset).tolist() == [[0, 1, 0], [1, 0, 0], [0, 0, 0]]
        assert confusion_of_detections(found, dataset, overlap="box")[1, 1] == 1
        del found[0]["masks"]
        assert confusion_of_detections(found, dataset, overlap="box")[1, 1] == 1

    def test_errors(self, dataset, found):
        with pytest.raises(ValueError, match="overlap is 'pixel'"):
            confusion_of_detections(found, dataset, overlap="pixel")
        with pytest.raises(ValueError, match="No image to evaluate"):
            confusion_of_detections({}, dataset)
        found[2]["class_ids"][0] = 7
        with pytest.raises(ValueError, match="image 2 .array .*: pred_class_ids holds 7"):
            confusion_of_detections(found, dataset)


class TestPairsOfLists:
    def test_every_overlapping_pair_then_the_missed_then_the_wrong(self):
        gt = np.array([[0, 0, 10, 10], [50, 50, 60, 60], [20, 20, 30, 30]])
        found = np.array([[40, 40, 45, 45], [0, 0, 10, 9], [20, 20, 30, 30], [0, 0, 9, 10]])
        assert gt_pred_lists([1, 2, 3], gt, [3, 1, 1, 2], found, 0.5) == ([1, 1, 3, 2, 0], [1, 2, 1, 0, 3])

    def test_nothing_on_one_side(self):
        assert gt_pred_lists([1, 2], np.array([[0, 0, 1, 1], [2, 2, 3, 3]]), [], []) == ([1, 2], [0, 0])
        assert gt_pred_lists([], [], np.array([3]), [[0, 0, 1, 1]]) == ([0], [3])
        assert gt_pred_lists([], [], [], []) == ([], [])

    def test_threshold(self):
        pair = [1], [[0, 0, 10, 10]], [1], [[0, 0, 10, 6]]
        assert gt_pred_lists(*pair, 0.6) == ([1], [1])
        assert gt_pred_lists(*pair, iou_tresh=0.61) == ([1, 0], [0, 1])
