"""Names of runs and checkpoints."""

import datetime
import json
import os
import pickle
from pathlib import Path

import pytest

from mrcnn.engine.run_folder import (
    CheckpointPath,
    checkpoint_template,
    find_last,
    locate,
    parse_checkpoint,
    run_folder,
)

NOW = datetime.datetime(2024, 3, 9, 7, 5)


def _touch(*parts):
    path = Path(*parts)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")
    return str(path)


def test_names_are_matterports():
    folder = run_folder("logs", "Shapes", NOW)
    assert folder == os.path.join("logs", "shapes20240309T0705")
    template = checkpoint_template(folder, "Shapes")
    assert template.format(epoch=7) == os.path.join(folder, "mask_rcnn_shapes_0007.h5")


def test_template_keeps_braces_and_spaces_of_a_name():
    assert checkpoint_template("d{1}", "My {x} Cells").format(epoch=12) == os.path.join(
        "d{1}", "mask_rcnn_my {x} cells_0012.h5"
    )


@pytest.mark.parametrize("name", ["", None, "a/b", "a\\b"])
def test_name_that_is_no_file_name_is_refused(name):
    with pytest.raises(ValueError, match="Config.NAME"):
        run_folder("logs", name)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/l/shapes20171029T2315/mask_rcnn_shapes_0001.h5", ("/l/shapes20171029T2315", 1)),
        ("shapes20171029T2315/mask_rcnn_shapes_0020.h5", ("shapes20171029T2315", 20)),
        (r"C:\logs\coco20171029T2315\mask_rcnn_coco_0123.h5", (r"C:\logs\coco20171029T2315", 123)),
        ("/l/my cells (v2) é20171029T2315/mask_rcnn_my cells (v2) é_0002.h5",
         ("/l/my cells (v2) é20171029T2315", 2)),
        ("/l/x120171029T2315/mask_rcnn_x1_12345.h5", ("/l/x120171029T2315", 12345)),
        (Path("/l/a20171029T2315/mask_rcnn_a_0003.h5"), ("/l/a20171029T2315", 3)),
        ("/l/mask_rcnn_coco.h5", None),
        ("/l/shapes20171029T2315/mask_rcnn_shapes_best.h5", None),
        ("/l/shapes/mask_rcnn_shapes_0001.h5", None),
    ],
)
def test_parse_checkpoint(path, expected):
    assert parse_checkpoint(path) == expected


def test_locate_starts_a_new_run():
    run = locate("logs", "Shapes", "/downloads/mask_rcnn_coco.h5", now=NOW)
    assert run == locate("logs", "Shapes", None, now=NOW)
    assert run.folder == os.path.join("logs", "shapes20240309T0705")
    assert run.epoch == 0
    assert run.checkpoint_template.endswith("mask_rcnn_shapes_{epoch:04d}.h5")


def test_locate_goes_on_in_the_folder_of_the_checkpoint(tmp_path, capsys):
    path = tmp_path / "shapes20171029T2315" / "mask_rcnn_shapes_0004.h5"
    run = locate(tmp_path, "shapes", path, now=NOW)
    assert run.folder == str(path.parent)
    assert run.epoch == 4
    assert "Re-starting from epoch 4" in capsys.readouterr().out


def test_locate_writes_under_model_dir_where_the_checkpoint_lies_elsewhere():
    run = locate("working", "shapes", "/read-only/shapes20171029T2315/mask_rcnn_shapes_0004.h5")
    assert run.folder == os.path.join("working", "shapes20171029T2315")


def test_find_last_takes_newest_run_and_highest_epoch(tmp_path):
    for epoch in (1, 9, 10):
        _touch(tmp_path, "shapes20240101T0000", f"mask_rcnn_shapes_{epoch:04d}.h5")
    for epoch in (9998, 10000, 9999):
        newest = tmp_path / "shapes20240201T0000"
        _touch(newest, f"mask_rcnn_shapes_{epoch:04d}.h5")
    _touch(newest, ".mask_rcnn_shapes_99999.h5.1.part")
    _touch(newest, "state_of_mask_rcnn_shapes_99999.npz")
    assert find_last(tmp_path, "Shapes") == str(newest / "mask_rcnn_shapes_10000.h5")


def test_find_last_passes_over_a_run_without_checkpoints(tmp_path, caplog):
    expected = _touch(tmp_path, "shapes20240101T0000", "mask_rcnn_shapes_0001.h5")
    (tmp_path / "shapes20240301T0000").mkdir()
    assert find_last(tmp_path, "shapes") == expected
    assert "shapes20240301T0000 has no checkpoint yet" in caplog.text


def test_find_last_does_not_take_another_configurations_run(tmp_path):
    _touch(tmp_path, "shapes_big20240301T0000", "mask_rcnn_shapes_big_0001.h5")
    expected = _touch(tmp_path, "shapes20240101T0000", "mask_rcnn_shapes_0001.h5")
    assert find_last(tmp_path, "shapes") == expected


def test_find_last_accepts_renamed_files_of_its_own_run(tmp_path):
    expected = _touch(tmp_path, "shapes20240101T0000", "mask_rcnn_best.h5")
    assert find_last(tmp_path, "shapes") == expected


def test_find_last_says_what_is_missing(tmp_path):
    with pytest.raises(FileNotFoundError, match="check model_dir"):
        find_last(tmp_path / "absent", "shapes")
    with pytest.raises(FileNotFoundError, match="begins with 'shapes'"):
        find_last(tmp_path, "shapes")
    (tmp_path / "shapes20240301T0000").mkdir()
    with pytest.raises(FileNotFoundError, match="shapes20240301T0000 there hold none"):
        find_last(tmp_path, "shapes")


def test_checkpoint_path_is_a_path_and_a_pair():
    text = os.path.join("logs", "run", "mask_rcnn_a_0001.h5")
    path = CheckpointPath(text)
    folder, whole = path
    assert (folder, whole) == (path[0], path[1]) == (os.path.join("logs", "run"), text)
    assert type(path[1]) is str
    assert path == text and hash(path) == hash(text) and len(path) == len(text)
    assert path[-3:] == ".h5" and path[2] == text[2]


def test_checkpoint_path_works_where_paths_are_taken(tmp_path):
    text = _touch(tmp_path, "run", "mask_rcnn_a_0001.h5")
    path = CheckpointPath(text)
    for function in (os.path.dirname, os.path.basename, os.path.abspath, os.path.realpath, os.path.normpath,
                     os.path.splitext, os.path.split, os.path.expanduser, os.fspath, str, json.dumps, Path):
        assert function(path) == function(text)
    assert os.path.join(path, "x") == os.path.join(text, "x")
    assert os.path.exists(path) and f"{path}" == text and path + "x" == text + "x"
    assert pickle.loads(pickle.dumps(path)) == text
    with open(path, "rb") as file:
        assert file.read() == b""
