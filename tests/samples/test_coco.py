"""The coco sample: annotations good and bad, masks, evaluation and download."""

import io
import json
import os
import urllib.error
import urllib.request
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest
from pycocotools import mask as mask_utils
from skimage.io import imsave

from samples import common
from samples.balloon import balloon
from samples.coco import coco, download
from samples.nucleus import nucleus
from tests.data.formats.toy_coco import HEIGHT, TRIANGLE, WIDTH, rle
from tests.file_server import serving


def annotation(number, segmentation, image_id=1, category_id=7, iscrowd=0):
    return {"id": number, "image_id": image_id, "category_id": category_id, "iscrowd": iscrowd, "area": 100.0,
            "bbox": [10.0, 5.0, 20.0, 20.0], "segmentation": segmentation}


@pytest.fixture
def make(tmp_path):
    """Writes a data folder with the given annotations; returns its path."""

    def write(annotations, subset="val2017", folder="val2017", **changes):
        for name in ("annotations", folder):
            (tmp_path / name).mkdir(exist_ok=True)
        images = [{"id": i, "file_name": f"{i}.png", "height": HEIGHT, "width": WIDTH} for i in (1, 2)]
        for image in images:
            imsave(tmp_path / folder / image["file_name"], np.full((HEIGHT, WIDTH, 3), image["id"], np.uint8),
                   check_contrast=False)
        content = {"images": images, "annotations": annotations,
                   "categories": [{"id": 7, "name": "cat"}, {"id": 90, "name": "dog"}], **changes}
        (tmp_path / "annotations" / f"instances_{subset}.json").write_text(json.dumps(content))
        return str(tmp_path)

    return write


def load(folder, subset="val", year="2017", **options):
    dataset = coco.CocoDataset()
    dataset.load_coco(folder, subset, year, **options)
    dataset.prepare()
    return dataset


