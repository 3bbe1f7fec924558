"""From any image to what the graph takes, and from what it returns to what a person wants."""

import logging

import numpy as np

from ..data.boxes import denorm_boxes, norm_boxes
from ..data.checks import LEAST_MULTIPLE, check_sides, grey_level_problem, with_channels
from ..data.image_meta import compose_image_meta, mold_padded
from ..data.mask_paste import paste_centers, paste_padded
from ..data.masks import unmold_masks
from ..data.resize import resize_image

logger = logging.getLogger(__name__)


def mold_inputs(images, config):
    """Resizes images as the configuration says and subtracts the mean. The first whose values are no grey levels is
    named in the log.

    Args:
        images: a list of `[h, w]`, `[h, w, 1]`, `[h, w, 3]` or `[h, w, 4]` arrays of any size and real dtype.
        config: a `Config`.

    Returns:
        Three lists, an entry an image: molded `[H, W, channels]` float32, meta `[12 + C]` float32, and the window
        `(y1, x1, y2, x2)` of the image inside its padding, pixels.

    Raises:
        ValueError: an image that is not 2-D or 3-D, is empty, has channels that cannot become the configuration's, or
            sides that a pyramid cannot halve, in mode "none".
    """
    molded, metas, windows, problem = [], [], [], ""
    for index, image in enumerate(images):
        image = with_channels(image, config.IMAGE_CHANNEL_COUNT, f"images[{index}]")
        if not problem and (problem := grey_level_problem(image, config)):
            logger.warning(f"images[{index}] {problem}")
        resized, window, scale, _, _ = resize_image(
            image,
            min_dim=config.IMAGE_MIN_DIM,
            max_dim=config.IMAGE_MAX_DIM,
            min_scale=config.IMAGE_MIN_SCALE,
            mode=config.IMAGE_RESIZE_MODE,
        )
        check_sides(resized.shape, LEAST_MULTIPLE, f"images[{index}]")
        no_classes = np.zeros([config.NUM_CLASSES], dtype=np.int32)
        metas.append(compose_image_meta(0, image.shape, resized.shape, window, scale, no_classes))
        molded.append(mold_padded(resized, window, config))
        windows.append(window)
    return molded, [np.asarray(meta, np.float32) for meta in metas], windows


def batches_of_one_shape(molded, batch_size):
    """Indices in batches of exactly `batch_size` images of one shape, the last image repeated to fill one up."""
    by_shape = {}
    for index, image in enumerate(molded):
        by_shape.setdefault(image.shape, []).append(index)
    for indices in by_shape.values():
        for start in range(0, len(indices), batch_size):
            batch = indices[start : start + batch_size]
            yield batch + batch[-1:] * (batch_size - len(batch))


def unmold_detections(detections, masks, original_shape, image_shape, window, paste="box"):
    """One image's detections in the pixels of the original image.

    Args:
        detections: `[D, 6]` of (y1, x1, y2, x2, class_id, score), normalised; rows of class 0 are padding.
        masks: `[D, M, M, C]` float32 probabilities.
        original_shape: shape of the image as it was given.
        image_shape: shape of the molded image.
        window: `(y1, x1, y2, x2)` of the image inside the molded image, pixels.
        paste: a value of `MASK_PASTE`.

    Returns:
        `rois [N, 4]` int32 pixels (float32, not rounded, unless `paste` is "box"), `class_ids [N]` int32, `scores [N]`
        float32, `masks [H, W, N]` bool; boxes without area are dropped.
    """
    boxes, class_ids, scores, slots = unmold_boxes(detections, original_shape, image_shape, window, paste)
    masks = masks[slots, :, :, class_ids]
    return boxes, class_ids, scores, _PASTE[paste](masks, boxes, original_shape[:2])


def unmold_boxes(detections, original_shape, image_shape, window, paste="box"):
    """`unmold_detections` without the masks.

    Returns:
        boxes, class ids and scores as from `unmold_detections`, and int `[N]`, the row of `detections` each came from.
    """
    slots = np.arange(_count(detections))
    boxes = _ORIGINAL_BOXES[paste](detections[slots, :4], original_shape[:2], image_shape[:2], np.asarray(window))
    solid = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    slots = slots[solid]
    return boxes[solid], detections[slots, 4].astype(np.int32), detections[slots, 5].astype(np.float32), slots


def pixel_boxes(boxes, image_shape):
    """Normalised boxes `[N, 4]` in pixels of a molded image of that shape, not rounded."""
    return boxes * (np.tile(image_shape[:2], 2) - 1) + [0, 0, 1, 1]


def original_points(points, original_shape, window):
    """Points `[..., (y, x)]` of the molded image, pixels, in those of the image as it was given.

    Args:
        points: float `[..., 2]`.
        original_shape: shape of the image as it was given.
        window: `(y1, x1, y2, x2)` of the image inside the molded image, pixels.
    """
    window = np.asarray(window)
    return (points - window[:2]) * (np.array(original_shape[:2]) / (window[2:] - window[:2]))


def _rounded_boxes(boxes, original_hw, image_hw, window):
    """int32 pixels, by normalised coordinates as in Matterport's implementation."""
    y1, x1, y2, x2 = norm_boxes(window, image_hw)
    shift, scale = np.array([y1, x1, y1, x1]), np.array([y2 - y1, x2 - x1, y2 - y1, x2 - x1])
    return denorm_boxes((boxes - shift) / scale, original_hw)


def _exact_boxes(boxes, original_hw, image_hw, window):
    """float32 pixels, scaled by the ratio of the sizes, inside the image."""
    height, width = original_hw
    corners = original_points(pixel_boxes(boxes, image_hw).reshape(-1, 2, 2), original_hw, window)
    return np.clip(corners.reshape(-1, 4), 0, [height, width, height, width]).astype(np.float32)


_ORIGINAL_BOXES = {"box": _rounded_boxes, "padded": _exact_boxes, "centers": _exact_boxes}
_PASTE = {"box": unmold_masks, "padded": paste_padded, "centers": paste_centers}


def _count(detections):
    padding = np.flatnonzero(detections[:, 4] == 0)
    return padding[0] if len(padding) else len(detections)
