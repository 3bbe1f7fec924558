"""samples/coco/keypoints.py on real photographs."""

import json

import pytest
from skimage.io import imread

from samples.coco import keypoints

SMALL = ["--backbone", "light", "--image-size", "128", "--channels", "16", "--batch", "2", "--steps", "4"]


@pytest.mark.slow
def test_train_evaluate_and_detect(test_data, tmp_path, capsys):
    data, logs = str(test_data / "coco_mini"), str(tmp_path / "logs")
    common = [*SMALL, "--logs", logs]
    keypoints.main(["train", "--dataset", data, "--model", "none", "--epochs", "1", "--limit", "3", *common])
    folder = next((tmp_path / "logs").iterdir())
    numbers = json.loads((folder / "metrics.json").read_text())
    assert len(numbers["losses"]) == 1 and numbers["images"] == 3 and -1 <= numbers["keypoint_ap"] <= 1
    keypoints.main(["evaluate", "--dataset", data, "--limit", "2", "--out", str(tmp_path / "out"), *common])
    printed = capsys.readouterr().out
    assert "*keypoints*" in printed and (tmp_path / "out" / "metrics.json").exists()
    picture = next((test_data / "coco_mini" / "val2017").glob("*.jpg"))
    keypoints.main(["detect", "--image", str(picture), "--out", str(tmp_path / "out"), *common])
    drawn = imread(tmp_path / "out" / f"{picture.stem}_keypoints.png")
    assert drawn.shape == imread(picture).shape


@pytest.mark.parametrize("command", ["train", "evaluate", "detect"])
def test_what_is_missing_is_named(command, capsys):
    with pytest.raises(SystemExit):
        keypoints.parse([command])
    assert f"needs --{'image' if command == 'detect' else 'dataset'}" in capsys.readouterr().err
