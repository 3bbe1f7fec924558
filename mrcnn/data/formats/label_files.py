"""Reading images whose pixels are numbers of objects or classes, not colours to look at."""

import numpy as np

from ..read_image import existing_file


def read_labels(path, label):
    """The numbers in a label image.

    Args:
        path: PNG, TIFF or another lossless file of 8 or 16 bits, or a palette.
        label: names the image in errors.

    Returns:
        integers [H, W]: palette entries or grey values as stored. Colours become one number each,
        `red << 16 | green << 8 | blue`, but for grey in a colour file, which is its grey value.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is empty, cut short, not an image, or holds fractions.
    """
    path = existing_file(path, label)
    try:
        array = _decode(path)
    except Exception as error:
        # Every codec has its own exceptions, struct and zlib errors among them.
        raise ValueError(
            f"{label}: {path!r} is cut short or not an image ({type(error).__name__}: {error}). "
            "Copy or export the file again, or leave it out."
        ) from error
    array = _one_number_a_pixel(array)
    if array is None or array.dtype.kind == "f" and (array % 1 != 0).any():
        raise ValueError(f"{label}: {path!r} must hold one whole number a pixel. Export it as 8 or 16 bit PNG or TIFF.")
    return array if array.dtype.kind in "iu" else array.astype(np.int64)


def _decode(path):
    if path.lower().endswith((".tif", ".tiff")):
        from skimage.io import imread

        return imread(path)
    from PIL import Image

    with Image.open(path) as image:
        return np.array(image)


def _one_number_a_pixel(array):
    """[H, W] of [H, W], [H, W, 1], or colours with or without alpha; None for anything else."""
    if array.ndim == 2:
        return array
    if array.ndim != 3 or array.shape[2] > 4:
        return None
    if array.shape[2] <= 2:
        return array[:, :, 0]
    red, green, blue = np.moveaxis(array[:, :, :3], 2, 0)
    if np.array_equal(red, green) and np.array_equal(green, blue):
        return red
    return red.astype(np.int64) << 16 | green.astype(np.int64) << 8 | blue


def object_masks(labels, values):
    """Masks bool [H, W, N] of the pixels of each of N `values` in `labels` [H, W]."""
    return labels[:, :, None] == np.asarray(values)


def object_values(labels):
    """The numbers above 0 in `labels`, ascending, as a list."""
    values = np.unique(labels)
    return values[values > 0].tolist()
