"""Projects as their owners have them, run from their own folders: train, resume, detect, evaluate, write.

The scripts in `projects/` know nothing of these tests. A ResNet-50 stands in for the file of COCO's weights.
"""

import csv
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage.io import imread

from mrcnn import MaskRCNN
from mrcnn.config import Config
from tests.api import project_data

pytestmark = pytest.mark.slow

PROJECTS = Path(__file__).parent / "projects"


class CocoConfig(Config):
    NAME = "coco"
    NUM_CLASSES = 81
    BACKBONE = "resnet50"
    IMAGE_MIN_DIM = IMAGE_MAX_DIM = 64


@pytest.fixture(scope="session")
def coco_weights(tmp_path_factory):
    """A file of the shapes of COCO's weights."""
    folder = tmp_path_factory.mktemp("coco")
    path = folder / "mask_rcnn_coco.h5"
    MaskRCNN("inference", CocoConfig(), folder).keras_model.save_weights(path)
    return path


class Project:
    """A copy of a project in a folder of its own."""

    def __init__(self, name, folder, script_folder=""):
        self.root = folder
        self.folder = folder / script_folder
        shutil.copytree(PROJECTS / name, self.folder, dirs_exist_ok=True)

    def run(self, *arguments):
        """Runs a script of the project as its owner does; returns what it prints."""
        run = subprocess.run(
            [sys.executable, *arguments], cwd=self.folder, capture_output=True, text=True, timeout=1800,
            env={**os.environ, "MPLBACKEND": "Agg", "TF_CPP_MIN_LOG_LEVEL": "3"})
        assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-5000:]
        return run.stdout

    def files(self, pattern):
        return sorted(str(path.relative_to(self.root)) for path in self.root.glob(pattern))


def is_drawn(path):
    """Whether a picture holds more than one colour."""
    return imread(path)[..., :3].std() > 5


@pytest.mark.longest
def test_kangaroo_pascal_voc(tmp_path, coco_weights):
    project = Project("kangaroo", tmp_path)
    os.link(coco_weights, tmp_path / "mask_rcnn_coco.h5")
    project_data.write_voc(tmp_path / "kangaroo", 8)
    printed = project.run("train.py")
    assert "before prepare: 0\ntrain: 5\ntest: 3\n" in printed and "\nConfigurations:\n" in printed
    assert "Starting at epoch 0. LR=0.001" in printed
    assert project.files("kangaroo_cfg*/mask_rcnn*") == [
        f"{project.files('kangaroo_cfg*')[0]}/mask_rcnn_kangaroo_cfg_{epoch:04d}.h5" for epoch in (1, 2)]
    printed = project.run("evaluate.py")
    assert "Train mAP: 0." in printed or "Train mAP: 1." in printed
    assert is_drawn(tmp_path / "annotated.png") and is_drawn(tmp_path / "actual_and_predicted.png")


@pytest.mark.longest
def test_balloon_via_one_and_two(tmp_path, coco_weights):
    project = Project("balloon", tmp_path, "samples/balloon")
    os.link(coco_weights, tmp_path / "mask_rcnn_coco.h5")
    project_data.write_via(tmp_path / "data" / "train", 0, 4, version=1)
    project_data.write_via(tmp_path / "data" / "val", 10, 2, version=2)
    project.run("balloon.py", "train", "--dataset=../../data", "--weights=coco")
    printed = project.run("balloon.py", "train", "--dataset=../../data", "--weights=last", "--epochs=2")
    assert "Re-starting from epoch 1" in printed and "Starting at epoch 1" in printed
    assert len(project.files("logs/balloon*/mask_rcnn_balloon_000[12].h5")) == 2
    printed = project.run("balloon.py", "splash", "--weights=last", "--image=../../data/val/10.jpg")
    assert "Processing 1 images" in printed
    assert imread(tmp_path / project.files("samples/balloon/splash_*.png")[0]).shape == (72, 96, 3)
    project_data.write_video(tmp_path / "film.avi", 3)
    assert "frames: 3" in project.run("balloon.py", "splash", "--weights=last", "--video=../../film.avi")
    reader = cv2.VideoCapture(str(tmp_path / project.files("samples/balloon/splash_*.avi")[0]))
    assert [reader.read()[0] for _ in range(4)] == [True, True, True, False]


@pytest.mark.longest
def test_nucleus_mask_folders_with_imgaug_first(tmp_path, coco_weights):
    project = Project("nucleus", tmp_path, "samples/nucleus")
    project_data.write_mask_folders(tmp_path / "dsb" / "stage1_train", 6)
    project_data.write_mask_folders(tmp_path / "dsb" / "stage1_test", 2, masks=False)
    dataset = "--dataset=../../dsb"
    printed = project.run("nucleus.py", "train", dataset, "--subset=train", f"--weights={coco_weights}")
    assert printed.count("Starting at epoch") == 2 and "IMAGE_RESIZE_MODE              crop" in printed
    printed = project.run("nucleus.py", "detect", dataset, "--subset=stage1_test", "--weights=last")
    (table,) = tmp_path.glob("results/nucleus/submit_*/submit.csv")
    lines = table.read_text().splitlines()
    assert lines[0] == "ImageId,EncodedPixels" and {line[:8] for line in lines[1:]} == {"00000000", "00000001"}
    assert all(is_drawn(table.parent / f"{name}.png") for name in ("00000000", "00000001"))


