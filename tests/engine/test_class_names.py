"""The names of a file's classes: kept beside checkpoints, COCO's where the file has 81, asked for otherwise."""

import json

import pytest

from mrcnn.engine.atomic_file import CheckpointError
from mrcnn.engine.class_names import FILE_NAME, match_file_classes, write_class_names
from mrcnn.engine.coco_classes import COCO_CLASS_NAMES

NAMES = ["BG", "Katze", "Übergröße"]


def _match(folder, count, **given):
    return match_file_classes(str(folder / "w.h5"), (2, count), ["BG", "Katze"], **given)


def test_coco_has_eighty_classes_in_matterports_order():
    assert len(set(COCO_CLASS_NAMES)) == 81
    known = {0: "BG", 1: "person", 12: "stop sign", 45: "spoon", 63: "tv", 80: "toothbrush"}
    assert {index: COCO_CLASS_NAMES[index] for index in known} == known


def test_names_are_found_again_beside_the_file(tmp_path):
    write_class_names(tmp_path, NAMES)
    match = _match(tmp_path, 3)
    assert match.file_names == tuple(NAMES) and match.positions == (0, 1)
    assert match.origin == str(tmp_path / FILE_NAME)
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]
    assert json.loads((tmp_path / FILE_NAME).read_text("utf8")) == NAMES


def test_argument_then_file_then_coco(tmp_path):
    coco = match_file_classes(str(tmp_path / "w.h5"), (2, 81), ["BG", "toothbrush"])
    assert coco.origin == "COCO" and coco.positions == (0, 80)
    write_class_names(tmp_path, [f"class {i}" for i in range(81)])
    assert match_file_classes(str(tmp_path / "w.h5"), (2, 81), ["BG", "class 7"]).positions == (0, 7)
    given = _match(tmp_path, 3, file_class_names=("BG", "Hund", "Katze"))
    assert given.origin == "file_class_names" and given.positions == (0, 2)


def test_unknown_names_are_asked_for(tmp_path):
    with pytest.raises(ValueError, match="3 classes of .*w.h5 are unknown.*file_class_names=") as caught:
        _match(tmp_path, 3)
    assert str(tmp_path / FILE_NAME) in str(caught.value)


def test_lists_of_another_length_are_refused(tmp_path):
    with pytest.raises(ValueError, match="file_class_names has 2 names, .*w.h5 3 classes.*background.*missing"):
        _match(tmp_path, 3, file_class_names=["Hund", "Katze"])
    with pytest.raises(ValueError, match="class_names has 3 names, this model .NUM_CLASSES. 2 classes"):
        match_file_classes("w.h5", (2, 3), NAMES, NAMES)
    with pytest.raises(ValueError, match="class_names is the text 'Katze'"):
        match_file_classes("w.h5", (2, 3), "Katze", NAMES)
    write_class_names(tmp_path, NAMES)
    with pytest.raises(ValueError, match=f"{FILE_NAME} has 3 names, .*w.h5 4 classes"):
        _match(tmp_path, 4)


@pytest.mark.parametrize("content", [b"", b"{}", b"[1, 2]", b"\xff\xfe", b"[\"BG\""])
def test_damaged_list_is_named(tmp_path, content):
    (tmp_path / FILE_NAME).write_bytes(content)
    with pytest.raises(ValueError, match="does not hold the names") as caught:
        _match(tmp_path, 3)
    assert str(tmp_path / FILE_NAME) in str(caught.value)
    write_class_names(tmp_path, NAMES)
    assert _match(tmp_path, 3).positions == (0, 1)


def test_other_classes_in_the_same_folder_are_warned_of(tmp_path, caplog):
    for _ in range(2):
        write_class_names(tmp_path, NAMES)
    assert not caplog.text
    write_class_names(tmp_path, [*NAMES, "Hund"])
    assert "had other classes" in caplog.text and FILE_NAME in caplog.text


def test_folder_that_cannot_be_written(tmp_path):
    with pytest.raises(CheckpointError, match=FILE_NAME):
        write_class_names(tmp_path / "absent", NAMES)
