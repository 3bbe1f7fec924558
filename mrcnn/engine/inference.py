"""From any image to what the graph takes, and from what it returns to what a person wants."""

import numpy as np

from ..data.boxes import denorm_boxes, norm_boxes
from ..data.checks import with_channels
from ..data.image_meta import compose_image_meta, mold_image
from ..data.masks import unmold_masks
from ..data.resize import resize_image


def mold_inputs(images, config):
    """Resizes images as the configuration says and subtracts the mean.

    Args:
        images: a list of `[h, w]`, `[h, w, 1]`, `[h, w, 3]` or `[h, w, 4]` arrays of any size and real dtype.
        config: a `Config`.

    Returns:
        Three lists, an entry an image: molded `[H, W, channels]` float32, meta `[12 + C]` float32, and the window
        `(y1, x1, y2, x2)` of the image inside its padding, pixels.

    Raises:
        ValueError: an image that is not 2-D or 3-D, is empty, or has channels that cannot become the configuration's.
    """
    molded, metas, windows = [], [], []
    for index, image in enumerate(images):
        image = with_channels(image, config.IMAGE_CHANNEL_COUNT, f"images[{index}]")
        resized, window, scale, _, _ = resize_image(
            image,
            min_dim=config.IMAGE_MIN_DIM,
            max_dim=config.IMAGE_MAX_DIM,
            min_scale=config.IMAGE_MIN_SCALE,
            mode=config.IMAGE_RESIZE_MODE,
        )
        no_classes = np.zeros([config.NUM_CLASSES], dtype=np.int32)
        metas.append(compose_image_meta(0, image.shape, resized.shape, window, scale, no_classes))
        molded.append(mold_image(resized, config).astype(np.float32))
        windows.append(window)
    return molded, [np.asarray(meta, np.float32) for meta in metas], windows


def unmold_detections(detections, masks, original_shape, image_shape, window):
    """One image's detections in the pixels of the original image.

    Args:
        detections: `[D, 6]` of (y1, x1, y2, x2, class_id, score), normalised; rows of class 0 are padding.
        masks: `[D, M, M, C]` float32 probabilities.
        original_shape: shape of the image as it was given.
        image_shape: shape of the molded image.
        window: `(y1, x1, y2, x2)` of the image inside the molded image, pixels.

    Returns:
        `rois [N, 4]` int32 pixels, `class_ids [N]` int32, `scores [N]` float32, `masks [H, W, N]` bool; boxes without
        area are dropped.
    """
    detections = detections[: _count(detections)]
    class_ids = detections[:, 4].astype(np.int32)
    masks = masks[np.arange(len(detections)), :, :, class_ids]
    y1, x1, y2, x2 = norm_boxes(np.asarray(window), image_shape[:2])
    shift, scale = np.array([y1, x1, y1, x1]), np.array([y2 - y1, x2 - x1, y2 - y1, x2 - x1])
    boxes = denorm_boxes((detections[:, :4] - shift) / scale, original_shape[:2])
    keep = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    boxes, class_ids, scores, masks = boxes[keep], class_ids[keep], detections[keep, 5], masks[keep]
    return boxes, class_ids, scores.astype(np.float32), unmold_masks(masks, boxes, original_shape[:2])


def _count(detections):
    padding = np.flatnonzero(detections[:, 4] == 0)
    return padding[0] if len(padding) else len(detections)
