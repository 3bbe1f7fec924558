"""Files are written wholly or not at all."""

import errno
import os
import resource

import pytest

from mrcnn.engine import atomic_file
from mrcnn.engine.atomic_file import CheckpointError, write_atomically
from mrcnn.engine.weights import save_weights

from .small_models import detector, randomise


def test_size_limit_of_the_system_leaves_the_earlier_file(tmp_path):
    path = tmp_path / "w.h5"
    save_weights(detector(), path)
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(CheckpointError, match="w.h5.*file size limit") as caught:
            save_weights(randomise(detector()), path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.errno == errno.EFBIG and isinstance(caught.value, OSError)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["w.h5"]


@pytest.mark.parametrize(
    ("number", "cure"), [(errno.ENOSPC, "free some disk space"), (errno.EROFS, "not read-only"), (errno.EIO, "check")]
)
def test_failing_disk_leaves_the_earlier_file(tmp_path, monkeypatch, number, cure):
    path = tmp_path / "w.h5"
    write_atomically(path, b"good")

    def fail(descriptor):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(atomic_file.os, "fsync", fail)
    with pytest.raises(CheckpointError, match=cure) as caught:
        write_atomically(path, b"new")
    assert os.strerror(number) in str(caught.value) and caught.value.errno == number
    assert path.read_bytes() == b"good" and os.listdir(tmp_path) == ["w.h5"]


def test_interrupted_writing_leaves_the_earlier_file(tmp_path, monkeypatch):
    path = tmp_path / "w.h5"
    write_atomically(path, b"good")

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(atomic_file.os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"good" and os.listdir(tmp_path) == ["w.h5"]


def test_absent_folder_and_file_in_place_of_a_folder(tmp_path):
    with pytest.raises(CheckpointError, match="create the folder"):
        write_atomically(tmp_path / "absent" / "w.h5", b"x")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(CheckpointError, match="choose another model_dir"):
        write_atomically(tmp_path / "file" / "w.h5", b"x")


def test_new_files_have_the_usual_permissions(tmp_path):
    plain = tmp_path / "plain"
    plain.write_bytes(b"")
    write_atomically(tmp_path / "w.h5", b"x")
    assert os.stat(tmp_path / "w.h5").st_mode == os.stat(plain).st_mode
