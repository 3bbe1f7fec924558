"""Stable top-k, batched gather, random picks."""

import numpy as np
import pytest
from keras import ops

from mrcnn.ops import sampling

pytestmark = pytest.mark.jax


def _numpy(*tensors):
    return [ops.convert_to_numpy(tensor) for tensor in tensors]


def test_top_k_takes_the_earlier_of_equals():
    values = np.array([[1, 3, 3, 2, 3, 0], [0, 0, 0, 0, 0, 0]], "float32")
    best, indices = _numpy(*sampling.top_k(values, 4))
    assert indices.tolist() == [[1, 2, 4, 3], [0, 1, 2, 3]] and indices.dtype == np.int32
    assert best.tolist() == [[3, 3, 3, 2], [0, 0, 0, 0]]


@pytest.mark.parametrize("tail", [(), (4,), (2, 3)])
def test_gather_rows(tail):
    rows = np.random.default_rng(0).normal(size=(3, 5, *tail)).astype("float32")
    indices = np.array([[4, 0, 0], [1, 2, 3], [2, 2, 4]], "int32")
    (picked,) = _numpy(sampling.gather_rows(rows, indices))
    expected = np.stack([row[index] for row, index in zip(rows, indices, strict=True)])
    np.testing.assert_array_equal(picked, expected)


def test_pick_takes_candidates_only_by_priority():
    candidates = np.array([[True, False, True, True], [False] * 4])
    priority = np.array([[0.1, 0.9, 0.3, 0.2], [0.1, 0.2, 0.3, 0.4]], "float32")
    indices, picked = _numpy(*sampling.pick(candidates, priority, 4))
    assert indices[0, :3].tolist() == [2, 3, 0]
    assert picked.tolist() == [[True, True, True, False], [False] * 4]


def test_a_priority_of_zero_still_counts():
    _, picked = _numpy(*sampling.pick(np.array([[True, False]]), np.zeros((1, 2), "float32"), 2))
    assert picked.tolist() == [[True, False]]


def test_merge_leaves_no_gap():
    positives = (np.array([[7, 8], [5, 0]]), np.array([[True, True], [True, False]]))
    negatives = (np.array([[1, 2, 3], [4, 0, 0]]), np.array([[True, True, True], [True, False, False]]))
    indices, labels = _numpy(*sampling.merge_positives_first(positives, negatives, 4))
    assert indices.tolist() == [[7, 8, 1, 2], [5, 4, 0, 0]]
    assert labels.tolist() == [[1, 1, 0, 0], [1, 0, -1, -1]]


def test_pad_rows():
    rows = np.ones((2, 3, 4), "float32")
    (padded,) = _numpy(sampling.pad_rows(rows, 5, value=-1))
    assert padded.shape == (2, 5, 4) and (padded[:, 3:] == -1).all() and (padded[:, :3] == 1).all()
    assert sampling.pad_rows(rows, 2).shape == (2, 3, 4)