class TestDataset:
    def test_ids_become_consecutive(self, make):
        dataset = load(make([annotation(1, [TRIANGLE]), annotation(2, [TRIANGLE], category_id=90)]))
        assert dataset.class_names == ["BG", "cat", "dog"] and dataset.num_images == 2
        masks, class_ids = dataset.load_mask(0)
        assert masks.shape == (HEIGHT, WIDTH, 2) and masks.dtype == bool
        assert class_ids.tolist() == [1, 2] and class_ids.dtype == np.int32
        assert dataset.load_image(0).shape == (HEIGHT, WIDTH, 3)
        assert "id=1" in dataset.image_reference(0)

    def test_image_without_annotations(self, make):
        masks, class_ids = load(make([annotation(1, [TRIANGLE])])).load_mask(1)
        assert masks.shape == (HEIGHT, WIDTH, 0) and class_ids.shape == (0,)

    def test_polygon_with_two_parts(self, make):
        other = [40.0, 5.0, 50.0, 5.0, 50.0, 15.0, 40.0, 15.0]
        masks, _ = load(make([annotation(1, [TRIANGLE, other])])).load_mask(0)
        assert masks[10, 20, 0] and masks[10, 45, 0] and not masks[10, 35, 0]

    @pytest.mark.parametrize("compressed", [False, True])
    def test_rle(self, make, compressed):
        mask = np.random.RandomState(0).rand(HEIGHT, WIDTH) < 0.5
        masks, _ = load(make([annotation(1, rle(mask, compressed))])).load_mask(0)
        assert np.array_equal(masks[:, :, 0], mask)

    def test_crowds_are_negative(self, make):
        crowd = annotation(1, rle(np.ones((HEIGHT, WIDTH), bool), False), category_id=90, iscrowd=1)
        _, class_ids = load(make([crowd, annotation(2, [TRIANGLE])])).load_mask(0)
        assert class_ids.tolist() == [-2, 1]

    def test_polygons_are_clipped_to_the_image(self, make):
        outside = [-20.0, -20.0, 30.0, -20.0, 30.0, 20.0, -20.0, 20.0]
        masks, _ = load(make([annotation(1, [outside])])).load_mask(0)
        expected = np.zeros((HEIGHT, WIDTH), bool)
        expected[:20, :30] = True
        assert np.array_equal(masks[:, :, 0], expected)

    def test_polygons_wholly_outside_are_left_out(self, make):
        away = [100.0, 100.0, 120.0, 100.0, 120.0, 120.0]
        masks, class_ids = load(make([annotation(1, [away]), annotation(2, [TRIANGLE])])).load_mask(0)
        assert masks.shape[-1] == len(class_ids) == 1

    def test_wanted_classes_only(self, make):
        folder = make([annotation(1, [TRIANGLE]), annotation(2, [TRIANGLE], image_id=2, category_id=90)])
        dataset = load(folder, class_ids=[90])
        assert dataset.class_names == ["BG", "dog"]
        assert [info["id"] for info in dataset.image_info] == [2]

    @pytest.mark.parametrize("subset", ["minival", "valminusminival"])
    def test_2014_subsets_use_the_validation_images(self, make, subset):
        folder = make([annotation(1, [TRIANGLE])], f"{subset}2014", "val2014")
        assert "val2014" in load(folder, subset, 2014).image_info[0]["path"]

    def test_ann_to_mask(self, make):
        dataset = load(make([annotation(1, [TRIANGLE])]))
        mask = dataset.annToMask(annotation(1, [TRIANGLE]), HEIGHT, WIDTH)
        assert mask.dtype == np.uint8 and np.array_equal(mask.astype(bool), dataset.load_mask(0)[0][:, :, 0])

    def test_other_sources_go_to_the_base_class(self, make):
        dataset = load(make([annotation(1, [TRIANGLE])]))
        dataset.add_image("other", 1, None)
        assert dataset.load_mask(2)[0].shape[-1] == 0 and not dataset.image_reference(2)

    def test_coco_mini(self, test_data):
        dataset, crowds = load(str(test_data / "coco_mini")), 0
        assert dataset.class_names == coco.CLASS_NAMES and dataset.num_images == 79
        for image_id in dataset.image_ids:
            masks, class_ids = dataset.load_mask(image_id)
            assert masks.shape[:2] == dataset.load_image(image_id).shape[:2] and masks.any(axis=(0, 1)).all()
            crowds += (class_ids < 0).sum()
        assert crowds == 5


