"""samples/coco/published.py."""

import json

import numpy as np
import pytest

from mrcnn.configurations import TorchvisionMaskRCNN
from samples.coco import published
from tests import golden_torchvision as peer


class FakeModel:
    config = TorchvisionMaskRCNN()

    def detect(self, images):
        class_ids = np.array([1, 12, 90])
        return [{
            "rois": np.arange(12.0).reshape(3, 4), "class_ids": class_ids, "scores": np.array([0.9, 0.8, 0.7]),
            "masks": np.arange(3)[None, None] * np.ones((4, 5, 1)),
        } for _ in images]  # fmt: skip


def test_classes_become_the_data_sets(test_data):
    dataset = published.CocoDataset()
    dataset.load_coco(str(test_data / "coco_mini"), "val", "2017")
    dataset.prepare()
    result = published.InClassesOfDataset(FakeModel(), dataset).detect([None])[0]
    assert [dataset.class_names[i] for i in result["class_ids"]] == ["person", "toothbrush"]
    np.testing.assert_array_equal(result["scores"], [0.9, 0.7])
    np.testing.assert_array_equal(result["rois"], [[0, 1, 2, 3], [8, 9, 10, 11]])
    np.testing.assert_array_equal(result["masks"][0, 0], [0, 2])


@pytest.mark.slow
def test_numbers_of_a_published_file(golden_torchvision, test_data, tmp_path, monkeypatch):
    """Seeded weights find nothing real; what counts is that a whole photograph passes and is judged."""
    monkeypatch.chdir(tmp_path)
    weights = peer.weight_file(golden_torchvision, "maskrcnn_resnet50_fpn", tmp_path)
    numbers = published.main([
        "torchvision_maskrcnn_r50_fpn", str(weights), "--dataset", str(test_data / "coco_mini"), "--limit", "1",
        "--out", "numbers.json",
    ])  # fmt: skip
    assert numbers["images"] == 1 and -1 <= numbers["mask_ap"] <= 1
    assert json.loads((tmp_path / "numbers.json").read_text())["box_ap"] == numbers["box_ap"]
