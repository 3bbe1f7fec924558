"""Keypoints: found in heat maps as by the peers, moved with their image, refused where they do not fit."""

import numpy as np
import pytest
from imgaug import augmenters as iaa

from mrcnn.data.augment import augment
from mrcnn.data.batch import check_dataset
from mrcnn.data.generator import DataGenerator
from mrcnn.data.keypoints import find_keypoints, mirrored_order, resized_keypoints
from mrcnn.data.load import load_sample
from mrcnn.data.resize import apply_plan, plan_resize
from tests.small import KeypointDataset, SmallConfig

NAMES = ("nose", "left_eye", "right_eye")


class KeypointConfig(SmallConfig):
    NUM_KEYPOINTS = 3
    KEYPOINT_OFFSET = 0.5


def test_torchvision_finds_the_same(golden_torchvision):
    case = np.load(golden_torchvision / "ops_masks_keypoints.npz")
    logits = case["kp_maps"].astype("float32").transpose(0, 2, 3, 1)
    points, scores = find_keypoints(logits, case["kp_boxes"][:, [1, 0, 3, 2]], "logit")
    np.testing.assert_allclose(points[..., ::-1], case["kp_xy"][..., :2], atol=1e-3)
    np.testing.assert_allclose(scores, case["kp_scores"], rtol=1e-4, atol=1e-4)


def test_detectron2_finds_the_same(golden_torchvision):
    maps = np.load(golden_torchvision / "ops_masks_keypoints.npz")
    expected = np.load(golden_torchvision / "d2_ops.npz")["keypoints_x_y_logit_score"]
    logits = maps["kp_maps"].astype("float32").transpose(0, 2, 3, 1)
    points, scores = find_keypoints(logits, maps["kp_boxes"][:, [1, 0, 3, 2]])
    np.testing.assert_allclose(points[..., ::-1], expected[..., :2], atol=1e-3)
    np.testing.assert_allclose(scores, expected[..., 3], rtol=1e-3, atol=1e-6)


def test_maps_are_enlarged_like_torchvisions(golden_torchvision):
    """Seen by the highest value of each map and its place."""
    case = np.load(golden_torchvision / "ops_losses_layers.npz")
    enlarged = case["bicubic_11x23"].reshape(2, 6, -1)
    points, scores = find_keypoints(case["x"].transpose(0, 2, 3, 1), np.array([[0, 0, 11, 23]] * 2), "logit")
    np.testing.assert_allclose(scores, enlarged.max(axis=-1), atol=1e-5)
    places = np.stack(np.divmod(enlarged.argmax(axis=-1), 23), axis=-1)
    np.testing.assert_allclose(points, places + 0.5, atol=1e-4)


def test_nothing_found_has_no_keypoints():
    points, scores = find_keypoints(np.zeros((0, 56, 56, 17), np.float32), np.zeros((0, 4)))
    assert points.shape == (0, 17, 2) and scores.shape == (0, 17)


@pytest.mark.parametrize("mode", ["square", "pad64", "pad32", "none"])
def test_keypoints_stay_on_their_pixels_when_the_image_is_resized(mode):
    image = np.zeros((64, 128, 1), np.uint8)
    image[40:48, 16:24] = 255
    corners = np.array([[[40, 16, 2], [48, 24, 1], [0, 0, 0]]], float)
    plan = plan_resize(64, 128, 128, 256, None, mode)
    resized = apply_plan(image, plan)[..., 0] > 127
    points = resized_keypoints(corners, image.shape, plan, 0)[0]
    rows, columns = np.flatnonzero(resized.any(1)), np.flatnonzero(resized.any(0))
    assert points[:2, :2].tolist() == [[rows[0], columns[0]], [rows[-1] + 1, columns[-1] + 1]]
    assert points[:, 2].tolist() == [2, 1, 0] and not points[2].any()


def test_what_a_crop_cuts_away_is_not_annotated():
    plan = plan_resize(64, 64, 64, 64, None, "none")._replace(crop=(10, 20, 30, 30))
    keypoints = np.array([[[12, 22, 2], [9, 22, 2], [12, 51, 1]]], float)
    assert resized_keypoints(keypoints, (64, 64), plan, 0.5)[0].tolist() == [[2.5, 2.5, 2], [0, 0, 0], [0, 0, 0]]


def test_left_and_right_are_each_others_mirror_image():
    assert mirrored_order(["nose", "left_eye", "right_eye", "LeftFoot", "RightFoot", "left"]).tolist() == [
        0, 2, 1, 4, 3, 5
    ]  # fmt: skip


PICTURE = np.zeros((40, 60, 3), np.uint8)
MASKS = np.ones((40, 60, 1), bool)
POINTS = np.array([[[10, 20, 2], [11.5, 31, 2], [12, 41.5, 1]]], np.float32)


def test_a_mirrored_object_has_left_and_right_swapped():
    moved = augment(PICTURE, MASKS, iaa.Fliplr(1.0), None, POINTS, mirrored_order(NAMES))[2]
    np.testing.assert_allclose(moved[0], [[10, 40, 2], [12, 18.5, 1], [11.5, 29, 2]])