class TestBadAnnotations:
    def test_no_file(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="instances_val2017.json.*--download"):
            load(str(tmp_path))

    @pytest.mark.parametrize("text, what", [("{", "cannot be read as JSON"), ("[]", "JSON object.*list"),
                                            ("{}", "no list 'images'"),
                                            ('{"images": [{"id": 1}]}', r"images\[0\] has no 'file_name'")])
    def test_malformed_file(self, tmp_path, text, what):
        (tmp_path / "annotations").mkdir()
        path = tmp_path / "annotations" / "instances_val2017.json"
        path.write_text(text)
        with pytest.raises(ValueError, match=f"{path.name}.*{what}"):
            load(str(tmp_path))

    @pytest.mark.parametrize("change, what", [
        ({"image_id": 99}, "1 annotations of images not in the file"),
        ({"category_id": 3}, "1 annotations of unknown categories"),
        ({"segmentation": [[1, 2, 3, 4]]}, "1 annotations without a usable polygon"),
        ({"segmentation": [[1, 2, 3, 4, 5]]}, "1 annotations without a usable polygon"),
        ({"segmentation": []}, "1 annotations without a usable polygon"),
        ({"segmentation": None}, "1 annotations without a usable polygon"),
        ({"segmentation": [[1, 2, 3, "x", 5, 6]]}, "1 annotations without a usable polygon"),
        ({"segmentation": [[1, 2, float("nan"), 4, 5, 6]]}, "1 annotations without a usable polygon"),
        ({"segmentation": [[1, 2, 1e30, 4, 5, 6]]}, "1 annotations without a usable polygon"),
        ({"segmentation": [TRIANGLE, [1, 2]]}, "1 bad polygons of usable annotations")])
    def test_unusable_annotations_are_counted(self, make, capsys, change, what):
        dataset = load(make([annotation(1, [TRIANGLE]), {**annotation(2, [TRIANGLE]), **change}]))
        lines = [line for line in capsys.readouterr().out.splitlines() if "left out" in line]
        assert len(lines) == 1 and what in lines[0] and "instances_val2017.json" in lines[0]
        assert dataset.load_mask(0)[0].shape[-1] == (2 if "bad polygons" in what else 1)

    @pytest.mark.parametrize("bad", [{"size": [1, 2], "counts": [2]}, {"counts": [HEIGHT * WIDTH]},
                                     {"size": [HEIGHT, WIDTH]}, {"size": [HEIGHT, WIDTH], "counts": [5, 5]},
                                     {"size": [HEIGHT, WIDTH], "counts": [HEIGHT * WIDTH + 1, -1]},
                                     {"size": [HEIGHT, WIDTH], "counts": ["a"]},
                                     {"size": [HEIGHT, WIDTH], "counts": "~~~"},
                                     {"size": [HEIGHT, WIDTH], "counts": "o"},
                                     {"size": [HEIGHT, WIDTH], "counts": "11"},
                                     {"size": [HEIGHT, WIDTH], "counts": ""}])
    @pytest.mark.parametrize("iscrowd", [0, 1])
    def test_bad_rle_names_the_annotation(self, make, bad, iscrowd):
        with pytest.raises(ValueError, match="annotation 77 of image 1 has a bad RLE"):
            load(make([annotation(77, bad, iscrowd=iscrowd)]))

    def test_image_file_missing(self, make, tmp_path):
        folder = make([annotation(1, [TRIANGLE])])
        (tmp_path / "val2017" / "2.png").unlink()
        with pytest.raises(FileNotFoundError, match="1 of the 2 images.*2.png"):
            load(folder)

    def test_image_folder_missing(self, make, tmp_path):
        folder = make([annotation(1, [TRIANGLE])])
        (tmp_path / "val2017").rename(tmp_path / "elsewhere")
        with pytest.raises(FileNotFoundError, match="val2017 does not exist.*--download"):
            load(folder)

    def test_image_of_another_size(self, make, tmp_path):
        dataset = load(make([annotation(1, [TRIANGLE])]))
        imsave(tmp_path / "val2017" / "1.png", np.zeros((8, 9, 3), np.uint8), check_contrast=False)
        with pytest.raises(ValueError, match=r"COCO image 1 .*\(8, 9\).*\(40, 60\)"):
            dataset.load_image(0)

    def test_unknown_category_and_subset(self, make):
        folder = make([annotation(1, [TRIANGLE])])
        with pytest.raises(ValueError, match=r"\[3\] are not in .*\[7, 90\]"):
            load(folder, class_ids=[3, 7])
        with pytest.raises(ValueError, match="'test'.*train, val, minival"):
            load(folder, "test")


def truth_model(dataset, api, image_ids):
    """Answers with the truth of `image_ids` in turn: masks from the dataset, boxes as COCO has them."""
    ids = iter(image_ids)

    def detect(images, **options):
        image_id = next(ids)
        masks, class_ids = dataset.load_mask(image_id)
        annotations = api.imgToAnns[dataset.image_info[image_id]["id"]]
        x, y, width, height = np.array([a["bbox"] for a in annotations]).T
        return [{"rois": np.stack([y, x, y + height, x + width], axis=1), "class_ids": class_ids,
                 "masks": masks, "scores": np.full(len(class_ids), 0.9)}]

    return SimpleNamespace(detect=detect)


