"""Downloads go on where they stopped, are skipped when done, and say what to do when they cannot be had."""

import hashlib

import pytest

from mrcnn import utils
from mrcnn.engine import downloads
from mrcnn.engine.detector import Detector
from tests.file_server import dead_address, serving

CONTENT = bytes(range(256)) * 20
MD5 = hashlib.md5(CONTENT).hexdigest()


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
        monkeypatch.setattr(downloads, "IMAGENET_MODEL_MD5", MD5)

    return use


@pytest.fixture
def coco(monkeypatch):
    """Sets the address of COCO's weights."""

    def use(url):
        monkeypatch.setattr(downloads, "COCO_MODEL_URL", url)
        monkeypatch.setattr(downloads, "COCO_MODEL_MD5", MD5)

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
    def test_goes_on_where_it_stopped(self, serve, tmp_path, monkeypatch, part, resumes, ranges):
        monkeypatch.setattr(downloads, "_BLOCK", 1000)
        url, asked = serve(CONTENT, resumes)
        if part:
            (tmp_path / "x.zip.part").write_bytes(part)
        assert downloads.fetch(url, tmp_path / "x.zip", md5=MD5).read_bytes() == CONTENT
        assert asked == ranges and not (tmp_path / "x.zip.part").exists()

    def test_broken_off_transfer_is_kept_and_finished_later(self, serve, tmp_path):
        path = tmp_path / "x.h5"
        url, _ = serve(CONTENT[:3000], claimed=len(CONTENT))
        with pytest.raises(ConnectionError, match="stopped after 3,000 of 5,120 bytes"):
            downloads.fetch(url, path)
        assert not path.exists()
        url, asked = serve(CONTENT)
        assert downloads.fetch(url, path).read_bytes() == CONTENT and asked == ["bytes=3000-"]

    def test_part_of_another_file_is_found_out_and_not_gone_on_with(self, serve, tmp_path):
        path = tmp_path / "x.h5"
        (tmp_path / "x.h5.part").write_bytes(b"of another file")
        url, asked = serve(CONTENT)
        with pytest.raises(ConnectionError, match="damaged or another file") as error:
            downloads.fetch(url, path, md5=MD5)
        assert url in str(error.value) and MD5 in str(error.value) and f"save it as {path}" in str(error.value)
        assert not list(tmp_path.iterdir())
        assert downloads.fetch(url, path, md5=MD5).read_bytes() == CONTENT and asked == ["bytes=15-", None]

    def test_folder_in_place_of_the_file(self, tmp_path):
        with pytest.raises(IsADirectoryError, match=f"name the file in it: {tmp_path / 'x.h5'}"):
            downloads.fetch("http://127.0.0.1/x.h5", tmp_path)

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
    def test_are_downloaded_once(self, serve, coco, tmp_path, capsys, verbose):
        url, asked = serve(CONTENT)
        coco(url)
        for _ in range(2):
            utils.download_trained_weights(str(tmp_path / "new" / "coco.h5"), verbose=verbose)
        assert (tmp_path / "new" / "coco.h5").read_bytes() == CONTENT and asked == [None]
        assert bool(capsys.readouterr().out) == bool(verbose)

    def test_broken_off_download_goes_on(self, serve, coco, tmp_path):
        (tmp_path / "coco.h5.part").write_bytes(CONTENT[:2000])
        url, asked = serve(CONTENT)
        coco(url)
        utils.download_trained_weights(tmp_path / "coco.h5", verbose=0)
        assert (tmp_path / "coco.h5").read_bytes() == CONTENT and asked == ["bytes=2000-"]

    def test_page_of_a_proxy_is_not_taken_for_the_file(self, serve, coco, tmp_path):
        coco(serve(b"<html>please log in</html>")[0])
        with pytest.raises(ConnectionError, match="damaged or another file"):
            utils.download_trained_weights(tmp_path / "coco.h5", verbose=0)
        assert not list(tmp_path.iterdir())

    def test_out_of_reach(self, coco, tmp_path):
        url = f"{dead_address()}/coco.h5"
        coco(url)
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

    @pytest.mark.parametrize("which", ["IMAGENET_MODEL_MD5", "KERAS_APPLICATIONS_MD5"])
    def test_file_put_there_by_hand_or_by_keras_needs_no_network(self, imagenet, tmp_path, monkeypatch, which):
        imagenet(dead_address())
        for name in ("IMAGENET_MODEL_MD5", "KERAS_APPLICATIONS_MD5"):
            monkeypatch.setattr(downloads, name, MD5 if name == which else "another")
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

    def test_broken_off_download_goes_on(self, serve, imagenet, tmp_path):
        (tmp_path / "models").mkdir()
        (tmp_path / "models" / "resnet.h5.part").write_bytes(CONTENT[:70])
        address, asked = serve(CONTENT)
        imagenet(address)
        downloads.imagenet_weights_path(tmp_path)
        assert (tmp_path / "models" / "resnet.h5").read_bytes() == CONTENT and asked == ["bytes=70-"]

    def test_damaged_file_is_replaced_and_a_damaged_download_refused(self, serve, imagenet, tmp_path):
        path = tmp_path / "models" / "resnet.h5"
        path.parent.mkdir()
        path.write_bytes(CONTENT[:-1])
        imagenet(serve(CONTENT[:-2])[0])
        with pytest.raises(ConnectionError, match="damaged or another file"):
            downloads.imagenet_weights_path(tmp_path)
        assert path.read_bytes() == CONTENT[:-1]
        imagenet(serve(CONTENT)[0])
        assert downloads.imagenet_weights_path(tmp_path) == str(path) and path.read_bytes() == CONTENT
