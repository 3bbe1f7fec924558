"""Box arithmetic. Boxes are `(y1, x1, y2, x2)` in the last axis, any leading shape, computed in float32."""

from keras import ops

# The far edge of a pixel box lies one past its last pixel; normalised boxes name that last pixel.
_FAR_EDGE_SHIFT = (0.0, 0.0, 1.0, 1.0)


def _box_scale(image_hw):
    """`(h, w)` as the float32 row `[h-1, w-1, h-1, w-1]` (with the leading shape of `h` and `w`)."""
    height, width = (ops.cast(image_hw[axis], "float32") for axis in (0, 1))
    return ops.stack([height, width, height, width], axis=-1) - 1.0


def norm_boxes(boxes_px, image_hw):
    """Pixel boxes to normalised ones: `(px - [0, 0, 1, 1]) / [H-1, W-1, H-1, W-1]`.

    Args:
        boxes_px: `[..., 4]`, pixels, far edges exclusive. Any number type.
        image_hw: pair `(H, W)` of numbers or tensors that broadcast against the leading shape of the boxes.

    Returns:
        `[..., 4]` float32; 0..1 inside the image.
    """
    return (ops.cast(boxes_px, "float32") - ops.array(_FAR_EDGE_SHIFT, "float32")) / _box_scale(image_hw)


def denorm_boxes(boxes, image_hw):
    """Normalised boxes to pixels, the inverse of `norm_boxes`. Not rounded: `[..., 4]` float32."""
    return ops.cast(boxes, "float32") * _box_scale(image_hw) + ops.array(_FAR_EDGE_SHIFT, "float32")


def box_area(boxes):
    """Signed area `(y2 - y1) * (x2 - x1)` of boxes `[..., 4]`: `[...]`."""
    return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])


def iou_matrix(boxes1, boxes2):
    """Intersection over union of every box of `boxes1` with every box of `boxes2`.

    Args:
        boxes1: `[..., N, 4]`.
        boxes2: `[..., M, 4]`, same unit.

    Returns:
        `[..., N, M]` float32, 0..1; 0 where both boxes are empty.
    """
    boxes1, boxes2 = ops.cast(boxes1, "float32"), ops.cast(boxes2, "float32")
    a_y1, a_x1, a_y2, a_x2 = (boxes1[..., i][..., :, None] for i in range(4))
    b_y1, b_x1, b_y2, b_x2 = (boxes2[..., i][..., None, :] for i in range(4))
    height = ops.maximum(ops.minimum(a_y2, b_y2) - ops.maximum(a_y1, b_y1), 0.0)
    width = ops.maximum(ops.minimum(a_x2, b_x2) - ops.maximum(a_x1, b_x1), 0.0)
    intersection = height * width
    union = (a_y2 - a_y1) * (a_x2 - a_x1) + (b_y2 - b_y1) * (b_x2 - b_x1) - intersection
    # An empty intersection is 0 whatever the union is, so no division by zero reaches the result.
    return ops.where(intersection > 0, intersection / ops.where(intersection > 0, union, 1.0), 0.0)


def apply_deltas(boxes, deltas, log_limit=None):
    """Move and scale boxes by `(dy, dx, log dh, log dw)` (R-CNN, appendix C; inverse of `encode_deltas`).

    Args:
        boxes: `[..., 4]`.
        deltas: `[..., 4]`, already multiplied by the standard deviation.
        log_limit: highest log dh and log dw, so that no box grows beyond all bounds; None sets no limit.

    Returns:
        `[..., 4]` float32, unit of `boxes`.
    """
    boxes, deltas = ops.cast(boxes, "float32"), ops.cast(deltas, "float32")
    height = boxes[..., 2] - boxes[..., 0]
    width = boxes[..., 3] - boxes[..., 1]
    center_y = boxes[..., 0] + 0.5 * height + deltas[..., 0] * height
    center_x = boxes[..., 1] + 0.5 * width + deltas[..., 1] * width
    growth = deltas[..., 2:] if log_limit is None else ops.minimum(deltas[..., 2:], log_limit)
    height = height * ops.exp(growth[..., 0])
    width = width * ops.exp(growth[..., 1])
    y1 = center_y - 0.5 * height
    x1 = center_x - 0.5 * width
    return ops.stack([y1, x1, y1 + height, x1 + width], axis=-1)


def encode_deltas(box, gt_box):
    """The `(dy, dx, log dh, log dw)` that carry boxes onto others.

    Args:
        box: `[..., 4]`.
        gt_box: `[..., 4]`, where they are to go, same unit and leading shape.

    Returns:
        `[..., 4]` float32, not divided by the standard deviation. Rows in which either box has no positive
        height or width are zeros: they have no finite answer, and padding reaches this function.
    """
    box, gt_box = ops.cast(box, "float32"), ops.cast(gt_box, "float32")
    size, gt_size = box[..., 2:] - box[..., :2], gt_box[..., 2:] - gt_box[..., :2]
    solid = ops.all((size > 0) & (gt_size > 0), axis=-1, keepdims=True)
    size, gt_size = ops.where(solid, size, 1.0), ops.where(solid, gt_size, 1.0)
    shift = (gt_box[..., :2] + 0.5 * gt_size - box[..., :2] - 0.5 * size) / size
    return ops.where(solid, ops.concatenate([shift, ops.log(gt_size / size)], axis=-1), 0.0)


def clip_boxes(boxes, window):
    """Clip boxes to a window.

    A side that is no number, as deltas that overflow make it, becomes the window's low side.

    Args:
        boxes: `[..., N, 4]`.
        window: `(y1, x1, y2, x2)` in the same unit: four numbers, or a tensor `[..., 4]` with one window per
            leading index of the boxes.

    Returns:
        `[..., N, 4]` float32.
    """
    boxes, window = ops.cast(boxes, "float32"), ops.cast(window, "float32")[..., None, :]
    low = ops.concatenate([window[..., :2], window[..., :2]], axis=-1)
    high = ops.concatenate([window[..., 2:], window[..., 2:]], axis=-1)
    return ops.where(ops.isnan(boxes), low, ops.maximum(ops.minimum(boxes, high), low))
