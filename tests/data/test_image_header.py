"""Size and orientation from the header, the same as decoding gives."""

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps

from mrcnn.data.image_header import read_header, upright
from mrcnn.data.read_image import read_image

PIXELS = np.random.RandomState(0).randint(0, 256, (20, 30, 3), np.uint8)


def with_orientation(path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(PIXELS).save(path, exif=exif)
    return path


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.bmp", "a.gif", "a.webp", "a.tif"])
def test_size(tmp_path, name):
    Image.fromarray(PIXELS).save(tmp_path / name)
    header = read_header(tmp_path / name, "it")
    assert (header.height, header.width, header.orientation) == (20, 30, 1)
    assert header.upright_size == (20, 30)


@pytest.mark.parametrize(
    "name, shape",
    [
        ("a.tif", (20, 30)),
        ("a.tif", (20, 30, 3)),
        ("a.tif", (3, 20, 30)),
        ("a.tif", (20, 30, 6)),
        ("tiff_by_another_name.png", (20, 30, 3)),
    ],
)
def test_tiff_files(tmp_path, name, shape):
    tifffile.imwrite(tmp_path / name, np.zeros(shape, np.uint16))
    header = read_header(tmp_path / name, "it")
    assert (header.height, header.width) == read_image(tmp_path / name, "it").shape[:2] == (20, 30)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_orientation(tmp_path, orientation, name):
    path = with_orientation(tmp_path / name, orientation)
    header = read_header(path, "it")
    assert (header.height, header.width, header.orientation) == (20, 30, orientation)
    turned = upright(read_image(path, "it"), orientation)
    with Image.open(path) as image:
        np.testing.assert_array_equal(turned, np.array(ImageOps.exif_transpose(image)))
    assert turned.shape[:2] == header.upright_size


@pytest.mark.parametrize("orientation", [0, 9, 77])
def test_orientations_that_do_not_exist_count_as_none(tmp_path, orientation):
    assert read_header(with_orientation(tmp_path / "a.png", orientation), "it").orientation == 1


def test_errors_name_image_and_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="image 7.*absent.png"):
        read_header(tmp_path / "absent.png", "image 7")
    for name in ("text.png", "text.tif"):
        (tmp_path / name).write_text("no image")
        with pytest.raises(ValueError, match=f"image 7.*{name}.*not an image"):
            read_header(tmp_path / name, "image 7")
    (tmp_path / "empty.png").touch()
    with pytest.raises(ValueError, match="0 bytes"):
        read_header(tmp_path / "empty.png", "image 7")
