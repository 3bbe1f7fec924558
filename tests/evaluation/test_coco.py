"""COCO's evaluation over a Dataset."""

import io
import json
import sys
from contextlib import redirect_stdout

import numpy as np
import pytest

from mrcnn.config import Config
from mrcnn.data.load import load_image_gt
from mrcnn.evaluation import (
    build_ground_truth,
    confusion_of_detections,
    evaluate,
    evaluate_detections,
    results_to_coco,
)

from .fakes import ArrayDataset, FakeModel, as_result, empty_result, square, truth_as_result

KEYS = ("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large", "ar1", "ar10", "ar100", "ar_max",
        "ar_small", "ar_medium", "ar_large")


def mask(y, x, side):
    return square(64, 80, y, x, side)


@pytest.fixture
def dataset():
    """Two cats and a dog in three images; the last image is empty."""
    return ArrayDataset([[(1, mask(2, 2, 20)), (2, mask(30, 40, 25))], [(1, mask(10, 10, 40))], []])


def perfect(dataset):
    return {int(i): truth_as_result(dataset, i) for i in dataset.image_ids}


class TestScores:
    def test_truth_as_detections_is_perfect(self, dataset):
        values = evaluate_detections(perfect(dataset), dataset, verbose=0)
        for kind in ("box", "mask"):
            for key in KEYS[:3] + KEYS[6:10]:
                assert values[f"{kind}_{key}"] == pytest.approx(1.0), key
            assert values[f"{kind}_ap_large"] == -1.0
        assert values["images"] == 3
        assert values["per_class"] == {
            "cat": {"instances": 2, "box_ap": pytest.approx(1.0), "box_ap50": pytest.approx(1.0),
                    "mask_ap": pytest.approx(1.0), "mask_ap50": pytest.approx(1.0)},
            "dog": {"instances": 1, "box_ap": pytest.approx(1.0), "box_ap50": pytest.approx(1.0),
                    "mask_ap": pytest.approx(1.0), "mask_ap50": pytest.approx(1.0)}}

    def test_nothing_found_is_zero(self, dataset):
        values = evaluate_detections({i: empty_result() for i in range(3)}, dataset, verbose=0)
        assert values["mask_ap"] == values["box_ap"] == values["mask_ar100"] == 0.0

    def test_half_right(self, dataset):
        found = perfect(dataset)
        found[1] = empty_result()
        values = evaluate_detections(found, dataset, verbose=0)
        # One of two cats: precision 1 at the 51 recall points up to .50, 0 beyond.
        assert values["per_class"]["cat"]["mask_ap"] == pytest.approx(51 / 101)
        assert values["mask_ap"] == pytest.approx((51 / 101 + 1) / 2)
        assert values["mask_ar100"] == pytest.approx(0.75)

    def test_findings_in_an_empty_image_count_against(self, dataset):
        found = perfect(dataset)
        for image_id in (0, 1):
            found[image_id]["scores"][:] = 0.5
        found[2] = as_result(np.stack([mask(0, 0, 30)], axis=-1), [1], [0.9])
        assert evaluate_detections(found, dataset, verbose=0)["per_class"]["cat"]["mask_ap"] < 0.7

    def test_classes_without_truth_are_left_out(self):
        dataset = ArrayDataset([[(1, mask(2, 2, 20))]])
        found = {0: as_result(np.stack([mask(2, 2, 20), mask(30, 30, 20)], axis=-1), [1, 2])}
        values = evaluate_detections(found, dataset, verbose=0)
        assert values["mask_ap"] == pytest.approx(1.0)
        assert list(values["per_class"]) == ["cat"]

    def test_crowds_are_ignored(self):
        crowd = mask(20, 0, 40)
        dataset = ArrayDataset([[(1, mask(2, 50, 20)), (-1, crowd)]])
        inside = as_result(np.stack([mask(2, 50, 20), mask(22, 2, 30)], axis=-1), [1, 1], [0.5, 0.9])
        values = evaluate_detections({0: inside}, dataset, verbose=0)
        assert values["mask_ap"] == pytest.approx(1.0)
        assert values["per_class"]["cat"]["instances"] == 1

    def test_more_than_a_hundred_objects(self):
        masks = [square(64, 80, 4 * row, 4 * column, 3) for row in range(13) for column in range(16)]
        dataset = ArrayDataset([[(1, one) for one in masks]])
        assert len(masks) == 208
        found = perfect(dataset)
        values = evaluate_detections(found, dataset, verbose=0)
        assert values["mask_ap"] == values["mask_ar_max"] == pytest.approx(1.0)
        assert values["mask_ar100"] == pytest.approx(100 / 208)
        assert evaluate_detections(found, dataset, max_detections=100, verbose=0)["mask_ap"] < 0.5
        model = FakeModel(found.get, batch_size=1, max_instances=300)
        assert evaluate(model, dataset, verbose=0)["mask_ap"] == pytest.approx(1.0)

    def test_no_truth_at_all_is_minus_one(self):
        values = evaluate_detections({0: empty_result()}, ArrayDataset([[]]), verbose=0)
        assert values["mask_ap"] == -1.0 and values["per_class"] == {}


