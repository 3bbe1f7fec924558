"""Folders of labelme's old command."""

import numpy as np
import pytest
from PIL import Image

from mrcnn.data.formats import LabelmeFolderDataset

from .files import block, messages, write_image

YAML = 'label_names:\n- _background_\n- cat1\n- \'dog\'\n- "\\u732B2"\n'


def make(folder, **names):
    write_image(folder / "img.png")
    labels = block(5, 10, 20, 30) * np.uint8(1) + block(25, 10, 35, 30) * np.uint8(2)
    Image.fromarray(labels).save(folder / "label.png")
    for name, text in names.items():
        (folder / {"yaml": "info.yaml", "txt": "label_names.txt"}[name]).write_text(text, encoding="utf-8")


def load(folder, **options):
    dataset = LabelmeFolderDataset()
    dataset.load_labelme_folders(folder, **options)
    dataset.prepare()
    return dataset


@pytest.mark.parametrize("names", [{"yaml": YAML}, {"txt": "_background_\ncat1\ndog\n猫2\n"}])
def test_numbers_at_the_end_are_no_part_of_the_class(tmp_path, names):
    make(tmp_path / "a_json", **names)
    dataset = load(tmp_path)
    assert dataset.class_names == ["BG", "cat", "dog", "猫"]
    masks, class_ids = dataset.load_mask(0)
    assert class_ids.tolist() == [1, 2] and np.array_equal(masks[:, :, 0], block(5, 10, 20, 30))
    assert dataset.load_image(0).shape[:2] == masks.shape[:2]


def test_class_names(tmp_path, caplog):
    make(tmp_path / "a_json", txt="_background_\ncat1\ndog2\nhorse\n")
    dataset = load(tmp_path, class_names=["dog", "cat1"])
    assert dataset.class_names == ["BG", "dog", "cat1"] and dataset.load_mask(0)[1].tolist() == [2, 1]
    assert messages(caplog) == ["Left out the objects of classes that class_names does not have: horse (1)."]


def test_what_is_wrong_is_left_out_with_one_line(tmp_path, caplog):
    make(tmp_path / "good", txt="_background_\ncat\ndog")
    make(tmp_path / "nameless")
    make(tmp_path / "imageless", txt="_background_\ncat\ndog")
    (tmp_path / "imageless" / "img.png").unlink()
    assert [info["id"] for info in load(tmp_path).image_info] == ["good"]
    lines = messages(caplog)
    assert len(lines) == 2 and "nameless: left out. It has neither" in lines[0] and "img.png" in lines[1]


def test_a_number_without_a_name(tmp_path):
    make(tmp_path / "a", txt="_background_\ncat")
    with pytest.raises(ValueError, match="image 0.*label.png.*number 2"):
        load(tmp_path).load_mask(0)