class TestEvaluation:
    @pytest.mark.parametrize("eval_type, name", [("bbox", "box_ap"), ("segm", "mask_ap")])
    def test_truth_of_coco_mini_scores_one(self, test_data, capsys, eval_type, name):
        dataset = coco.CocoDataset()
        api = dataset.load_coco(str(test_data / "coco_mini"), "val", "2017", return_coco=True)
        dataset.prepare()
        image_ids = [i for i in dataset.image_ids
                     if not any(a["iscrowd"] for a in dataset.image_info[i]["annotations"])]
        assert len(image_ids) == 79 - 5
        model = truth_model(dataset, api, image_ids)
        numbers = coco.evaluate_coco(model, dataset, api, eval_type, image_ids=image_ids)
        assert numbers[name] == pytest.approx(1.0, abs=1e-6) and numbers[f"{name}50"] == pytest.approx(1.0)
        assert len(numbers) == 12
        assert capsys.readouterr().out.count("Average") == 12

    def test_limit(self, make):
        dataset = coco.CocoDataset()
        api = dataset.load_coco(make([annotation(1, [TRIANGLE])]), "val", "2017", return_coco=True)
        dataset.prepare()
        model = truth_model(dataset, api, [0])
        assert coco.evaluate_coco(model, dataset, api, "segm", limit=1)["mask_ap"] == pytest.approx(1.0)

    def test_nothing_detected(self, make):
        dataset = coco.CocoDataset()
        api = dataset.load_coco(make([annotation(1, [TRIANGLE])]), "val", "2017", return_coco=True)
        dataset.prepare()
        nothing = {"rois": np.zeros((0, 4)), "class_ids": [], "scores": [],
                   "masks": np.zeros((HEIGHT, WIDTH, 0))}
        model = SimpleNamespace(detect=lambda images, verbose: [nothing])
        assert set(coco.evaluate_coco(model, dataset, api).values()) == {0.0}

    def test_unknown_type(self):
        with pytest.raises(ValueError, match="'boxes'"):
            coco.evaluate_coco(None, None, None, "boxes")

    def test_results(self, make):
        dataset = load(make([annotation(1, [TRIANGLE], category_id=90)]))
        masks, class_ids = dataset.load_mask(0)
        row, = coco.build_coco_results(dataset, [1], np.array([[1, 2, 4, 7]], np.int32), class_ids,
                                       np.array([0.25], np.float32), masks)
        assert row["bbox"] == [2.0, 1.0, 5.0, 3.0] and row["category_id"] == 90 and row["score"] == 0.25
        assert np.array_equal(mask_utils.decode(row["segmentation"]), masks[:, :, 0])
        json.dumps(row)
        assert coco.build_coco_results(dataset, [1], None, None, None, None) == []

    def test_evaluate_command(self, make, tmp_path, monkeypatch):
        folder = make([annotation(1, [TRIANGLE]), annotation(2, [TRIANGLE], image_id=2)])
        dataset = coco.CocoDataset()
        api = dataset.load_coco(folder, "val", "2017", return_coco=True)
        dataset.prepare()
        config = common.configure(coco.CocoInferenceConfig, NUM_CLASSES=3)
        detect = truth_model(dataset, api, [0, 1]).detect
        model = SimpleNamespace(config=config, log_dir="unused", detect=detect)
        monkeypatch.setattr(common, "build_model", lambda *args: model)
        coco.main(["evaluate", "--dataset", folder, "--year", "2017", "--model", "none", "--limit", "0",
                   "--out", str(tmp_path / "out")])
        numbers = json.loads((tmp_path / "out" / "metrics.json").read_text())
        assert numbers["mask_ap"] == pytest.approx(1.0) and numbers["images"] == 2
        assert {"box_ap", "box_ap50", "mask_ap50", "seconds", "seed", "versions"} <= set(numbers)