class TestDetect:
    def test_batches_are_full_and_results_in_order(self, dataset, capsys):
        model = FakeModel(perfect(dataset).get)
        assert evaluate(model, dataset, verbose=0)["mask_ap"] == pytest.approx(1.0)
        assert model.batches == [[0, 1], [2, 2]]
        assert capsys.readouterr().out == ""

    def test_limit_and_image_ids(self, dataset):
        model = FakeModel(perfect(dataset).get, batch_size=1)
        assert evaluate(model, dataset, limit=2, verbose=0)["images"] == 2
        assert evaluate(model, dataset, image_ids=np.array([1, 1, 2]), verbose=0)["images"] == 2
        assert model.batches == [[0], [1], [1], [2]]

    def test_training_model_gives_its_twin(self, dataset):
        class Training:
            mode = "training"

            def inference_twin(self):
                return FakeModel(perfect(dataset).get)
        assert evaluate(Training(), dataset, verbose=0)["mask_ap"] == pytest.approx(1.0)

    def test_float_masks_are_cut_at_one_half(self, dataset):
        found = perfect(dataset)
        for result in found.values():
            result["masks"] = np.where(result["masks"], 0.9, 0.1)
        assert evaluate_detections(found, dataset, verbose=0)["mask_ap"] == pytest.approx(1.0)


def test_prints_cocos_own_lines(dataset, capsys):
    """Word for word what pycocotools prints, for boxes and for masks."""
    from pycocotools.cocoeval import COCOeval

    from mrcnn.evaluation.ground_truth import coco_index
    found = perfect(dataset)
    found[1] = empty_result()
    evaluate(FakeModel(found.get), dataset, verbose=1)
    printed = capsys.readouterr().out
    truth = coco_index(build_ground_truth(dataset))
    rows = [row for image_id, result in found.items() for row in results_to_coco(result, image_id)]
    for kind in ("bbox", "segm"):
        for row in rows:
            row["area"] = row["bbox"][2] * row["bbox"][3]
        with redirect_stdout(io.StringIO()) as expected:
            judge = COCOeval(truth, truth.loadRes(rows), kind)
            judge.evaluate()
            judge.accumulate()
            judge.summarize()
        lines = [line for line in expected.getvalue().splitlines() if line.startswith(" Average")]
        assert len(lines) == 12
        assert "\n".join([f"Evaluate annotation type *{kind}*", *lines]) in printed


class TestGroundTruth:
    def test_layout(self):
        nowhere = np.zeros([64, 80], bool)
        dataset = ArrayDataset([[(1, mask(2, 3, 20)), (-2, mask(30, 40, 10)), (1, nowhere)], []])
        truth = json.loads(json.dumps(build_ground_truth(dataset)))
        assert [image["id"] for image in truth["images"]] == [0, 1]
        assert {(image["height"], image["width"]) for image in truth["images"]} == {(64, 80)}
        assert [entry["name"] for entry in truth["categories"]] == ["cat", "dog"]
        first, crowd = truth["annotations"]
        assert (first["id"], first["bbox"], first["area"], first["iscrowd"]) == (1, [3, 2, 20, 20], 400, 0)
        assert (crowd["category_id"], crowd["iscrowd"]) == (2, 1)

    def test_masks_of_any_type(self):
        for kind in (np.uint8, np.float64, np.int64):
            dataset = ArrayDataset([[(1, mask(2, 3, 20).astype(kind))]])
            assert build_ground_truth(dataset)["annotations"][0]["area"] == 400

    def test_soft_masks_are_the_objects_that_training_sees(self):
        soft = np.where(mask(2, 3, 20), 0.2, 0.0)
        soft[0, 0] = np.nan
        dataset, config = ArrayDataset([[(1, soft)]]), Config()
        config.NUM_CLASSES, config.IMAGE_RESIZE_MODE = 3, "none"
        assert build_ground_truth(dataset)["annotations"][0]["area"] == 400
        assert np.count_nonzero(load_image_gt(dataset, config, 0)[4]) == 400

    def test_objects_of_class_0_are_left_out_with_a_line(self, caplog):
        dataset = ArrayDataset([[(0, mask(2, 3, 20)), (1, mask(30, 30, 20))]])
        (only,) = build_ground_truth(dataset)["annotations"]
        assert only["category_id"] == 1
        assert len(caplog.records) == 1 and 'image 0 (array "0", None)' in caplog.text
        assert "1 of class 0 (background) of 2, numbers [0]" in caplog.text


