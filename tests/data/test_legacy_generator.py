"""Matterport's `data_generator`."""

import itertools
import random

import numpy as np
import pytest

from mrcnn.data.legacy_generator import data_generator

from .test_generator import Failing
from .toy import ToyConfig, ToyDataset

ANCHORS = (16**2 + 8**2 + 4**2 + 2**2 + 1) * 3


def test_inputs():
    inputs, outputs = next(data_generator(ToyDataset(), ToyConfig(), batch_size=3))
    assert [(part.shape, part.dtype.name) for part in inputs] == [
        ((3, 64, 64, 3), "float32"),
        ((3, 15), "float64"),
        ((3, ANCHORS, 1), "int32"),
        ((3, 16, 4), "float64"),
        ((3, 4), "int32"),
        ((3, 4, 4), "int32"),
        ((3, 14, 14, 4), "bool"),
    ]
    assert outputs == []
    assert ((inputs[2] == 1).sum(axis=(1, 2)) > 0).all()
    assert ((inputs[2] != 0).sum(axis=(1, 2)) == 16).all()


def test_rois_and_targets():
    generator = data_generator(
        ToyDataset(), ToyConfig(), random_rois=40, batch_size=2, detection_targets=True
    )
    inputs, outputs = next(generator)
    assert inputs[7].shape == (2, 40, 4) and inputs[8].shape == (2, 12, 4)
    assert [part.shape for part in outputs] == [(2, 12, 1), (2, 12, 3, 4), (2, 12, 28, 28, 3)]


def test_it_goes_on_for_ever_in_passes():
    np.random.seed(0)
    ids = [
        int(inputs[1][0, 0]) for inputs, _ in itertools.islice(data_generator(ToyDataset(), ToyConfig()), 20)
    ]
    assert all(sorted(ids[start : start + 5]) == [0, 1, 2, 3, 4] for start in range(0, 20, 5))
    in_order = data_generator(ToyDataset(), ToyConfig(), shuffle=False)
    assert [int(inputs[1][0, 0]) for inputs, _ in itertools.islice(in_order, 6)] == [0, 1, 2, 3, 4, 0]


def test_all_objects_count_for_the_anchors():
    config = ToyConfig()
    config.MAX_GT_INSTANCES, config.RPN_TRAIN_ANCHORS_PER_IMAGE = 1, 2000
    inputs, _ = next(data_generator(ToyDataset((3,)), config))
    one, _ = next(data_generator(ToyDataset((1,)), config))
    assert inputs[4].shape == (1, 1)
    assert (inputs[2] == 1).sum() > (one[2] == 1).sum()


def test_flips():
    random.seed(0)
    generator = data_generator(ToyDataset((2,)), ToyConfig(), augment=True)
    boxes = {tuple(inputs[5][0, 0]) for inputs, _ in itertools.islice(generator, 10)}
    assert len(boxes) == 2


def test_images_without_objects_and_failures_are_passed_over(caplog):
    dataset = Failing((1, 0, 1))
    dataset.broken = (2,)
    generator = data_generator(dataset, ToyConfig(), shuffle=False)
    assert [int(inputs[1][0, 0]) for inputs, _ in itertools.islice(generator, 3)] == [0, 0, 0]
    assert 'Error processing image 2 (toy "n2"' in caplog.text


def test_failures_in_a_row_stop():
    dataset = Failing((1, 1))
    dataset.broken = (0, 1)
    with pytest.raises(RuntimeError, match="5 images in a row"):
        next(data_generator(dataset, ToyConfig()))


def test_nothing_to_yield():
    with pytest.raises(ValueError, match="KEEP_EMPTY_IMAGES"):
        next(data_generator(ToyDataset((0, 0)), ToyConfig()))
    with pytest.raises(ValueError, match="prepare"):
        next(data_generator(ToyDataset(prepare=False), ToyConfig()))


def test_what_is_no_augmentation():
    with pytest.raises(TypeError, match="augmentation is a int"):
        next(data_generator(ToyDataset((1,)), ToyConfig(), augmentation=3))
