"""The balloon sample: its data, the colour splash of pictures and videos, and its command line."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from skimage.io import imread, imsave

from samples import common
from samples.balloon import balloon, splash

ROOT = Path(__file__).resolve().parents[2]
HEIGHT, WIDTH = 48, 64


def write_subset(folder, count, rng, height=HEIGHT, width=WIDTH):
    """Pictures of one or two coloured ellipses on grey, annotated with polygons as VIA 1 does."""
    folder.mkdir(parents=True)
    content = {}
    for number in range(count):
        image, regions = np.full((height, width, 3), rng.integers(60, 160), np.uint8), {}
        for index in range(1 + number % 2):
            angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
            radius = rng.integers(height // 8, height // 4, 2)
            centre = (width // 4 + index * width // 2, rng.integers(height // 3, height - height // 3))
            xs, ys = (np.rint(centre[i] + radius[i] * (np.cos, np.sin)[i](angles)).astype(int) for i in range(2))
            cv2.fillPoly(image, [np.stack([xs, ys], axis=1).astype(np.int32)], (220, int(rng.integers(60)), 40))
            shape = {"name": "polygon", "all_points_x": xs.tolist(), "all_points_y": ys.tolist()}
            regions[str(index)] = {"shape_attributes": shape, "region_attributes": {}}
        imsave(folder / f"{number}.png", image, check_contrast=False)
        content[f"{number}.png99"] = {"filename": f"{number}.png", "size": 99, "regions": regions}
    (folder / "via_region_data.json").write_text(json.dumps(content))


@pytest.fixture
def data(tmp_path):
    """Folder with `train` (3 pictures) and `val` (2)."""
    rng = np.random.default_rng(0)
    for subset, count in (("train", 3), ("val", 2)):
        write_subset(tmp_path / "data" / subset, count, rng)
    return tmp_path / "data"


def load(folder, subset="train"):
    dataset = balloon.BalloonDataset()
    dataset.load_balloon(folder, subset)
    dataset.prepare()
    return dataset


class TestDataset:
    @pytest.mark.parametrize("subset, count", [("train", 3), ("val", 2)])
    def test_subsets(self, data, subset, count):
        dataset = load(str(data), subset)
        assert dataset.num_images == count and dataset.class_names == ["BG", "balloon"]
        assert dataset.image_reference(1) == str(data / subset / "1.png") == dataset.image_info[1]["path"]
        assert dataset.image_info[1]["source"] == "balloon" and dataset.image_info[1]["id"] == "1.png"

    def test_masks_cover_the_balloons(self, data):
        dataset = load(data)
        masks, class_ids = dataset.load_mask(1)
        assert masks.shape == (HEIGHT, WIDTH, 2) and masks.dtype == bool and class_ids.tolist() == [1, 1]
        red = dataset.load_image(1)[:, :, 0] == 220
        assert np.mean(masks.any(axis=-1) == red) > 0.98

    def test_attributes_do_not_matter(self, data):
        path = data / "train" / "via_region_data.json"
        content = json.loads(path.read_text())
        for number, entry in enumerate(content.values()):
            entry["regions"]["0"]["region_attributes"] = {"name": f"colour {number}", "size": "big"}
        path.write_text(json.dumps(content))
        assert load(data).class_names == ["BG", "balloon"]

    def test_missing_folder_and_unknown_subset(self, data, tmp_path):
        with pytest.raises(FileNotFoundError, match="train/via_region_data.json.*--dataset"):
            load(tmp_path)
        with pytest.raises(ValueError, match="'test'.*train or val"):
            load(data, "test")


def square_mask(count=1):
    """The left upper quarter, `count` times."""
    masks = np.zeros((HEIGHT, WIDTH, count), bool)
    masks[: HEIGHT // 2, : WIDTH // 2] = True
    return masks


def fake_model(log_dir, masks):
    """Detects `masks` in every image and keeps the images it was given in `.seen`."""
    seen = []

    def detect(images, verbose=0):
        seen.extend(images)
        return [{"masks": masks}] * len(images)

    return SimpleNamespace(detect=detect, log_dir=str(log_dir), seen=seen)


class TestColorSplash:
    IMAGE = np.random.RandomState(0).randint(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)

    def test_grey_but_for_the_mask(self):
        result = splash.color_splash(self.IMAGE, square_mask())
        inside = square_mask()[:, :, 0]
        assert result.dtype == np.uint8 and np.array_equal(result[inside], self.IMAGE[inside])
        outside = result[~inside].astype(int)
        assert np.ptp(outside, axis=1).max() == 0
        brightness = self.IMAGE[~inside] @ np.array([0.2125, 0.7154, 0.0721])
        assert np.abs(outside[:, 0] - brightness).max() <= 0.5 + 1e-6

    def test_several_masks_and_none(self):
        masks = np.concatenate([square_mask(), square_mask()[::-1, ::-1]], axis=-1)
        coloured = np.ptp(splash.color_splash(self.IMAGE, masks).astype(int), axis=-1) > 0
        assert not (coloured & ~masks.any(axis=-1)).any() and coloured[masks.any(axis=-1)].mean() > 0.9
        assert not np.ptp(splash.color_splash(self.IMAGE, np.zeros((HEIGHT, WIDTH, 0))), axis=-1).any()

    def test_the_image_stays_as_it_is(self):
        before = self.IMAGE.copy()
        splash.color_splash(self.IMAGE, square_mask())
        assert np.array_equal(self.IMAGE, before)

    def test_picture(self, tmp_path):
        imsave(tmp_path / "a.png", self.IMAGE)
        model = fake_model(tmp_path / "logs", square_mask())
        target = balloon.detect_and_color_splash(model, image_path=str(tmp_path / "a.png"))
        assert target.parent == tmp_path / "logs" and target.match("splash_????????T??????.png")
        assert np.array_equal(imread(target), splash.color_splash(self.IMAGE, square_mask()))
        assert np.array_equal(model.seen[0], self.IMAGE)

    def test_picture_from_an_address(self, tmp_path):
        imsave(tmp_path / "a.png", self.IMAGE)
        assert np.array_equal(splash.read_picture((tmp_path / "a.png").as_uri()), self.IMAGE)
        with pytest.raises(ValueError, match="nothing.png cannot be loaded.*--image"):
            splash.read_picture((tmp_path / "nothing.png").as_uri())

    @pytest.mark.parametrize("paths", [{}, {"image_path": "a.png", "video_path": "a.avi"}])
    def test_one_of_both(self, tmp_path, paths):
        with pytest.raises(ValueError, match="either image_path or video_path"):
            balloon.detect_and_color_splash(fake_model(tmp_path, None), **paths)


def read_video(path):
    """Frames uint8 [T, H, W, RGB] and their rate."""
    capture, frames = cv2.VideoCapture(str(path)), []
    rate = capture.get(cv2.CAP_PROP_FPS)
    while True:
        read, frame = capture.read()
        if not read:
            return np.array(frames), rate
        frames.append(frame[:, :, ::-1])


class TestVideo:
    COLORS = [(200, 40, 40), (40, 200, 40), (40, 40, 200), (200, 200, 40)]

    @pytest.fixture
    def video(self, tmp_path):
        """Four plain frames, 12 a second."""
        writer = cv2.VideoWriter(str(tmp_path / "in.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 12.0, (WIDTH, HEIGHT))
        for color in self.COLORS:
            writer.write(np.full((HEIGHT, WIDTH, 3), color[::-1], np.uint8))
        writer.release()
        return tmp_path / "in.avi"

    def test_every_frame(self, video, tmp_path):
        model = fake_model("unused", square_mask())
        target = balloon.detect_and_color_splash(model, video_path=str(video), out_dir=tmp_path / "out")
        assert target.parent == tmp_path / "out" and target.match("splash_????????T??????.avi")
        frames, rate = read_video(target)
        assert frames.shape == (4, HEIGHT, WIDTH, 3) and rate == 12
        for frame, seen, color in zip(frames, model.seen, self.COLORS, strict=True):
            assert np.abs(seen[4, 4].astype(int) - color).max() < 12
            assert np.abs(frame[4, 4].astype(int) - color).max() < 12
            assert np.ptp(frame[-4, -4].astype(int)) < 6

    def test_no_video(self, tmp_path):
        model = fake_model(tmp_path, square_mask())
        with pytest.raises(FileNotFoundError, match="nothing.mp4 does not exist.*--video"):
            balloon.detect_and_color_splash(model, video_path=tmp_path / "nothing.mp4")
        (tmp_path / "text.mp4").write_text("no video")
        with pytest.raises(ValueError, match="text.mp4 cannot be opened"):
            balloon.detect_and_color_splash(model, video_path=tmp_path / "text.mp4")
        assert not list(tmp_path.glob("splash_*"))

    def test_a_result_that_cannot_be_written(self, tmp_path):
        with pytest.raises(OSError, match="out.avi cannot be written"):
            splash.open_writer(tmp_path / "absent" / "out.avi", 12.0, (HEIGHT, WIDTH, 3))


class TestCommandLine:
    def test_configurations_are_sound(self):
        balloon.BalloonConfig().validate("training")
        balloon.BalloonInferenceConfig().validate("inference")

    @pytest.mark.parametrize("words", [["--backbone", "light"], ["--norm", "group"], []])
    def test_wishes(self, words):
        args = balloon.parse(["train", "--dataset", "x", "--image-size", "128", "--batch", "3", *words])
        config = balloon.make_config(balloon.BalloonConfig, args)
        config.validate("training")
        assert config.BATCH_SIZE == 3 and tuple(config.IMAGE_SHAPE) == (128, 128, 3)
        assert (config.NORM, config.OPTIMIZER) == (("group", "adam") if words else ("batch", "sgd"))
        assert balloon.make_config(balloon.BalloonInferenceConfig, args).BATCH_SIZE == 1

    @pytest.mark.parametrize("words, what", [
        (["train"], "train needs --dataset"), (["evaluate"], "evaluate needs --dataset"),
        (["splash"], "either --image or --video"),
        (["splash", "--image", "a", "--video", "b"], "either --image or --video"),
        (["train", "--dataset", "x", "--weights", "none"], "--weights none needs"), (["paint"], "invalid choice")])
    def test_what_makes_no_sense(self, capsys, words, what):
        with pytest.raises(SystemExit):
            balloon.parse(words)
        assert what in capsys.readouterr().err

    @pytest.mark.parametrize("norm, layers", [("group", "all"), ("batch", "heads")])
    def test_layers_that_train(self, norm, layers):
        calls = []
        config = common.configure(balloon.BalloonConfig, NORM=norm)
        model = SimpleNamespace(config=config, epoch=0, train=lambda *sets, **options: calls.append(options))
        balloon.train(model, None, None, epochs=5)
        assert [(call["layers"], call["epochs"]) for call in calls] == [(layers, 5)]

    def test_evaluate_command(self, data, tmp_path, monkeypatch):
        dataset, asked = load(data, "val"), iter(range(2))

        def detect(images, verbose=0):
            masks, class_ids = dataset.load_mask(next(asked))
            boxes = common.utils.extract_bboxes(masks)
            return [{"rois": boxes, "class_ids": class_ids, "masks": masks, "scores": np.full(len(boxes), 0.9)}]

        def build(mode, config, logs):
            assert mode == "inference" and config.DETECTION_MIN_CONFIDENCE == 0
            return SimpleNamespace(config=config, log_dir="unused", detect=detect)

        monkeypatch.setattr(common, "build_model", build)
        balloon.main(["evaluate", "--dataset", str(data), "--weights", "none", "--out", str(tmp_path / "out")])
        numbers = json.loads((tmp_path / "out" / "metrics.json").read_text())
        assert numbers["mask_ap"] == pytest.approx(1.0) and numbers["images"] == 2
        assert {"box_ap", "mask_ap50", "seconds", "seed", "versions"} <= set(numbers)


def run(command, *words):
    """One command of the sample in a process of its own, at a small size."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"}
    words = ["--backbone", "light", "--image-size", "128", *map(str, words)]
    done = subprocess.run([sys.executable, ROOT / "samples" / "balloon" / "balloon.py", command, *words],
                          env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]