def test_the_deprecated_flip_mirrors_them_too():
    loaded = [
        load_sample(KeypointDataset(1), KeypointConfig(), 0, True, rng=np.random.RandomState(seed), with_keypoints=True)
        for seed in range(8)
    ]
    plain = load_sample(KeypointDataset(1), KeypointConfig(), 0, with_keypoints=True)
    flipped = [sample for sample in loaded if (sample[0] != plain[0]).any()]
    assert 0 < len(flipped) < len(loaded)
    mirrored = plain[5][:, [0, 2, 1]] * [1, -1, 1] + [0, plain[0].shape[1], 0]
    np.testing.assert_allclose(flipped[0][5], mirrored)


def test_a_turned_object_keeps_left_and_right():
    both = iaa.Sequential([iaa.Fliplr(1.0), iaa.Flipud(1.0), iaa.Multiply(0.5)])
    moved = augment(PICTURE, MASKS, both, None, POINTS, mirrored_order(NAMES))[2]
    np.testing.assert_allclose(moved[0], [[30, 40, 2], [28.5, 29, 2], [28, 18.5, 1]])


def test_what_moves_out_of_the_image_is_not_annotated():
    shift = iaa.Affine(translate_px={"x": 25, "y": 0})
    moved = augment(PICTURE, MASKS, shift, np.random.RandomState(0), POINTS, mirrored_order(NAMES))[2]
    np.testing.assert_allclose(moved[0], [[10, 45, 2], [11.5, 56, 2], [0, 0, 0]], atol=1e-4)


@pytest.mark.parametrize("seed", range(4))
def test_keypoints_go_with_the_pixels(seed):
    spots = np.zeros((120, 160, 3), np.uint8)
    points = np.array([[[30.5, 40.5, 2], [60.5, 90.5, 2], [80.5, 60.5, 2]]], np.float32)
    for index, (y, x, _) in enumerate(points[0].astype(int)):
        spots[y - 3 : y + 4, x - 3 : x + 4, index] = 255
    mix = iaa.Sequential([iaa.Fliplr(0.5), iaa.Flipud(0.5), iaa.Affine(rotate=(-40, 40), scale=(0.8, 1.1))])
    masks = np.ones((120, 160, 1), bool)
    image, _, moved = augment(spots, masks, mix, np.random.RandomState(seed), points, np.arange(3))
    for index in range(3):
        weights = image[..., index].astype(float)
        center = [(np.indices(weights.shape)[axis] * weights).sum() / weights.sum() + 0.5 for axis in (0, 1)]
        np.testing.assert_allclose(moved[0, index, :2], center, atol=0.75)


def test_a_function_moves_the_keypoints_itself():
    def upside_down(image, masks, keypoints):
        return image[::-1], masks[::-1], keypoints * [-1, 1, 1] + [len(image), 0, 0]

    moved = augment(PICTURE, MASKS, upside_down, None, POINTS, np.arange(3))[2]
    np.testing.assert_allclose(moved[0, :, 0], [30, 28.5, 28])


def test_a_function_that_would_leave_them_behind_is_refused():
    with pytest.raises(ValueError, match="argument named keypoints"):
        augment(PICTURE, MASKS, lambda image, masks: (image, masks), None, POINTS, np.arange(3))
    with pytest.raises(ValueError, match="named keypoints"):
        DataGenerator(KeypointDataset(1), KeypointConfig(), augmentation=lambda image, masks: (image, masks),
                      with_keypoints=True)


def test_batches_hold_keypoints():
    config = KeypointConfig()
    generator = DataGenerator(KeypointDataset(4), config, shuffle=False, with_keypoints=True)
    images, metas, class_ids, boxes, _, keypoints = generator[0][0]
    assert keypoints.shape == (2, config.MAX_GT_INSTANCES, 3, 3) and keypoints.dtype == np.float32
    first = KeypointDataset(4).load_keypoints(0)[0]
    np.testing.assert_allclose(keypoints[0, 0, :, :2], first[:, :2] + 0.5)
    assert not keypoints[class_ids == 0].any()
    inside = (keypoints[..., :2] >= boxes[:, :, None, :2]) & (keypoints[..., :2] <= boxes[:, :, None, 2:])
    assert inside[0, class_ids[0] > 0].all()


def test_names_must_be_as_many_as_the_configuration_says():
    config = KeypointConfig()
    config.NUM_KEYPOINTS = 17
    with pytest.raises(ValueError, match="NUM_KEYPOINTS = 17"):
        check_dataset(KeypointDataset(1), config, with_keypoints=True)


@pytest.mark.parametrize(
    ("keypoints", "problem"),
    [
        (np.zeros((2, 3, 3)), r"shape \(2, 3, 3\), expected \(1, 3, 3\)"),
        (np.full((1, 3, 3), np.nan), "no number"),
        (np.full((1, 3, 3), 3.0), "visibility"),
    ],
)
def test_keypoints_that_cannot_be_are_refused(keypoints, problem, caplog):
    dataset = KeypointDataset(1)
    dataset.load_keypoints = lambda image_id: keypoints
    with pytest.raises(RuntimeError, match=f'image 0 .*{problem}'):
        DataGenerator(dataset, KeypointConfig(), with_keypoints=True)[0]


def test_a_dataset_without_keypoints_says_what_to_write():
    dataset = KeypointDataset(1)
    with pytest.raises(NotImplementedError, match="override load_keypoints"):
        super(KeypointDataset, dataset).load_keypoints(0)
