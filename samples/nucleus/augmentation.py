"""Random changes of microscope pictures that leave nuclei nuclei."""

import numpy as np


def augment(image, masks, rng=np.random):
    """Random flips, quarter turns, zoom, brightness and blur, for `train(augmentation=...)`.

    Nuclei have no upright position, so all eight orientations are equally likely (four for images that are
    not square). What a zoom-out uncovers is black, as is the padding of inference.

    Args:
        image: uint8 [H, W, C]; masks: bool [H, W, N].
        rng: numpy RandomState; the data generator gives one for each image.

    Returns:
        new image and masks of the same shapes and dtypes.
    """
    import cv2

    for axis in (0, 1):
        if rng.uniform() < 0.5:
            image, masks = np.flip(image, axis), np.flip(masks, axis)
    if image.shape[0] == image.shape[1] and rng.uniform() < 0.5:
        image, masks = np.swapaxes(image, 0, 1), np.swapaxes(masks, 0, 1)
    image, masks = np.ascontiguousarray(image), np.ascontiguousarray(masks)
    if rng.uniform() < 0.5:
        image, masks = zoom(image, masks, rng.uniform(0.7, 1.4))
    if rng.uniform() < 0.5:
        image = np.clip(np.arange(256) * rng.uniform(0.8, 1.5), 0, 255).astype(np.uint8)[image]
    if rng.uniform() < 0.2:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 2.0)).reshape(image.shape)
    return image, masks


def zoom(image, masks, factor):
    """Enlarge (`factor` above 1) or shrink image [H, W, C] and masks [H, W, N] about the centre."""
    import cv2

    height, width = image.shape[:2]
    shift_y, shift_x = (1 - factor) * (height - 1) / 2, (1 - factor) * (width - 1) / 2
    matrix = np.array([[factor, 0, shift_x], [0, factor, shift_y]])
    zoomed = cv2.warpAffine(image, matrix, (width, height), flags=cv2.INTER_LINEAR)
    # Nearest neighbour on each axis by itself is one gather, whatever the number of masks.
    rows = np.rint((np.arange(height) - shift_y) / factor).astype(int)
    cols = np.rint((np.arange(width) - shift_x) / factor).astype(int)
    result = np.zeros_like(masks)
    inside_y, inside_x = (rows >= 0) & (rows < height), (cols >= 0) & (cols < width)
    result[np.ix_(inside_y, inside_x)] = masks[np.ix_(rows[inside_y], cols[inside_x])]
    return zoomed.reshape(image.shape), result
