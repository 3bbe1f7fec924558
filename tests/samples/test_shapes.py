"""The shapes sample, and what all samples share."""

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from samples import common, schedules
from samples.shapes import shapes

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def dataset():
    return shapes.ShapesDataset(60, seed=3)


class TestPictures:
    def test_image_and_masks_fit(self, dataset):
        for image_id in dataset.image_ids:
            image, (masks, class_ids) = dataset.load_image(image_id), dataset.load_mask(image_id)
            assert image.shape == (128, 128, 3) and image.dtype == np.uint8
            assert masks.shape == (128, 128, len(class_ids)) and masks.dtype == bool
            assert class_ids.dtype == np.int32 and 1 <= len(class_ids) <= 6
            assert set(class_ids) <= {1, 2, 3}

    def test_every_mask_is_seen_and_none_overlap(self, dataset):
        for image_id in dataset.image_ids:
            masks, _ = dataset.load_mask(image_id)
            assert masks.any(axis=(0, 1)).all()
            assert masks.sum(axis=-1).max() <= 1

    def test_later_shapes_hide_earlier_ones(self):
        dataset = shapes.ShapesDataset()
        dataset.load_shapes(1, 64, 64)
        dataset.image_info[0]["shapes"] = [("square", (9, 0, 0), (32, 32, 20)),
                                           ("circle", (0, 9, 0), (32, 32, 8))]
        dataset.prepare()
        masks, class_ids = dataset.load_mask(0)
        assert class_ids.tolist() == [1, 2]
        assert not masks[32, 32, 0] and masks[32, 32, 1]
        assert masks[:, :, 0].sum() == 41 * 41 - masks[:, :, 1].sum()

    def test_hidden_shapes_are_dropped(self, dataset):
        for info in dataset.image_info:
            whole = [dataset._silhouette(128, 128, shape).sum() for shape in info["shapes"]]
            seen = dataset.load_mask(info["id"])[0].sum(axis=(0, 1))
            assert (seen >= shapes.MIN_VISIBLE * np.array(whole)).all()

    def test_colours_lie_under_the_masks(self, dataset):
        image, (masks, _) = dataset.load_image(0).astype(int), dataset.load_mask(0)
        for i, (_, color, _) in enumerate(dataset.image_info[0]["shapes"]):
            assert np.abs(np.median(image[masks[:, :, i]], axis=0) - color).max() <= 12

    def test_same_seed_and_index_give_the_same_picture(self):
        first, again = shapes.ShapesDataset(4, seed=5), shapes.ShapesDataset(2, seed=5, offset=2)
        assert np.array_equal(first.load_image(3), again.load_image(1))
        assert np.array_equal(first.load_mask(3)[0], again.load_mask(1)[0])
        assert not np.array_equal(first.load_image(0), shapes.ShapesDataset(1, seed=6).load_image(0))

    def test_training_and_test_pictures_differ(self):
        train, test = (shapes.ShapesDataset(3, 0, n) for n in (shapes.TRAIN_OFFSET, shapes.TEST_OFFSET))
        assert not {info["id"] for info in train.image_info} & {info["id"] for info in test.image_info}
        assert not np.array_equal(train.load_image(0), test.load_image(0))

    def test_other_sizes(self):
        dataset = shapes.ShapesDataset(5, height=64, width=192)
        assert dataset.load_image(4).shape == (64, 192, 3)
        assert dataset.load_mask(4)[0].shape[:2] == (64, 192)

    def test_reference_lists_the_shapes(self, dataset):
        assert dataset.image_reference(0) == dataset.image_info[0]["shapes"]

    def test_too_small_pictures(self):
        with pytest.raises(ValueError, match="at least 32x32"):
            shapes.ShapesDataset(1, height=16)

    def test_unknown_shape(self, dataset):
        with pytest.raises(ValueError, match="hexagon"):
            dataset.draw_shape(np.zeros((8, 8, 3), np.uint8), "hexagon", (4, 4, 2), (1, 1, 1))


class TestSettings:
    def test_configurations_are_sound(self):
        shapes.ShapesConfig().validate("training")
        shapes.ShapesInferenceConfig().validate("inference")

    def test_configure_updates_what_is_derived(self):
        before = shapes.ShapesConfig.IMAGES_PER_GPU
        config = common.configure(shapes.ShapesConfig, IMAGES_PER_GPU=3, IMAGE_MAX_DIM=64, NAME=None)
        assert config.BATCH_SIZE == 3 and config.IMAGE_SHAPE.tolist() == [64, 64, 3]
        assert config.NAME == "shapes"
        assert shapes.ShapesConfig.IMAGES_PER_GPU == before != 3

    def test_batch_concerns_training_only(self):
        args = shapes.parse(["train", "--batch", "5", "--image-size", "64"])
        assert shapes.make_config(shapes.ShapesConfig, args).BATCH_SIZE == 5
        assert shapes.make_config(shapes.ShapesInferenceConfig, args).BATCH_SIZE == 1

    @pytest.mark.parametrize("bad", ["0", "-3", "x"])
    def test_numbers_must_be_positive(self, bad, capsys):
        with pytest.raises(SystemExit):
            shapes.parse(["train", "--epochs", bad])
        assert "--epochs" in capsys.readouterr().err

    @pytest.mark.parametrize("name", ["shapes", "coco", "nucleus"])
    def test_scripts_run_from_any_folder(self, name, tmp_path):
        script = ROOT / "samples" / name / f"{name}.py"
        run = subprocess.run([sys.executable, str(script), "--help"], cwd=tmp_path, capture_output=True,
                             text=True, timeout=300)
        assert run.returncode == 0, run.stderr
        assert "train,evaluate,detect" in run.stdout


