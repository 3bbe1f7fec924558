"""The nucleus sample: data, augmentation, run lengths and scores."""

import json
import tarfile
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from skimage.io import imsave

from mrcnn.data.load import load_image_gt
from mrcnn.data.masks import extract_bboxes
from samples.nucleus import augmentation, nucleus


def write_image(folder, image_id, masks, shape=(40, 60)):
    """An RGBA image with masks, in the competition's layout."""
    (folder / image_id / "images").mkdir(parents=True)
    image = np.full((*shape, 4), 255, np.uint8)
    image[..., :3] = (10, 20, 30)
    imsave(folder / image_id / "images" / f"{image_id}.png", image, check_contrast=False)
    if masks is not None:
        (folder / image_id / "masks").mkdir()
        for number, mask in enumerate(masks):
            imsave(folder / image_id / "masks" / f"{number}.png", mask.astype(np.uint8) * 255,
                   check_contrast=False)


def square(y, x, side=6, shape=(40, 60)):
    mask = np.zeros(shape, bool)
    mask[y:y + side, x:x + side] = True
    return mask


@pytest.fixture
def data(tmp_path):
    """Two training images and one of the validation images."""
    for image_id, count in (("aa", 2), ("bb", 3), (nucleus.VAL_IMAGE_IDS[4], 1)):
        write_image(tmp_path / "stage1_train", image_id, [square(4, 9 * i + 3) for i in range(count)])
    return tmp_path


def load(folder, subset):
    dataset = nucleus.NucleusDataset()
    dataset.load_nucleus(folder, subset)
    dataset.prepare()
    return dataset


class TestDataset:
    @pytest.mark.parametrize("subset, ids", [("train", ["aa", "bb"]), ("val", [nucleus.VAL_IMAGE_IDS[4]]),
                                             ("stage1_train", [nucleus.VAL_IMAGE_IDS[4], "aa", "bb"])])
    def test_subsets(self, data, subset, ids):
        dataset = load(data, subset)
        assert [dataset.image_reference(i) for i in dataset.image_ids] == ids
        assert dataset.class_names == ["BG", "nucleus"]

    def test_alpha_is_dropped(self, data):
        image = load(data, "train").load_image(0)
        assert image.shape == (40, 60, 3) and image.dtype == np.uint8 and image[0, 0].tolist() == [10, 20, 30]

    def test_masks_come_back_as_written(self, data):
        dataset = load(data, "train")
        for _ in range(2):
            masks, class_ids = dataset.load_mask(1)
            assert masks.dtype == bool and class_ids.dtype == np.int32 and class_ids.tolist() == [1, 1, 1]
            assert np.array_equal(masks, np.stack([square(4, 9 * i + 3) for i in range(3)], axis=-1))

    def test_masks_are_read_only_once(self, data):
        dataset = load(data, "train")
        before, _ = dataset.load_mask(0)
        for path in (data / "stage1_train" / "aa" / "masks").iterdir():
            path.unlink()
        assert np.array_equal(dataset.load_mask(0)[0], before)

    def test_empty_mask_files_are_left_out(self, tmp_path):
        write_image(tmp_path / "stage1_train", "aa", [square(1, 1), np.zeros((40, 60))])
        masks, class_ids = load(tmp_path, "train").load_mask(0)
        assert masks.shape == (40, 60, 1) and class_ids.tolist() == [1]

    def test_only_empty_masks(self, tmp_path):
        write_image(tmp_path / "stage1_train", "aa", [np.zeros((40, 60))])
        masks, class_ids = load(tmp_path, "train").load_mask(0)
        assert masks.shape == (40, 60, 0) and class_ids.shape == (0,)

    def test_real_archive_has_all_validation_images(self, test_data):
        with tarfile.open(test_data / "nuclei_stage1_train.tar.gz") as archive:
            folders = {name.split("/")[1] for name in archive.getnames() if name.count("/") == 1}
        assert len(set(nucleus.VAL_IMAGE_IDS)) == 25
        assert set(nucleus.VAL_IMAGE_IDS) <= folders


class TestBadData:
    def test_no_folder(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="stage1_train is not a folder.*--dataset"):
            load(tmp_path, "train")

    def test_no_image_of_the_subset(self, tmp_path):
        write_image(tmp_path / "stage1_train", "aa", [])
        with pytest.raises(ValueError, match="'val'.*1 image folders"):
            load(tmp_path, "val")

    def test_image_file_missing(self, data):
        (data / "stage1_train" / "aa" / "images" / "aa.png").unlink()
        with pytest.raises(FileNotFoundError, match="Image aa .*aa.png"):
            load(data, "train")

    def test_no_masks(self, tmp_path):
        write_image(tmp_path / "stage1_test", "aa", None)
        with pytest.raises(FileNotFoundError, match="Image aa has no masks.*detect"):
            load(tmp_path, "stage1_test").load_mask(0)

    def test_unreadable_mask(self, data):
        (data / "stage1_train" / "aa" / "masks" / "0.png").write_text("no picture")
        with pytest.raises(ValueError, match="Image aa.*0.png cannot be read"):
            load(data, "train").load_mask(0)

    def test_masks_of_different_size(self, data):
        path = data / "stage1_train" / "aa" / "masks" / "z.png"
        imsave(path, np.full((5, 5), 255, np.uint8), check_contrast=False)
        with pytest.raises(ValueError, match="Image aa.*z.png has 5x5 pixels"):
            load(data, "train").load_mask(0)


