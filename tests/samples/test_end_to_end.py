"""The samples from the command line to the numbers they promise."""

import json
import sys

import numpy as np
import pytest
from skimage.io import imsave

from samples.coco import coco
from samples.nucleus import nucleus
from samples.shapes import shapes

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def argv(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["sample"])


def metrics(folder):
    return json.loads((folder / "metrics.json").read_text())


def test_shapes_from_random_weights(tmp_path):
    """The README's main command with its defaults."""
    out = tmp_path / "out"
    shapes.main(["train", "--logs", str(tmp_path / "logs"), "--out", str(out)])
    numbers = metrics(out)
    assert numbers["images"] == 200 and numbers["seed"] == 0
    assert numbers["mask_ap50"] >= 0.90
    assert numbers["mask_ap"] >= 0.60
    assert (out / "losses.png").stat().st_size > 10_000 and (out / "detections.png").stat().st_size > 10_000


COCO = ["--year", "2017", "--backbone", "light", "--image-size", "128", "--batch", "2", "--steps", "16"]


def test_coco_trains_resumes_evaluates_and_detects(test_data, tmp_path, capsys, monkeypatch):
    for setting, value in {"VALIDATION_STEPS": 2, "TRAIN_ROIS_PER_IMAGE": 40, "POST_NMS_ROIS_TRAINING": 200}.items():
        monkeypatch.setattr(coco.CocoConfig, setting, value)
    data = [*COCO, "--dataset", str(test_data / "coco_mini"), "--logs", str(tmp_path / "logs")]
    coco.main(["train", *data, "--model", "none", "--epochs", "1", "--limit", "4", "--out", str(tmp_path / "one")])
    first = metrics(tmp_path / "one")["history"]["loss"]
    coco.main(["train", *data, "--model", "last", "--epochs", "2", "--limit", "4", "--out", str(tmp_path / "two")])
    later = metrics(tmp_path / "two")["history"]["loss"]
    assert len(first) == 1 and len(later) == 1
    assert later[-1] < first[0]
    capsys.readouterr()
    coco.main(["evaluate", *data, "--model", "last", "--limit", "4", "--out", str(tmp_path / "eval")])
    printed = capsys.readouterr().out
    assert printed.count("Average Precision") == printed.count("Average Recall") == 12
    assert metrics(tmp_path / "eval")["images"] == 4
    picture = next((test_data / "coco_mini" / "val2017").glob("*.jpg"))
    coco.main(["detect", *data, "--model", "last", "--image", str(picture), "--out", str(tmp_path / "pictures")])
    assert list((tmp_path / "pictures").glob("*.png"))


def test_nucleus_trains_evaluates_and_detects(tmp_path):
    """On generated cells in the competition's layout."""
    rng = np.random.default_rng(0)
    for index in range(6):
        image_id = nucleus.VAL_IMAGE_IDS[index] if index < 2 else f"cell{index}"
        folder = tmp_path / "data" / "stage1_train" / image_id
        (folder / "images").mkdir(parents=True)
        (folder / "masks").mkdir()
        image = np.zeros((96, 128, 4), np.uint8)
        for number, (y, x) in enumerate(rng.integers(0, 80, (8, 2))):
            mask = np.zeros(image.shape[:2], np.uint8)
            mask[y : y + 12, x : x + 14] = 255
            image[mask > 0] = 200
            imsave(folder / "masks" / f"{number}.png", mask, check_contrast=False)
        imsave(folder / "images" / f"{image_id}.png", image, check_contrast=False)
    options = ["--dataset", str(tmp_path / "data"), "--logs", str(tmp_path / "logs"), "--backbone", "light"]
    options += ["--image-size", "128"]
    train = ["--weights", "none", "--epochs", "2", "--steps", "10"]
    nucleus.main(["train", *options, *train, "--out", str(tmp_path / "train")])
    numbers = metrics(tmp_path / "train")
    assert numbers["images"] == 2 and 0 <= numbers["kaggle_score"] <= 1 and 0 <= numbers["mask_ap50"] <= 1
    nucleus.main(["detect", *options, "--subset", "stage1_train", "--limit", "2", "--out", str(tmp_path / "found")])
    assert (tmp_path / "found" / "submit.csv").read_text().startswith("ImageId,EncodedPixels\n")
    assert len(list((tmp_path / "found").glob("*.png"))) == 2
