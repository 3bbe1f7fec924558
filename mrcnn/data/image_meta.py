"""The row of facts that travels with an image, and centring of its pixels."""

import numpy as np

from .resize import EXACT_MODES


def compose_image_meta(image_id, original_image_shape, image_shape, window, scale, active_class_ids):
    """Pack what the graph must know of an image into one row.

    Args:
        image_id: int, position in the dataset.
        original_image_shape, image_shape: (height, width, channels) before and after resizing.
        window: (y1, x1, y2, x2) pixels of the real picture inside the padded image.
        scale: factor from the original to the resized image.
        active_class_ids: [C], 1 for the classes that the image's source knows.

    Returns:
        float64 [12 + C].
    """
    return np.array(
        [image_id, *original_image_shape, *image_shape, *window, scale, *active_class_ids], dtype=np.float64
    )


def parse_image_meta(meta):
    """Unpack rows [B, 12 + C] into a dict of arrays with B as the first axis.

    Keys: image_id, original_image_shape, image_shape, window, active_class_ids (int32) and
    scale (float32).
    """
    meta = np.asarray(meta)
    return {
        "image_id": meta[:, 0].astype(np.int32),
        "original_image_shape": meta[:, 1:4].astype(np.int32),
        "image_shape": meta[:, 4:7].astype(np.int32),
        "window": meta[:, 7:11].astype(np.int32),
        "scale": meta[:, 11].astype(np.float32),
        "active_class_ids": meta[:, 12:].astype(np.int32),
    }


def mold_image(images, config):
    """Subtract the mean pixel, divide by PIXEL_STD: any dtype [..., C] -> float32 [..., C]."""
    mean = np.asarray(config.MEAN_PIXEL, dtype=np.float32)
    molded = np.subtract(images, mean, dtype=np.float32, casting="unsafe")
    std = np.asarray(config.PIXEL_STD, dtype=np.float32)
    return molded if (std == 1).all() else np.divide(molded, std, out=molded)


def mold_padded(image, window, config):
    """`mold_image` of a resized image; in the modes "pad32" what lies outside `window` (y1, x1, y2, x2) becomes 0."""
    molded = mold_image(image, config)
    if config.IMAGE_RESIZE_MODE in EXACT_MODES:
        _, _, bottom, right = (int(edge) for edge in window)
        molded[bottom:], molded[:, right:] = 0, 0
    return molded


def unmold_image(normalized_images, config):
    """The inverse of `mold_image`: [..., C] -> uint8, rounded and held within 0 to 255."""
    images = np.asarray(normalized_images) * np.asarray(config.PIXEL_STD) + np.asarray(config.MEAN_PIXEL)
    return np.clip(np.rint(images), 0, 255).astype(np.uint8)
