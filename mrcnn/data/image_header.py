"""Size and orientation of an image file, from its header alone."""

from dataclasses import dataclass

import numpy as np

from .read_image import existing_file

_ORIENTATION_TAG = 0x0112


@dataclass(frozen=True)
class ImageHeader:
    """What an image file says of itself.

    Attributes:
        height, width: pixels as stored, so as `read_image` gives them.
        orientation: the camera's tag (EXIF), 1 to 8; 1 where there is none. 5 to 8 are quarter turns.
    """

    height: int
    width: int
    orientation: int = 1

    @property
    def upright_size(self):
        """(height, width) in pixels after the turn that the tag asks for."""
        return (self.width, self.height) if self.orientation >= 5 else (self.height, self.width)


def read_header(path, label):
    """The `ImageHeader` of an image file, without decoding its pixels.

    Args:
        path: file name.
        label: names the image in errors.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the path is None, or the file is empty or not an image.
    """
    path = existing_file(path, label)
    try:
        return _tiff_header(path) if path.lower().endswith((".tif", ".tiff")) else _header(path)
    except Exception as error:
        # Every codec has its own exceptions, struct and zlib errors among them.
        raise ValueError(
            f"{label}: {path!r} is cut short or not an image ({type(error).__name__}: {error}). "
            "Copy or convert the file again, or leave it out."
        ) from error


def upright(image, orientation):
    """An image [H, W, ...] as stored, turned and mirrored as its orientation tag (1 to 8) asks for."""
    if orientation in (5, 6, 7, 8):
        image = np.swapaxes(image, 0, 1)
    rows = slice(None, None, -1 if orientation in (3, 4, 7, 8) else 1)
    columns = slice(None, None, -1 if orientation in (2, 3, 6, 7) else 1)
    return np.ascontiguousarray(image[rows, columns])


def _header(path):
    from PIL import Image

    with Image.open(path) as image:
        if image.format == "TIFF":
            return _tiff_header(path)
        width, height = image.size
        return ImageHeader(height, width, _orientation(image.getexif().get(_ORIENTATION_TAG)))


def _tiff_header(path):
    """Pillow turns TIFF files itself and counts their channels otherwise than `read_image`."""
    from tifffile import TiffFile

    with TiffFile(path) as tiff:
        shape = tiff.series[0].shape
        tag = tiff.pages[0].tags.get(_ORIENTATION_TAG)
    if len(shape) == 3 and shape[2] > 4 > shape[0]:
        shape = shape[1:]
    return ImageHeader(*shape[:2], _orientation(tag and tag.value))


def _orientation(value):
    return int(value) if value in range(1, 9) else 1
