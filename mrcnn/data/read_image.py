"""Reading one image, a file or an address, as an array of three channels."""

import os
import re

import numpy as np


def read_image(path, label):
    """Read an image file.

    Args:
        path: file name, or a text that begins with http://, https:// or ftp://: fetched anew each time.
        label: names the image in errors.

    Returns:
        [H, W, 3] in the file's own depth (uint8, uint16, float...): grey is repeated, palettes
        are resolved, transparency is dropped. Files of more than four channels keep them all.
        A camera's orientation tag is not applied, as annotations are made on the stored pixels.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the path is None, the file is empty, cut short or not an image, or the address gives none.
    """
    if _is_address(path):
        return as_three_channels(_fetch(path, label))
    path = existing_file(path, label)
    try:
        array = _decode(path)
    except Exception as error:
        # Every codec has its own exceptions, struct and zlib errors among them.
        raise ValueError(
            f"{label}: {path!r} is cut short or not an image ({type(error).__name__}: {error}). "
            "Copy or convert the file again, or leave it out."
        ) from error
    return as_three_channels(array)


def existing_file(path, label):
    """The path as text. Raises as `read_image` does unless it names a file with something in it."""
    if path is None:
        raise ValueError(f"{label} has no path. Give add_image() a path, or override load_image().")
    path = os.fspath(path)
    if not os.path.isfile(path):
        raise FileNotFoundError(f"{label}: there is no file {path!r}. Correct the path given to add_image().")
    if os.path.getsize(path) == 0:
        raise ValueError(f"{label}: {path!r} is empty (0 bytes). Copy the file again, or leave it out.")
    return path


def as_three_channels(array):
    """[H, W] or [H, W, C] -> [H, W, 3] for C up to 4: grey is repeated, alpha dropped."""
    if array.ndim == 2:
        array = array[:, :, None]
    channels = array.shape[2]
    if channels in (1, 2):
        return np.repeat(array[:, :, :1], 3, axis=2)
    return np.ascontiguousarray(array[:, :, :3]) if channels == 4 else array


def _is_address(path):
    return isinstance(path, str) and re.match("(https?|ftp)://", path, re.IGNORECASE) is not None


def _fetch(address, label):
    try:
        return _decode_with_skimage(address)
    except Exception as error:
        # The connection has its own exceptions, and so has every codec.
        raise ValueError(
            f"{label}: the address {address!r} gives no image ({type(error).__name__}: {error}). Open it in a browser "
            "to see why, or download the image and give add_image() its path."
        ) from error


def _decode(path):
    if path.lower().endswith((".tif", ".tiff")):
        return _decode_with_skimage(path)
    from PIL import Image

    with Image.open(path) as image:
        if image.format == "TIFF":
            return _decode_with_skimage(path)
        if image.format == "PNG" and _is_deep_colour_png(path):
            return _decode_deep_png(path)
        if image.mode.startswith("I") or image.mode == "F":
            return _deep_grey(image)
        return np.array(image if image.mode in ("RGB", "L") else image.convert("RGB"))


def _deep_grey(image):
    """16 bit grey files, which some Pillow versions hold in 32 bit numbers."""
    array = np.array(image)
    if array.dtype == np.int32 and array.min() >= 0 and array.max() < 2**16:
        return array.astype(np.uint16)
    return array.astype(array.dtype.newbyteorder("="))


def _is_deep_colour_png(path):
    with open(path, "rb") as file:
        header = file.read(26)
    # IHDR: depth, then colour type, where bit 1 is colour.
    return header[24] == 16 and header[25] & 2


def _decode_deep_png(path):
    """Pillow reads 16 bit colour as 8 bit; OpenCV keeps it."""
    import cv2

    array = cv2.imread(path, cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION)
    if array is None:
        raise ValueError("OpenCV could not decode it")
    return np.ascontiguousarray(array[:, :, [2, 1, 0, *range(3, array.shape[2])]])


def _decode_with_skimage(path):
    from skimage.io import imread

    array = imread(path)
    if array.ndim == 3 and array.shape[2] > 4 > array.shape[0]:
        array = np.moveaxis(array, 0, 2)
    if array.ndim not in (2, 3):
        raise ValueError(f"it holds an array of shape {array.shape}, not one picture")
    return array
