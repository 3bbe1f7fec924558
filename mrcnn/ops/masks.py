"""Cutting mask targets out of ground-truth masks."""

from keras import ops

from .roi_align import corner_taps


def boxes_inside(boxes, frames):
    """Boxes in the coordinates of a frame box each: 0 and 1 are the frame's edges.

    Args:
        boxes: `[..., 4]`.
        frames: `[..., 4]`, same unit.

    Returns:
        `[..., 4]` float32; zeros where the frame has no positive height or width.
    """
    origin, size = frames[..., :2], frames[..., 2:] - frames[..., :2]
    solid = ops.all(size > 0, axis=-1, keepdims=True)
    size = ops.where(solid, size, 1.0)
    corners = [(boxes[..., :2] - origin) / size, (boxes[..., 2:] - origin) / size]
    return ops.where(solid, ops.concatenate(corners, axis=-1), 0.0)


def crop_masks(masks, boxes, mask_ids, mask_shape):
    """Cut one box out of one mask per slot, with the sampling of `crop_and_resize`.

    Only the sampled points are read: no slot ever holds a whole mask.

    Args:
        masks: `[B, h, w, G]` bool or numbers.
        boxes: `[B, S, 4]`, normalised to the mask.
        mask_ids: `[B, S]` integers in 0..G-1.
        mask_shape: `(height, width)` of the result.

    Returns:
        `[B, S, height, width]` float32, in the range of the masks; 0 outside of them.

    Raises:
        ValueError: the masks of a batch have more elements than an int32 can count.
    """
    shape = ops.shape(masks)
    if all(isinstance(side, int) for side in shape) and shape[0] * shape[1] * shape[2] * shape[3] >= 2**31:
        raise ValueError(
            f"Masks of shape {shape} have 2**31 elements or more in a batch. Use mini masks "
            "(USE_MINI_MASK = True), a smaller batch or fewer MAX_GT_INSTANCES."
        )
    batch, height, width, count = (ops.cast(side, "int32") for side in shape)
    boxes, mask_ids = ops.cast(boxes, "float32"), ops.cast(mask_ids, "int32")
    image = ops.arange(shape[0], dtype="int32")[:, None]
    flat = ops.reshape(masks, (-1,))
    y_taps = corner_taps(boxes[..., 0], boxes[..., 2], height, mask_shape[0])
    x_taps = corner_taps(boxes[..., 1], boxes[..., 3], width, mask_shape[1])
    total = 0.0
    for y, y_weight in y_taps:
        rows = (image[..., None] * height + y) * width
        for x, x_weight in x_taps:
            points = (rows[..., :, None] + x[..., None, :]) * count + mask_ids[..., None, None]
            weight = y_weight[..., :, None] * x_weight[..., None, :]
            total = total + weight * ops.cast(ops.take(flat, points, axis=0), "float32")
    return total