class TestCommandLine:
    def test_configurations_are_sound(self):
        coco.CocoConfig().validate("training")
        coco.CocoInferenceConfig().validate("inference")

    def test_image_size_keeps_the_proportion(self):
        args = coco.parse(["train", "--dataset", "x", "--image-size", "512", "--batch", "4"])
        config = coco.make_config(coco.CocoConfig, args)
        assert (config.IMAGE_MIN_DIM, config.IMAGE_MAX_DIM, config.BATCH_SIZE) == (400, 512, 4)
        assert coco.make_config(coco.CocoInferenceConfig, args).BATCH_SIZE == 1

    @pytest.mark.parametrize("words, expected", [([], False), (["--download"], True),
                                                 (["--download", "True"], True),
                                                 (["--download=False"], False)])
    def test_download_flag(self, words, expected):
        assert coco.parse(["train", "--dataset", "x", *words]).download is expected

    @pytest.mark.parametrize("words, limit", [([], 500), (["--limit", "20"], 20), (["--limit=0"], None)])
    def test_limit_of_zero_is_all(self, words, limit):
        assert coco.image_limit(coco.parse(["evaluate", "--dataset", "x", *words]), 500) == limit

    def test_limit_below_zero(self, capsys):
        with pytest.raises(SystemExit):
            coco.parse(["evaluate", "--dataset", "x", "--limit=-1"])
        assert "-1 is below zero" in capsys.readouterr().err

    def test_matterports_constants(self):
        root = str(common.ROOT_DIR)
        assert coco.COCO_MODEL_PATH == os.path.join(root, "mask_rcnn_coco.h5")
        for sample in (coco, balloon, nucleus):
            assert sample.DEFAULT_LOGS_DIR == os.path.join(root, "logs")
        assert balloon.COCO_WEIGHTS_PATH == nucleus.COCO_WEIGHTS_PATH == coco.COCO_MODEL_PATH

    def test_dataset_is_needed_except_for_single_images(self, capsys):
        assert coco.parse(["detect", "--image", "a.jpg"]).dataset is None
        with pytest.raises(SystemExit):
            coco.parse(["train"])
        assert "train needs --dataset" in capsys.readouterr().err

    def test_flip(self):
        image, masks = np.arange(12).reshape(2, 2, 3), np.arange(4).reshape(2, 2, 1) > 1
        seen = {coco.flip_half(image, masks, np.random.RandomState(seed))[0][0, 0, 0] for seed in range(20)}
        assert seen == {0, 3}


@pytest.fixture
def serve():
    """Starts a server of some bytes; see `serving`."""
    with serving() as start:
        yield start


def archive(names):
    """A zip file's bytes with an empty JSON in each of the names."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as target:
        for name in names:
            target.writestr(name, "{}")
    return buffer.getvalue()


class TestDownload:
    def test_no_network(self, tmp_path, monkeypatch):
        def refuse(*args, **options):
            raise urllib.error.URLError("no route")

        monkeypatch.setattr(urllib.request, "urlopen", refuse)
        with pytest.raises(ConnectionError) as error:
            coco.CocoDataset().load_coco(str(tmp_path), "minival", "2014", auto_download=True)
        for part in ("no route", "val2014.zip", "coco_annotations_minival.tgz", str(tmp_path)):
            assert part in str(error.value)

    def test_missing_parts_are_unpacked(self, serve, tmp_path, monkeypatch):
        names = ["val2017/1.jpg", "annotations/instances_val2017.json", "annotations/captions_val2017.json"]
        url, asked = serve(archive(names))
        monkeypatch.setattr(download, "SERVER", url)
        for _ in range(2):
            coco.CocoDataset().auto_download(str(tmp_path), "val", 2017)
        assert (tmp_path / "val2017" / "1.jpg").exists()
        assert [path.name for path in (tmp_path / "annotations").iterdir()] == ["instances_val2017.json"]
        assert len(asked) == 2 and not list(tmp_path.glob(".unpacking*"))

    def test_damaged_archive(self, serve, tmp_path, monkeypatch):
        monkeypatch.setattr(download, "SERVER", serve(b"no archive")[0])
        with pytest.raises(ValueError, match="val2017.zip is damaged.*delete it"):
            coco.CocoDataset().auto_download(str(tmp_path), "val", 2017)
