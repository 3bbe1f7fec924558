"""Keypoint R-CNN: a person's way through it, on a small network and on photographs."""

import keras
import numpy as np
import pytest

from mrcnn import KeypointRCNN
from mrcnn.data.masks import extract_bboxes
from mrcnn.evaluation import evaluate, evaluate_detections
from mrcnn.visualize import draw_instances
from samples.coco.dataset import CocoDataset
from tests.small import SIDE, KeypointDataset, SmallConfig


class KeypointConfig(SmallConfig):
    NUM_KEYPOINTS = 3
    ROI_TARGETS = "fill"
    KEYPOINT_CHANNELS = 16
    KEYPOINT_POOL_SIZE = 7


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A model after an epoch with validation, its history and its folder."""
    folder = tmp_path_factory.mktemp("logs")
    model = KeypointRCNN("training", KeypointConfig(), folder)
    history = model.train(KeypointDataset(), KeypointDataset(4), 1e-3, epochs=1, layers="all", verbose=0).history
    return model, history, folder


def test_five_losses(trained):
    _, history, _ = trained
    names = {"loss", "rpn_class_loss", "rpn_bbox_loss", "mrcnn_class_loss", "mrcnn_bbox_loss", "mrcnn_keypoint_loss"}
    assert set(history) == names | {f"val_{name}" for name in names}
    assert all(np.isfinite(values).all() for values in history.values())
    # Before it has learned anything every cell is about as likely; a batch may have no region of an object.
    assert 0 < history["mrcnn_keypoint_loss"][0] < np.log(28 * 28) + 0.5


def test_the_checkpoint_detects_keypoints(trained):
    model, _, folder = trained
    detector = KeypointRCNN("inference", model.config, folder)
    detector.load_weights(model.find_last())
    kernel, _ = detector.keras_model.get_layer("mrcnn_class_logits").get_weights()
    # An epoch of three steps need not find anything: here every region is the second class.
    detector.keras_model.get_layer("mrcnn_class_logits").set_weights([0 * kernel, np.array([0.0, 0.0, 9.0])])
    image = KeypointDataset().load_image(0)
    result = detector.detect([image] * model.config.BATCH_SIZE)[0]
    count = len(result["rois"])
    assert set(result) == {"rois", "class_ids", "scores", "keypoints", "keypoint_scores"} and count > 0
    assert result["keypoints"].shape == (count, 3, 2) and result["keypoints"].dtype == np.float32
    assert (result["keypoints"] >= -1).all() and (result["keypoints"] <= SIDE).all()
    assert (result["keypoint_scores"] > 0).all() and (result["keypoint_scores"] <= 1).all()
    assert draw_instances(image, result, ["BG", "bright", "dark"]).shape == image.shape


def test_evaluation_judges_boxes_and_keypoints(trained, capsys):
    model, _, _ = trained
    numbers = evaluate(model, KeypointDataset(4))
    assert {"box_ap", "keypoint_ap", "keypoint_ap50", "keypoint_ar_large"} <= numbers.keys()
    assert not any(name.startswith("mask_") for name in numbers)
    printed = capsys.readouterr().out
    assert "*keypoints*" in printed and "OKS=0.50:0.95" in printed


def as_detections(dataset, image_id, shift=0.0):
    """The truth of an image as a model would find it, keypoints moved down; only objects with annotated ones."""
    masks, class_ids = dataset.load_mask(image_id)
    keypoints = dataset.load_keypoints(image_id)
    annotated = keypoints[..., 2].any(axis=1)
    keypoints = keypoints[annotated]
    return {
        "rois": extract_bboxes(masks)[annotated],
        "class_ids": class_ids[annotated],
        "scores": np.ones(len(keypoints)),
        "keypoints": keypoints[..., :2] + [shift, 0],
        "keypoint_scores": np.ones(keypoints.shape[:2]),
    }


@pytest.fixture(scope="module")
def people(test_data):
    dataset = CocoDataset()
    coco = dataset.load_coco(str(test_data / "coco_mini"), "val", "2017", return_coco=True, keypoints=True)
    dataset.prepare()
    return dataset, coco


def test_cocos_people_have_keypoints(people):
    dataset, coco = people
    assert dataset.keypoint_names[:3] == ("nose", "left_eye", "right_eye") and dataset.skeleton[0] == (15, 13)
    for image_id in dataset.image_ids[:20]:
        keypoints = dataset.load_keypoints(image_id)
        assert keypoints.shape == (len(dataset.load_mask(image_id)[1]), 17, 3)
        annotations = coco.imgToAnns[dataset.image_info[image_id]["id"]]
        assert (keypoints[..., 2] > 0).sum() == sum(a["num_keypoints"] for a in annotations)


@pytest.mark.parametrize("official", [False, True], ids=["from the dataset", "with COCO's annotations"])
def test_the_truth_has_an_average_precision_of_one(people, official):
    dataset, coco = people
    crowded = {i for i in dataset.image_ids if (dataset.load_mask(i)[1] < 0).any()}
    image_ids = [i for i in dataset.image_ids if i not in crowded]
    results = {i: as_detections(dataset, i) for i in image_ids}
    numbers = evaluate_detections(results, dataset, verbose=0, coco=coco if official else None)
    assert numbers["keypoint_ap"] == pytest.approx(1.0)
    moved = {i: as_detections(dataset, i, 12.0) for i in image_ids}
    assert 0.05 < evaluate_detections(moved, dataset, verbose=0)["keypoint_ap"] < 0.9


@pytest.mark.longest
@pytest.mark.slow
def test_keypoints_are_learned(tmp_path):
    """Three keypoints of rectangles: after some training most are found within two pixels, on unseen pictures."""
    keras.utils.set_random_seed(0)
    config = KeypointConfig()
    config.OPTIMIZER, config.GRADIENT_CLIP_NORM = "adam", 5.0
    config.ROI_ALIGN, config.STEPS_PER_EPOCH, config.DETECTION_MIN_CONFIDENCE = "aligned", 120, 0.5
    model = KeypointRCNN("training", config, tmp_path)
    losses = model.train(KeypointDataset(64), None, 2e-3, epochs=6, layers="all", verbose=0).history
    assert losses["mrcnn_keypoint_loss"][-1] < 0.6 * np.log(28 * 28)
    unseen = KeypointDataset(96)
    numbers = evaluate(model, unseen, image_ids=unseen.image_ids[64:], verbose=0)
    assert numbers["keypoint_ap50"] > 0.5