class TestErrors:
    def test_not_prepared(self):
        from mrcnn.data.dataset import Dataset
        with pytest.raises(ValueError, match="prepare"):
            evaluate(FakeModel(None), Dataset(), verbose=0)

    def test_unknown_class(self, dataset):
        found = {0: as_result(np.stack([mask(0, 0, 9)], axis=-1), [7])}
        with pytest.raises(ValueError, match="image 0 .*: detected class id 7, but .* the classes 1 to 2"):
            evaluate_detections(found, dataset, verbose=0)

    def test_size_of_masks(self, dataset):
        found = {1: as_result(np.ones([32, 32, 1], bool), [1])}
        with pytest.raises(ValueError, match=r"image 1 .*: detected masks are \(32, 32\)"):
            evaluate_detections(found, dataset, verbose=0)

    def test_rows_that_differ(self, dataset):
        found = {1: dict(perfect(dataset)[1], scores=np.ones(3))}
        with pytest.raises(ValueError, match='image 1 .array "1", None.: .* differ in their number'):
            evaluate_detections(found, dataset, verbose=0)
        with pytest.raises(ValueError, match="image 42: .* differ in their number"):
            results_to_coco(found[1], 42)

    @pytest.mark.parametrize("returned, what", [
        (None, "returned a NoneType"), ((np.ones([64, 80, 2], bool), [1]), "2 masks and 1 class ids"),
        ((np.ones([64, 80, 1], bool), [9]), "class id 9, but NUM_CLASSES = 3 allows 1 to 2.*add_class"),
        ((np.ones([64, 80, 1], bool), ["cat"]), "whole numbers"), ((np.ones(64), [1]), r"\[height, width, count\]")])
    def test_load_mask_that_does_not_fit(self, returned, what):
        dataset = ArrayDataset([[(1, mask(0, 0, 9))]])
        dataset.load_mask = lambda image_id: returned
        for judge in (evaluate_detections, confusion_of_detections):
            with pytest.raises(ValueError, match=f'image 0 .array "0", None.: load_mask.*{what}'):
                judge({0: empty_result()}, dataset)

    def test_unknown_images(self, dataset):
        with pytest.raises(ValueError, match="no image 7 .1 of 2 .*: ArrayDataset has 3.*dataset.image_ids"):
            evaluate(FakeModel(None), dataset, image_ids=[0, 7], verbose=0)
        with pytest.raises(IndexError, match="no image 7: ArrayDataset has 3"):
            build_ground_truth(dataset, [7])

    def test_pycocotools_missing(self, dataset, monkeypatch):
        monkeypatch.setitem(sys.modules, "pycocotools", None)
        with pytest.raises(ImportError, match="pip install pycocotools"):
            evaluate_detections(perfect(dataset), dataset, verbose=0)


class TestRealImages:
    @pytest.fixture(scope="class")
    def official(self, test_data):
        from pycocotools.coco import COCO
        with redirect_stdout(io.StringIO()):
            return COCO(str(test_data / "coco_mini/annotations/instances_val2017.json"))

    @pytest.fixture(scope="class")
    def coco_dataset(self, official):
        class CocoDataset(ArrayDataset):
            def load_mask(self, image_id):
                rows = official.imgToAnns[self.image_info[image_id]["id"]]
                if not rows:
                    return np.empty([0, 0, 0]), np.empty([0])
                ids = [self.map_source_class_id(f"coco.{row['category_id']}") for row in rows]
                signs = [-1 if row["iscrowd"] else 1 for row in rows]
                return np.stack([official.annToMask(row) for row in rows], axis=-1), np.multiply(ids, signs)

            def load_image(self, image_id):
                info = official.imgs[self.image_info[image_id]["id"]]
                return np.zeros([info["height"], info["width"], 3], np.uint8)

        dataset = CocoDataset([], class_names=())
        for key in sorted(official.cats):
            dataset.add_class("coco", key, official.cats[key]["name"])
        for key in sorted(official.imgs):
            dataset.add_image("coco", key, None)
        dataset.prepare()
        return dataset

    def test_own_and_official_truth(self, coco_dataset, official):
        found = {}
        for image_id in coco_dataset.image_ids:
            coco_dataset.shape = coco_dataset.load_image(image_id).shape[:2]
            found[int(image_id)] = truth_as_result(coco_dataset, image_id)
        own = evaluate_detections(found, coco_dataset, verbose=0)
        assert own["mask_ap"] == own["box_ap"] == pytest.approx(1.0)
        assert len(own["per_class"]) > 50
        there = evaluate_detections(found, coco_dataset, verbose=0, coco=official)
        assert there["mask_ap"] == pytest.approx(1.0)
        assert 0.9 < there["box_ap"] < 1.0, "official boxes come from polygons, not from pixels"
        assert {name: row["instances"] for name, row in there["per_class"].items()} == {
            name: row["instances"] for name, row in own["per_class"].items()}

    def test_official_truth_of_other_images(self, official):
        with pytest.raises(ValueError, match="knows no image with the id 0"):
            evaluate_detections({0: empty_result()}, ArrayDataset([[]]), verbose=0, coco=official)
