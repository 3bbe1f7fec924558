"""The examples of `docs/your_own_data.md` run, one after the other, on small data in each format."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from .data.formats.files import block, write_image
from .data.formats.toy_coco import TRIANGLE, annotation, write_coco

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "docs" / "your_own_data.md").read_text(encoding="utf-8")
SQUARE = [[10, 5], [29, 5], [29, 24], [10, 24]]
FIRST, SECOND = block(5, 10, 20, 30), block(25, 10, 35, 30)


def save(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


def write_via(folder):
    xs, ys = zip(*SQUARE, strict=True)
    region = {"shape_attributes": {"name": "polygon", "all_points_x": xs, "all_points_y": ys},
              "region_attributes": {"name": "balloon"}}
    write_image(folder / "a.jpg")
    (folder / "via_region_data.json").write_text(json.dumps({"a.jpg1": {"filename": "a.jpg", "regions": [region]}}))


def write_labelme(folder, label):
    write_image(folder / "a.jpg")
    (folder / "a.json").write_text(
        json.dumps({"imagePath": "a.jpg", "shapes": [{"label": label, "points": SQUARE}]}))


def write_labelme_folder(folder):
    write_image(folder / "img.png")
    save(folder / "label.png", FIRST * np.uint8(1) + SECOND * np.uint8(2))
    (folder / "info.yaml").write_text("label_names:\n- _background_\n- cat1\n- cat2\n")


def write_voc(folder, annotations, images, stem):
    write_image(folder / images / f"{stem}.jpg")
    (folder / annotations).mkdir(exist_ok=True)
    (folder / annotations / f"{stem}.xml").write_text(
        "<annotation><object><name>kangaroo</name><bndbox><xmin>5</xmin><ymin>5</ymin><xmax>30</xmax><ymax>20</ymax>"
        "</bndbox></object></annotation>")


@pytest.fixture
def data(tmp_path, monkeypatch):
    """A folder with everything that the examples read; the current one."""
    monkeypatch.chdir(tmp_path)
    for subset in ("train", "val"):
        write_via(tmp_path / "via" / subset)
    write_coco(tmp_path / "coco", [annotation(1, [TRIANGLE])])
    write_labelme(tmp_path / "labelme" / "train", "cat")
    write_labelme(tmp_path / "labelme" / "val", "cat")
    write_labelme_folder(tmp_path / "labelme_json" / "a_json")
    write_voc(tmp_path / "voc", "Annotations", "JPEGImages", "a")
    (tmp_path / "voc" / "ImageSets" / "Main").mkdir(parents=True)
    (tmp_path / "voc" / "ImageSets" / "Main" / "train.txt").write_text("a\n")
    for stem in ("00001", "00002", "00003", "00004"):
        write_voc(tmp_path / "kangaroo", "annots", "images", stem)
    for folder, numbers in (("cells", (1, 2)), ("coded", (1000, 2001))):
        write_image(tmp_path / folder / "images" / "a.png")
        save(tmp_path / folder / "labels" / "a.png", sum(mask * np.uint16(number) for mask, number in
                                                         zip((FIRST, SECOND), numbers, strict=True)))
    for name in ("a", "b"):
        write_image(tmp_path / "nuclei" / name / "images" / f"{name}.png")
        save(tmp_path / "nuclei" / name / "masks" / "1.png", FIRST * np.uint8(255))
        write_image(tmp_path / "ships" / f"{name}.png", size=(48, 64))
    return tmp_path


def test_examples_run(data, capsys):
    names, classes = {}, set()
    for number, example in enumerate(re.findall(r"^```python\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)):
        exec(compile(example, f"example {number}", "exec"), names)
        for dataset in (names[name] for name in ("train", "val", "test", "dataset") if f"{name}.load" in example):
            masks, class_ids = dataset.load_mask(0)
            assert masks.shape[:2] == dataset.load_image(0).shape[:2] and len(class_ids) == masks.shape[2] > 0
            classes |= set(dataset.class_names)
    assert classes == {"BG", "balloon", "cat", "cell", "dog", "kangaroo", "nucleus", "ship"}
    assert [row.problem for row in names["report"].rows] == ["no objects"]
    assert len(names["scales"]) == 5 and "ship" in capsys.readouterr().out


def test_problems_in_the_table_exist():
    table = TEXT[TEXT.index("| problem | meaning |"):]
    rows = re.findall(r"^\| ([^|-][^|]*?) \|", table[:table.index("\n\n")], re.MULTILINE)[1:]
    sources = "".join((ROOT / "mrcnn" / "data" / f"{name}.py").read_text() for name in
                      ("checks", "load", "validate", "image_problems"))
    problems = [problem for row in rows for problem in row.split(", ")]
    assert len(problems) > 15 and [problem for problem in problems if f'"{problem}"' not in sources] == []