class FakeModel:
    """Counts epochs as `MaskRCNN.train` does; an epoch is two batches."""

    def __init__(self, epoch=0):
        self.epoch, self.calls, self.stop_training = epoch, [], False

    def train(self, train_set, val_set, learning_rate, epochs, layers, augmentation, custom_callbacks):
        self.calls.append((layers, learning_rate, epochs))
        self.stop_training = False
        for callback in custom_callbacks:
            callback.set_model(self)
            callback.on_train_begin()
        while self.epoch < epochs and not self.stop_training:
            for batch in range(2):
                if not self.stop_training:
                    for callback in custom_callbacks:
                        callback.on_train_batch_end(batch)
            for callback in custom_callbacks:
                callback.on_epoch_end(self.epoch, {"loss": 1.0 / (self.epoch + 1)})
            self.epoch += 1


STAGES = [("heads", 0.1, 2, 0.5), ("all", 0.01, 3, 1.0)]


class TestSchedule:
    def test_runs_all_stages(self):
        model = FakeModel()
        history = schedules.run_schedule(model, None, None, STAGES)
        assert model.calls == [("heads", 0.1, 2), ("all", 0.01, 3)]
        assert history == {"loss": [1.0, 1 / 2, 1 / 3]}

    def test_resumes_in_the_right_stage(self):
        model = FakeModel(epoch=2)
        schedules.run_schedule(model, None, None, STAGES)
        assert model.calls == [("all", 0.01, 3)]

    def test_time_ends_a_stage_and_the_next_goes_on(self, monkeypatch, capsys):
        clock = iter(range(0, 10_000, 7))
        monkeypatch.setattr(schedules, "time", SimpleNamespace(monotonic=lambda: float(next(clock))))
        model = FakeModel()
        stages = [("heads", 0.1, 500, 0.5), ("all", 0.1, 900, 1.0)]
        history = schedules.run_schedule(model, None, None, stages, minutes=2)
        assert [layers for layers, *_ in model.calls] == ["heads", "all"]
        assert 1 <= model.epoch < 20 and len(history["loss"]) == model.epoch
        assert capsys.readouterr().out.count("used up") == 2


class TestResults:
    def test_metrics_file(self, tmp_path, capsys):
        path = common.write_metrics(tmp_path / "new", {"mask_ap": np.float32(0.5), "images": np.int64(2),
                                                       "losses": np.ones(2), "weights": Path("x"), "seed": 1})
        content = json.loads(path.read_text())
        assert content["mask_ap"] == 0.5 and content["images"] == 2 and content["losses"] == [1.0, 1.0]
        assert content["seed"] == 1 and content["weights"] == "x"
        assert {"python", "keras", "backend", "backend_version", "numpy", "mrcnn", "machine",
                "cores"} == set(content["versions"])
        assert str(path) in capsys.readouterr().out

    def test_weights_that_do_not_exist(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="none.h5.*imagenet"):
            common.load_weights(None, str(tmp_path / "none.h5"))

    @pytest.mark.parametrize("which", ["coco", "imagenet"])
    def test_weights_that_cannot_be_downloaded(self, which, tmp_path, monkeypatch):
        def refuse(*args):
            raise ConnectionError("No network: save it as x.h5.")

        monkeypatch.setattr(common.utils, "download_trained_weights", refuse)
        with pytest.raises(ConnectionError, match=f"save it as x.h5. Or name a file .* instead of '{which}'"):
            common.load_weights(SimpleNamespace(get_imagenet_weights=refuse), which)

    def test_random_weights(self):
        assert common.load_weights(None, "none") is None

    def test_image_that_does_not_exist(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="no.png"):
            common.read_image(tmp_path / "no.png")

    def test_file_that_is_no_image(self, tmp_path):
        (tmp_path / "bad.png").write_text("hello")
        with pytest.raises(ValueError, match="bad.png"):
            common.read_image(tmp_path / "bad.png")

    @pytest.mark.parametrize("found", [0, 2])
    def test_picture_is_written(self, dataset, tmp_path, found):
        common.begin(0)
        result = {"rois": np.array([[10, 10, 60, 60], [30, 30, 90, 90]])[:found],
                  "class_ids": np.array([1, 2])[:found],
                  "scores": np.array([0.9, 0.8])[:found], "masks": np.ones((128, 128, 2), bool)[:, :, :found]}
        common.save_picture(dataset.load_image(0), result, dataset.class_names, tmp_path / "x.png")
        assert common.read_image(tmp_path / "x.png").ndim == 3