MASKS = arrays.arrays(bool, arrays.array_shapes(min_dims=2, max_dims=2, max_side=12))


class TestRunLengths:
    def test_known_example(self):
        mask = np.array([[0, 1, 0], [1, 1, 0], [1, 0, 0]])
        assert nucleus.rle_encode(mask) == "2 4"
        assert nucleus.rle_encode(np.zeros((3, 3))) == ""
        assert nucleus.rle_encode(np.ones((2, 3))) == "1 6"

    @settings(deadline=None)
    @given(MASKS)
    def test_round_trip(self, mask):
        assert np.array_equal(nucleus.rle_decode(nucleus.rle_encode(mask), mask.shape), mask)

    @pytest.mark.parametrize("text", ["1", "0 2", "1 0", "3 -1", "8 3", "1 4 3 2", "5 1 1 2", "a b", "1.5 2",
                                      "99999999999999999999 1"])
    def test_bad_runs(self, text):
        with pytest.raises(ValueError):
            nucleus.rle_decode(text, (3, 3))

    def test_higher_score_wins_the_overlap(self):
        masks = np.stack([square(0, 0, 4, (6, 6)), square(2, 2, 4, (6, 6))], axis=-1)
        lines = nucleus.mask_to_rle("id", masks, [0.5, 0.9]).splitlines()
        best, rest = (nucleus.rle_decode(line.split(",")[1], (6, 6)) for line in lines)
        assert np.array_equal(best, masks[:, :, 1])
        assert np.array_equal(rest, masks[:, :, 0] & ~masks[:, :, 1])

    def test_wholly_hidden_masks_are_left_out(self):
        masks = np.stack([square(1, 1, 2, (6, 6)), square(0, 0, 6, (6, 6))], axis=-1)
        assert nucleus.mask_to_rle("id", masks, [0.1, 0.9]) == "id, 1 36"

    def test_image_without_masks(self):
        assert nucleus.mask_to_rle("id", np.zeros((4, 4, 0), bool), []) == "id,"

    @settings(deadline=None)
    @given(arrays.arrays(bool, (7, 5, 3)), st.permutations([0.1, 0.2, 0.3]))
    def test_lines_never_overlap_and_cover_the_union(self, masks, scores):
        lines = nucleus.mask_to_rle("id", masks, scores).splitlines()
        decoded = sum(nucleus.rle_decode(line.split(",")[1], (7, 5)).astype(int) for line in lines)
        assert np.array_equal(np.broadcast_to(decoded, (7, 5)), masks.any(axis=-1).astype(int))


class TestAugmentation:
    @pytest.mark.parametrize("shape", [(48, 48), (40, 64)])
    def test_shapes_and_types_stay(self, shape):
        image, masks = np.zeros((*shape, 3), np.uint8), np.zeros((*shape, 5), bool)
        for seed in range(30):
            new_image, new_masks = nucleus.augment(image, masks, np.random.RandomState(seed))
            assert new_image.shape == image.shape and new_image.dtype == np.uint8
            assert new_masks.shape == masks.shape and new_masks.dtype == bool

    def test_masks_follow_the_image(self):
        masks = square(10, 14, 16, (48, 48))[..., None]
        image = np.repeat(masks * np.uint8(200), 3, axis=2)
        for seed in range(40):
            new_image, new_masks = nucleus.augment(image, masks, np.random.RandomState(seed))
            bright = new_image[..., 0] > new_image.max() / 2
            union = (bright | new_masks[..., 0]).sum()
            assert (bright & new_masks[..., 0]).sum() > 0.85 * union > 0

    def test_input_is_not_changed_and_seed_repeats(self):
        image = np.random.RandomState(0).randint(0, 255, (32, 32, 3)).astype(np.uint8)
        masks, before = square(3, 3, 9, (32, 32))[..., None], image.copy()
        for seed in range(10):
            first = nucleus.augment(image, masks, np.random.RandomState(seed))
            again = nucleus.augment(image, masks, np.random.RandomState(seed))
            assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
        assert np.array_equal(image, before)

    def test_zoom_by_one_changes_nothing(self):
        image, masks = np.arange(36, dtype=np.uint8).reshape(6, 6, 1), square(1, 2, 3, (6, 6))[..., None]
        new_image, new_masks = augmentation.zoom(image, masks, 1.0)
        assert np.array_equal(new_image, image) and np.array_equal(new_masks, masks)

    def test_zoom_scales_areas(self):
        masks = square(20, 20, 24, (64, 64))[..., None]
        _, small = augmentation.zoom(np.zeros((64, 64, 3), np.uint8), masks, 0.5)
        _, large = augmentation.zoom(np.zeros((64, 64, 3), np.uint8), masks, 1.5)
        assert small.sum() == pytest.approx(masks.sum() / 4, rel=0.1)
        assert large.sum() == pytest.approx(masks.sum() * 2.25, rel=0.1)

    def test_training_sample(self, data):
        config = nucleus.NucleusConfig()
        image, _, class_ids, boxes, masks = load_image_gt(
            load(data, "train"), config, 1, augmentation=nucleus.augment, use_mini_mask=True,
            rng=np.random.RandomState(1))
        assert image.shape == (256, 256, 3) and masks.shape == (56, 56, len(class_ids))
        assert len(boxes) == len(class_ids)