@pytest.mark.slow
def test_trains_evaluates_and_splashes(tmp_path):
    rng = np.random.default_rng(1)
    for subset, count in (("train", 12), ("val", 4)):
        write_subset(tmp_path / "data" / subset, count, rng, height=96, width=128)
    data, logs = ["--dataset", tmp_path / "data", "--logs", tmp_path / "logs"], ["--logs", tmp_path / "logs"]
    run("train", *data, "--weights", "none", "--epochs", 3, "--steps", 30, "--batch", 2, "--out", tmp_path / "train")
    trained = json.loads((tmp_path / "train" / "metrics.json").read_text())
    assert len(trained["history"]["val_loss"]) == 3 and trained["history"]["loss"][-1] < trained["history"]["loss"][0]
    assert trained["images"] == 4 and trained["mask_ap50"] > 0.8
    run("evaluate", *data, "--out", tmp_path / "evaluate")
    evaluated = json.loads((tmp_path / "evaluate" / "metrics.json").read_text())
    assert evaluated["mask_ap"] == pytest.approx(trained["mask_ap"], abs=1e-6)
    picture = tmp_path / "data" / "val" / "1.png"
    run("splash", *logs, "--image", picture, "--out", tmp_path / "splash")
    target, = (tmp_path / "splash").glob("splash_*.png")
    before, after = imread(picture), imread(target)
    changed = (before != after).any(axis=-1)
    assert after.shape == before.shape and not np.ptp(after[changed].astype(int), axis=-1).any()
    coloured = np.ptp(after.astype(int), axis=-1) > 0
    assert coloured[before[:, :, 0] == 220].mean() > 0.8
