"""Downloads go on where they stopped, are skipped when done, and say what to do when they cannot be had."""

import hashlib

import pytest

from mrcnn import utils
from mrcnn.engine import downloads
from mrcnn.engine.detector import Detector
from tests.file_server import dead_address, serving

CONTENT = bytes(range(256)) * 20


@pytest.fixture
def serve():
    """Starts a server of some bytes; see `serving`."""
    with serving() as start:
        yield start


@pytest.fixture
def imagenet(monkeypatch):
    """Sets the server of ImageNet's weights."""

    def use(address):
        monkeypatch.setattr(downloads, "IMAGENET_MODEL_URL", f"{address}/resnet.h5")
        monkeypatch.setattr(downloads, "IMAGENET_MODEL_MD5", hashlib.md5(CONTENT).hexdigest())

    return use


class TestFetch:
    @pytest.mark.parametrize(
        "part, resumes, ranges",
        [
            (b"", True, [None]),
            (CONTENT[:100], True, ["bytes=100-"]),
            (CONTENT[:100], False, ["bytes=100-"]),
            (CONTENT, True, ["bytes=5120-"]),
            (CONTENT + b"x", True, ["bytes=5121-", None]),
        ],
        ids=["new", "resumed", "server cannot resume", "part is complete", "part of another file"],
    )
    def test_goes_on_where_it_stopped(self, serve, tmp_path, part, resumes, ranges):
        url, asked = serve(CONTENT, resumes)
        if part:
            (tmp_path / "x.zip.part").write_bytes(part)
        assert downloads.fetch(url, tmp_path / "x.zip", chunk=1000).read_bytes() == CONTENT
        assert asked == ranges and not (tmp_path / "x.zip.part").exists()

    def test_broken_off_transfer_is_kept_and_finished_later(self, serve, tmp_path):
        path = tmp_path / "x.h5"
        url, _ = serve(CONTENT[:3000], claimed=len(CONTENT))
        with pytest.raises(ConnectionError, match="stopped after 3,000 of 5,120 bytes"):
            downloads.fetch(url, path)
        assert not path.exists()
        url, asked = serve(CONTENT)
        assert downloads.fetch(url, path).read_bytes() == CONTENT and asked == ["bytes=3000-"]

    def test_target_that_cannot_be_written(self, serve, tmp_path):
        (tmp_path / "file").write_text("in the way")
        with pytest.raises(ConnectionError, match="file"):
            downloads.fetch(serve(CONTENT)[0], tmp_path / "file" / "x.h5")

    def test_server_that_speaks_no_http(self, tmp_path, monkeypatch):
        def garble(*args, **options):
            raise downloads.http.client.BadStatusLine("hello")

        monkeypatch.setattr(downloads.urllib.request, "urlopen", garble)
        with pytest.raises(ConnectionError, match="hello"):
            downloads.fetch("http://127.0.0.1", tmp_path / "x.h5")


class TestCocoWeights:
    @pytest.mark.parametrize("verbose", [0, 1])
    def test_are_downloaded_once(self, serve, tmp_path, monkeypatch, capsys, verbose):
        url, asked = serve(CONTENT)
        monkeypatch.setattr(downloads, "COCO_MODEL_URL", url)
        for _ in range(2):
            utils.download_trained_weights(str(tmp_path / "new" / "coco.h5"), verbose=verbose)
        assert (tmp_path / "new" / "coco.h5").read_bytes() == CONTENT and asked == [None]
        assert bool(capsys.readouterr().out) == bool(verbose)

    def test_out_of_reach(self, tmp_path, monkeypatch):
        url = f"{dead_address()}/coco.h5"
        monkeypatch.setattr(downloads, "COCO_MODEL_URL", url)
        with pytest.raises(ConnectionError) as error:
            utils.download_trained_weights(tmp_path / "coco.h5")
        assert url in str(error.value) and f"save it as {tmp_path / 'coco.h5'}" in str(error.value)
        assert not list(tmp_path.iterdir())

    def test_address_is_public(self):
        assert utils.COCO_MODEL_URL.endswith("/v2.0/mask_rcnn_coco.h5")


class TestImagenetWeights:
    def test_are_downloaded_once(self, serve, imagenet, tmp_path):
        address, asked = serve(CONTENT)
        imagenet(address)
        for _ in range(2):
            path = downloads.imagenet_weights_path(tmp_path / "cache")
            assert path == str(tmp_path / "cache" / "models" / "resnet.h5")
        assert len(asked) == 1

    def test_file_put_there_by_hand_needs_no_network(self, imagenet, tmp_path, monkeypatch):
        imagenet(dead_address())
        (tmp_path / "models").mkdir()
        (tmp_path / "models" / "resnet.h5").write_bytes(CONTENT)
        monkeypatch.setenv("KERAS_HOME", str(tmp_path))
        model = object.__new__(Detector)
        assert model.get_imagenet_weights() == str(tmp_path / "models" / "resnet.h5")

    def test_out_of_reach(self, imagenet, tmp_path):
        imagenet(dead_address())
        with pytest.raises(ConnectionError) as error:
            downloads.imagenet_weights_path(tmp_path)
        assert downloads.IMAGENET_MODEL_URL in str(error.value)
        assert f"save it as {tmp_path / 'models' / 'resnet.h5'}" in str(error.value)

    def test_damaged(self, serve, imagenet, tmp_path):
        imagenet(serve(CONTENT[:-1])[0])
        with pytest.raises(ConnectionError, match="hash does not match"):
            downloads.imagenet_weights_path(tmp_path)
