"""Cutting mask targets out of ground-truth masks, and putting predicted masks into the image."""

from keras import ops

from .resize import linear_weights
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


def align_masks(masks, boxes, mask_ids, mask_shape, aligned=False):
    """RoIAlign of one box out of one mask per slot: each cell the mean of as many samples as it has pixels.

    The number of samples follows the box (Mask R-CNN's first release; torchvision's `sampling_ratio=-1`).

    Args:
        masks: `[B, h, w, G]` bool or numbers.
        boxes: `[B, S, 4]` in pixels of the masks.
        mask_ids: `[B, S]` integers in 0..G-1.
        mask_shape: `(height, width)` of the result.
        aligned: whether pixel centres are half numbers, as they should be. Otherwise they are whole, and boxes at least
            one pixel high and wide, as in torchvision's models.

    Returns:
        `[B, S, height, width]` float32, in the range of the masks.
    """
    batch, height, width, count = ops.shape(masks)
    slots = boxes.shape[1]
    boxes = ops.reshape(ops.cast(boxes, "float32"), (-1, 4))
    shift, least = (0.5, 0.0) if aligned else (0.0, 1.0)
    top, left, bottom, right = ops.unstack(boxes - shift, axis=-1)
    rows = _sample_means(top, bottom, height, mask_shape[0], least)
    columns = _sample_means(left, right, width, mask_shape[1], least)
    planes = ops.reshape(ops.moveaxis(masks, -1, 1), (-1, height, width))
    plane_ids = ops.cast(mask_ids, "int32") + ops.arange(batch, dtype="int32")[:, None] * count

    def one(inputs):
        plane, row_weights, column_weights = inputs
        plane = ops.cast(ops.take(planes, plane, axis=0), "float32")
        return ops.matmul(ops.matmul(row_weights, plane), ops.transpose(column_weights))

    # One mask at a time: a whole mask for every slot would not fit.
    aligned = ops.map(one, (ops.reshape(plane_ids, (-1,)), rows, columns))
    return ops.reshape(aligned, (-1, slots, *mask_shape))


def _sample_means(start, stop, length, cells, least):
    """`[N, cells, length]`: how much of each pixel along an axis the mean of each cell's samples takes.

    Boxes are at least `least` pixels long.
    """
    size = ops.maximum(stop - start, least) / cells
    samples = ops.maximum(ops.ceil((stop - start) / cells), 1.0)
    last = ops.cast(length, "float32") - 1.0
    pixels = ops.arange(length, dtype="float32")
    cell = ops.arange(cells, dtype="float32")

    def more(sample, _):
        return sample < ops.max(samples)

    def add(sample, total):
        offset = cell[None] + ((sample + 0.5) / samples)[:, None]
        position = start[:, None] + offset * size[:, None]
        counts = (position >= -1.0) & (position <= last + 1.0) & (sample < samples)[:, None]
        weight = ops.where(counts, 1.0 / samples[:, None], 0.0)[..., None]
        return sample + 1.0, total + weight * _hat(ops.clip(position, 0.0, last)[..., None] - pixels)

    first = ops.zeros((ops.shape(start)[0], cells, length))
    return ops.while_loop(more, add, (ops.convert_to_tensor(0.0), first))[1]


def _hat(distance):
    """The share of a pixel in a bilinear sample that lies `distance` away."""
    return ops.maximum(1.0 - ops.abs(distance), 0.0)


def paste_masks(masks, boxes_px, image_hw):
    """Enlarge each mask to its box of whole pixels: `data.masks.unmold_masks` inside a graph.

    As two matrix products a mask, because every runtime has them.

    Args:
        masks: `[B, D, h, w]` float32, 0..1.
        boxes_px: `[B, D, 4]` int32, pixels, far edges exclusive.
        image_hw: `(H, W)`, integers or scalar int32 tensors.

    Returns:
        `[B, D, H, W]` bool, true where the enlarged mask is 0.5 or more. A box without area gives an empty mask; what
        reaches outside of the image is cut off.
    """
    height, width = masks.shape[2:]
    rows, rows_inside = linear_weights(boxes_px[..., 0], boxes_px[..., 2] - boxes_px[..., 0], height, image_hw[0])
    columns, columns_inside = linear_weights(boxes_px[..., 1], boxes_px[..., 3] - boxes_px[..., 1], width, image_hw[1])
    low, high = (limit(masks, axis=(2, 3), keepdims=True) for limit in (ops.min, ops.max))
    enlarged = ops.matmul(rows, ops.matmul(masks, ops.swapaxes(columns, -1, -2)))
    # The border fades, but not below the lowest value: a full mask stays full.
    enlarged = ops.maximum(ops.minimum(enlarged, high), low)
    return (enlarged >= 0.5) & ops.expand_dims(rows_inside, -1) & ops.expand_dims(columns_inside, -2)


def paste_padded(masks, boxes_px, image_hw):
    """torchvision's way of enlarging: `data.mask_paste.paste_padded` inside a graph.

    Args:
        masks: `[B, D, M, M]` float32, 0..1.
        boxes_px: `[B, D, 4]` float32, pixels; zeros where there is none.
        image_hw: `(H, W)`, integers or scalar int32 tensors.

    Returns:
        `[B, D, H, W]` bool, true where the enlarged mask is above 0.5.
    """
    side = masks.shape[2] + 2
    masks = ops.pad(masks, [(0, 0), (0, 0), (1, 1), (1, 1)])
    center = (boxes_px[..., 2:] + boxes_px[..., :2]) * 0.5
    half = (boxes_px[..., 2:] - boxes_px[..., :2]) * 0.5 * (side / (side - 2))
    # Whole pixels towards zero; both edges count.
    start, stop = ops.cast(center - half, "int32"), ops.cast(center + half, "int32")
    size = ops.maximum(stop - start + 1, 1)
    (rows, _), (columns, _) = (
        linear_weights(start[..., axis], size[..., axis], side, image_hw[axis], repeat_edge=True) for axis in range(2)
    )
    return ops.matmul(rows, ops.matmul(masks, ops.swapaxes(columns, -1, -2))) > 0.5


def paste_centers(masks, boxes_px, image_hw):
    """Detectron2's way of enlarging: `data.mask_paste.paste_centers` inside a graph.

    Args and returns: as of `paste_padded`, but a pixel is true where the mask is 0.5 or more, and a box without area
    gives an empty mask.
    """
    rows, columns = (
        _weights_of_centers(boxes_px[..., axis], boxes_px[..., axis + 2], masks.shape[2 + axis], image_hw[axis])
        for axis in range(2)
    )
    return ops.matmul(rows, ops.matmul(masks, ops.swapaxes(columns, -1, -2))) >= 0.5


def _weights_of_centers(start, stop, cells, length):
    """How the centres of `length` pixels mix a mask's `cells` along one axis: `[B, D, length, cells]`."""
    start, stop = ops.expand_dims(start, -1), ops.expand_dims(stop, -1)
    solid = stop > start
    centers = ops.cast(ops.arange(length, dtype="int32"), "float32") + 0.5
    position = (centers - start) / ops.where(solid, stop - start, 1.0) * cells - 0.5
    weights = ops.maximum(1.0 - ops.abs(ops.expand_dims(position, -1) - ops.arange(cells, dtype="float32")), 0.0)
    return ops.where(ops.expand_dims(solid, -1), weights, 0.0)