@pytest.mark.longest
def test_litter_coco_format(tmp_path, coco_weights):
    project = Project("cig_butts", tmp_path)
    os.link(coco_weights, tmp_path / "mask_rcnn_coco.h5")
    project_data.write_coco(tmp_path / "data" / "train", 0, 4)
    project_data.write_coco(tmp_path / "data" / "val", 10, 2)
    printed = project.run("train_litter.py")
    assert "LR=0.001" in printed and "Starting at epoch 1. LR=0.0001" in printed
    assert len(project.files("logs/litter on grass*/mask_rcnn_litter on grass_000[12].h5")) == 2
    assert project.files("logs/*.h5") == ["logs/mask_rcnn_litter.h5"]
    assert len(project.files("found_*.jpg")) == 2


@pytest.mark.longest
def test_drugs_labelme_label_png_and_yaml(tmp_path, coco_weights):
    pytest.importorskip("yaml", reason="PyYAML is not installed")
    project = Project("drugs", tmp_path)
    os.link(coco_weights, tmp_path / "mask_rcnn_coco.h5")
    project_data.write_labelme_folders(tmp_path / "train_data", 4)
    printed = project.run("train_test.py")
    assert "resumed at 1\n" in printed and "gt_mask                  shape: (128, 128, 2)" in printed
    assert "mAP:  " in printed
    assert len(project.files("logs/shapes*/mask_rcnn_shapes_000[12].h5")) == 2
    assert all((tmp_path / f"{name}.png").stat().st_size for name in ("truth", "found", "precision_recall"))


@pytest.mark.longest
def test_cells_sixteen_bit(tmp_path, coco_weights):
    project = Project("cells", tmp_path)
    os.link(coco_weights, tmp_path / "mask_rcnn_coco.h5")
    project_data.write_deep_cells(tmp_path / "train", 0, 3)
    project_data.write_deep_cells(tmp_path / "val", 10, 2)
    project.run("model.py", "train", "train", "val")
    with open(tmp_path / "training.csv") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 and np.isfinite(float(rows[1]["val_mrcnn_mask_loss"]))
    assert len(project.files("models/cells_16bit*/mask_rcnn_cells_16bit_000[12].h5")) == 2
    printed = project.run("model.py", "predict", "val")
    assert "AP @0.50-0.95:\t " in printed
    with open(tmp_path / "cells.csv") as file:
        rows = list(csv.DictReader(file))
    for number, row in enumerate(rows):
        label = imread(tmp_path / f"label_{number}.png")
        assert label.dtype == np.uint16 and label.shape == (96, 96) and label.max() <= int(row["cells"])
        assert is_drawn(tmp_path / f"difference_{number}.png")


@pytest.mark.longest
def test_steel_pixel_lists_one_channel_and_inspection(tmp_path, coco_weights):
    project = Project("steel", tmp_path)
    os.link(coco_weights, tmp_path / "mask_rcnn_coco.h5")
    (tmp_path / "steel").mkdir()
    project_data.write_pixel_lists(tmp_path / "steel", 8)
    printed = project.run("steel.py")
    assert "Image Count: 6\nClass Count: 3\n" in printed and "generator: 7 arrays" in printed
    assert "anchors' recall 1.00" in printed
    for name in ("rois", "refined_anchors_clipped", "post_nms_anchor_ix", "res2c_out"):
        assert f"{name.ljust(25)}shape: " in printed
    assert "conv1/kernel" in printed and is_drawn(tmp_path / "activations.png")


@pytest.mark.longest
def test_rgbd_labelme_json_video(tmp_path, coco_weights):
    project = Project("rgbd", tmp_path)
    os.link(coco_weights, tmp_path / "mask_rcnn_coco.h5")
    for name, first, count in (("train", 0, 4), ("val", 10, 2)):
        (tmp_path / "data" / name).mkdir(parents=True)
        project_data.write_labelme(tmp_path / "data" / name, first, count)
    printed = project.run("video_rgbd.py")
    assert "Nothing to do" in printed and re.search(r"in the dark: \((\d+), 4\) \(72, 96, \1\) int32\n", printed)
    assert (tmp_path / "logs" / "rgbd_final.h5").exists()
    reader = cv2.VideoCapture(str(tmp_path / "out.avi"))
    assert [reader.read()[0] for _ in range(3)] == [True, True, False]
