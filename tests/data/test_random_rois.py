"""Random rois and the second stage's targets."""

import numpy as np
import pytest

from mrcnn.data.random_rois import build_detection_targets, generate_random_rois

from .toy import ToyConfig


@pytest.fixture(scope="module")
def pure(golden):
    return np.load(golden / "pure.npz")


@pytest.fixture
def config():
    config = ToyConfig()
    config.NUM_CLASSES, config.TRAIN_ROIS_PER_IMAGE, config.IMAGE_MAX_DIM = 4, 16, 128
    return config


def test_parity_of_random_rois(pure):
    np.random.seed(0)
    rois = generate_random_rois((128, 128, 3), 60, np.array([1, 2, 3]), pure["dt/gt_boxes"])
    assert rois.dtype == np.int32
    np.testing.assert_array_equal(rois, pure["dt/random_rois"])


def test_parity_of_detection_targets(pure, config):
    np.random.seed(0)
    targets = build_detection_targets(
        pure["dt/random_rois"], np.array([1, 2, 3]), pure["dt/gt_boxes"], pure["dt/gt_masks_mini"], config
    )
    for name, value in zip(("rois", "class_ids", "bboxes", "masks"), targets, strict=True):
        np.testing.assert_allclose(value, pure[f"dt/np/{name}"], atol=1e-5, err_msg=name)


@pytest.mark.parametrize("objects", [0, 1, 40])
def test_every_roi_has_an_area_inside_the_image(objects):
    boxes = np.tile([[0, 0, 1, 1]], (objects, 1))
    rois = generate_random_rois((64, 80), 30, np.ones(objects), boxes, np.random.RandomState(0))
    assert rois.shape == (30, 4)
    assert (rois[:, :2] >= 0).all() and (rois[:, 2:] > rois[:, :2]).all()
    assert (rois[:, 2] <= 64).all() and (rois[:, 3] <= 80).all()


def test_full_size_masks_give_the_roi_part(config):
    config.USE_MINI_MASK = False
    mask = np.zeros((128, 128, 2), bool)
    mask[10:50, 10:50, 1] = True
    rois = np.array([[10, 10, 50, 50], [60, 60, 90, 90], [20, 10, 50, 50]])
    boxes = np.array([[0, 0, 20, 20], [10, 10, 50, 50]])
    kept, class_ids, deltas, masks = build_detection_targets(rois, np.array([-1, 2]), boxes, mask, config)
    assert kept.shape == (16, 4) and (class_ids > 0).sum() == 2
    assert masks[0, 2:-2, 2:-2, 2].min() == 1 and not masks[0, :, :, 1].any()
    assert not deltas[2:].any() and not masks[2:].any()


def test_nothing_to_train_on_is_said(config):
    box = np.array([[10, 10, 50, 50]])
    mask = np.ones((56, 56, 1), bool)
    with pytest.raises(ValueError, match="no objects"):
        build_detection_targets(box, np.array([-1]), box, mask, config)
    with pytest.raises(ValueError, match="give more regions"):
        build_detection_targets(box, np.array([1]), box, mask, config)


def test_mini_masks_of_images_larger_than_the_configuration_says(config):
    config.MINI_MASK_SHAPE = (56, 56)
    rois = np.array([[110, 130, 150, 190], [0, 0, 20, 20]])
    box, mask = np.array([[110, 130, 150, 190]]), np.ones((56, 56, 1), bool)
    mask[:, :28] = False
    _, class_ids, _, masks = build_detection_targets(rois, np.array([2]), box, mask, config)
    assert class_ids[0] == 2 and masks[0, :, :, 2][2:-2, 16:-2].min() == 1 and not masks[0, :, :, 2][:, :12].any()
