"""Small image files."""

import numpy as np
from PIL import Image

HEIGHT, WIDTH = 40, 60


def write_image(path, size=(HEIGHT, WIDTH), value=7, orientation=None):
    """Write a plain colour image of `size` (height, width), with a camera's orientation tag if asked for."""
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    if orientation:
        exif[0x0112] = orientation
    Image.fromarray(np.full((*size, 3), value, np.uint8)).save(path, exif=exif)
    return path


def block(top, left, bottom, right, size=(HEIGHT, WIDTH)):
    """Bool [H, W], True in the rows top..bottom and the columns left..right, ends excluded."""
    mask = np.zeros(size, bool)
    mask[top:bottom, left:right] = True
    return mask


def messages(caplog):
    """The logged lines."""
    return [record.getMessage() for record in caplog.records]