class TestSettings:
    def test_configurations_are_sound(self):
        nucleus.NucleusConfig().validate("training")
        nucleus.NucleusInferenceConfig().validate("inference")

    def test_image_size_concerns_training_only(self):
        args = nucleus.parse(["train", "--dataset", "x", "--image-size", "512", "--backbone", "light"])
        assert nucleus.make_config(nucleus.NucleusConfig, args).IMAGE_SHAPE.tolist() == [512, 512, 3]
        assert nucleus.make_config(nucleus.NucleusInferenceConfig, args).IMAGE_MIN_DIM == 256
        assert nucleus.make_config(nucleus.NucleusInferenceConfig, args).BACKBONE == "light"

    @pytest.mark.parametrize("words, norm, side", [([], "batch", 256), (["--norm", "group"], "group", 256),
                                                   (["--backbone", "light"], "group", 64)])
    def test_group_norm_and_light(self, words, norm, side):
        args = nucleus.parse(["train", "--dataset", "x", *words])
        for base in (nucleus.NucleusConfig, nucleus.NucleusInferenceConfig):
            config = nucleus.make_config(base, args)
            assert (config.NORM, config.TOP_DOWN_PYRAMID_SIZE) == (norm, side)


class TestScores:
    def run(self, folder, answer, monkeypatch):
        """metrics.json of a model that answers `answer(image_id)`."""
        dataset = load(folder, "stage1_train")
        ids = iter(dataset.image_ids)
        model = SimpleNamespace(config=nucleus.NucleusInferenceConfig(), log_dir=str(folder / "log"),
                                detect=lambda images, **options: [answer(dataset, next(ids)) for _ in images])
        monkeypatch.setattr(nucleus.common, "build_model", lambda *args: model)
        args = nucleus.parse(["evaluate", "--dataset", str(folder), "--subset", "stage1_train",
                              "--weights", "none"])
        nucleus.evaluate(args)
        return json.loads((folder / "log" / "metrics.json").read_text())

    def test_truth_scores_one(self, data, monkeypatch):
        def answer(dataset, image_id):
            masks, class_ids = dataset.load_mask(image_id)
            return {"rois": extract_bboxes(masks), "class_ids": class_ids, "masks": masks,
                    "scores": np.ones(len(class_ids))}

        numbers = self.run(data, answer, monkeypatch)
        assert numbers["kaggle_score"] == numbers["mask_ap"] == numbers["box_ap50"] == 1.0
        assert numbers["images"] == 3 and numbers["seconds"] >= 0 and numbers["seed"] == 0

    def test_nothing_found_scores_zero(self, data, monkeypatch):
        def answer(dataset, image_id):
            return {"rois": np.zeros((0, 4), np.int32), "class_ids": np.zeros(0, np.int32),
                    "scores": np.zeros(0, np.float32), "masks": np.zeros((40, 60, 0), bool)}

        numbers = self.run(data, answer, monkeypatch)
        assert numbers["kaggle_score"] == numbers["mask_ap"] == 0.0

    def test_detect_writes_submission_and_pictures(self, data, tmp_path, monkeypatch):
        found = square(4, 4)[..., None]
        result = {"rois": np.array([[4, 4, 10, 10]]), "class_ids": np.array([1]), "scores": np.array([0.9]),
                  "masks": found}
        model = SimpleNamespace(detect=lambda images: [result], log_dir=str(tmp_path / "log"))
        monkeypatch.setattr(nucleus.common, "build_model", lambda *args: model)
        nucleus.main(["detect", "--dataset", str(data), "--subset", "train", "--weights", "none", "--out",
                      str(tmp_path / "out")])
        lines = (tmp_path / "out" / "submit.csv").read_text().splitlines()
        assert [line.split(",")[0] for line in lines] == ["ImageId", "aa", "bb"]
        assert np.array_equal(nucleus.rle_decode(lines[1].split(",")[1], (40, 60)), found[..., 0])
        assert (tmp_path / "out" / "aa.png").exists()
