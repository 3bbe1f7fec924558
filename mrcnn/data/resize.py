"""Resizing of images and masks to what the network takes: scale, padding, crop."""

import random
from typing import NamedTuple

import numpy as np

from .bilinear import bilinear, edge_bilinear

PAD_MULTIPLE = 64
# Normalised boxes reach from the centre of the first pixel to that of the last: in a window of one pixel, all boxes
# would be empty.
LEAST_SIDE = 2
# Sides are resized and padded as other programs do it.
EXACT_MODES = ("pad32", "pad32_smooth")


class ResizePlan(NamedTuple):
    """What `resize_image` does to a picture of a known size. All values in pixels.

    size: (height, width) after scaling; window: where the picture lies in the result;
    padding: ((top, bottom), (left, right), (0, 0)); crop: (y, x, height, width) or None;
    exact: resized as other programs do it, see `resize_exactly`; None as Matterport does it.
    """

    size: tuple
    window: tuple
    scale: float
    padding: list
    crop: tuple
    exact: str | None = None


def plan_resize(height, width, min_dim=None, max_dim=None, min_scale=None, mode="square", rng=None):
    """Work out scale, padding and crop for an image; arguments as in `resize_image`."""
    no_padding = [(0, 0), (0, 0), (0, 0)]
    if mode == "none":
        return ResizePlan((height, width), (0, 0, height, width), 1, no_padding, None)
    if mode in EXACT_MODES:
        return _plan_by_short_side(height, width, min_dim, max_dim, mode)
    scale = _scale(height, width, min_dim, max_dim, min_scale, mode)
    size = tuple(max(LEAST_SIDE, round(side * scale)) for side in (height, width))
    if mode == "crop":
        if not min_dim:
            raise ValueError('IMAGE_RESIZE_MODE "crop" needs min_dim (IMAGE_MIN_DIM), the side of the piece.')
        top = _random_int(size[0] - min_dim, rng)
        left = _random_int(size[1] - min_dim, rng)
        return ResizePlan(size, (0, 0, min_dim, min_dim), scale, no_padding, (top, left, min_dim, min_dim))
    if mode == "square":
        if not max_dim:
            raise ValueError('IMAGE_RESIZE_MODE "square" needs max_dim (IMAGE_MAX_DIM), its side.')
        padding = [_pad_to(size[0], max_dim), _pad_to(size[1], max_dim), (0, 0)]
    elif mode == "pad64":
        if min_dim and min_dim % PAD_MULTIPLE:
            raise ValueError(f'min_dim = {min_dim}: IMAGE_RESIZE_MODE "pad64" needs a multiple of 64.')
        padding = [_pad_to(side, -(-side // PAD_MULTIPLE) * PAD_MULTIPLE) for side in size] + [(0, 0)]
    else:
        raise ValueError(
            f'mode = {mode!r}; IMAGE_RESIZE_MODE is one of "square", "pad64", "crop", "none", '
            f"{', '.join(map(repr, EXACT_MODES))}."
        )
    top, left = padding[0][0], padding[1][0]
    return ResizePlan(size, (top, left, top + size[0], left + size[1]), scale, padding, None)


def _plan_by_short_side(height, width, min_dim, max_dim, mode):
    if not min_dim or not max_dim:
        raise ValueError(f'IMAGE_RESIZE_MODE "{mode}" needs min_dim and max_dim (IMAGE_MIN_DIM, IMAGE_MAX_DIM).')
    if mode == "pad32":
        # In single precision as in torchvision: rounding decides whether a side that fits comes out whole.
        short, long = np.float32(min(height, width)), np.float32(max(height, width))
        scale = float(min(np.float32(min_dim) / short, np.float32(max_dim) / long))
        size = max(1, int(height * scale)), max(1, int(width * scale))
    else:
        scale = min_dim / min(height, width)
        scale *= min(1, max_dim / (scale * max(height, width)))
        size = max(1, int(height * scale + 0.5)), max(1, int(width * scale + 0.5))
    padding = [(0, -side % 32) for side in size] + [(0, 0)]
    return ResizePlan(size, (0, 0, *size), scale, padding, None, exact=mode)


def _without_padding(plan):
    return plan._replace(window=(0, 0, *plan.size), padding=[(0, 0), (0, 0), (0, 0)])


def _scale(height, width, min_dim, max_dim, min_scale, mode):
    scale = max(1, min_dim / min(height, width)) if min_dim else 1
    if min_scale and scale < min_scale:
        scale = min_scale
    longest = max(height, width)
    if max_dim and mode == "square" and round(longest * scale) > max_dim:
        scale = max_dim / longest
    return scale


def _pad_to(length, target):
    before = (target - length) // 2
    return before, target - length - before


def _random_int(highest, rng):
    """Whole number from 0 to `highest`, from Python's global state unless `rng` is given."""
    if highest < 0:
        raise ValueError(f"The image is {-highest} pixels too small for the crop; lower IMAGE_MIN_DIM.")
    return random.randint(0, highest) if rng is None else int(rng.randint(0, highest + 1))


def resize_image(image, min_dim=None, max_dim=None, min_scale=None, mode="square", padding=None, rng=None):
    """Scale an image, keep its aspect, pad or crop it to a size that the network takes.

    Args:
        image: [H, W, C], any numeric dtype.
        min_dim: scale up until the shorter side has this many pixels.
        max_dim: side of the square in mode "square"; the longer side never exceeds it.
        min_scale: scale up by at least this factor, even if `min_dim` asks for less.
        mode: "none" leaves the image, "square" pads to max_dim x max_dim, "pad64" pads both
            sides to multiples of 64, "crop" cuts a random min_dim x min_dim piece. "pad32" is torchvision's way: the
            shorter side becomes min_dim unless the longer one would exceed max_dim, zeros behind the picture fill
            both sides to multiples of 32. "pad32_smooth" is Detectron2's: the same, with smoothing when shrinking.
        padding: of early 2018, before there were modes: True is the mode "square", False the same without the
            padding; the crop is left out of the result then.
        rng: numpy RandomState for the crop; None draws from Python's global state.

    Returns:
        image: [h, w, C], the same dtype; float32 in the modes "pad32" and "pad32_smooth".
        window: (y1, x1, y2, x2) of the picture inside the result, without padding.
        scale: factor from the given to the resized image.
        padding: [(top, bottom), (left, right), (0, 0)].
        crop: (y, x, height, width) after scaling, or None.
    """
    plan = plan_resize(*image.shape[:2], min_dim, max_dim, min_scale, mode, rng)
    if padding is not None:
        plan = plan if padding else _without_padding(plan)
        return apply_plan(image, plan), plan.window, plan.scale, plan.padding
    return apply_plan(image, plan), plan.window, plan.scale, plan.padding, plan.crop


def apply_plan(image, plan):
    """The image [H, W, C] as the plan says, in its own dtype; float32 where the plan is exact."""
    dtype = np.float32 if plan.exact else image.dtype
    if image.shape[:2] != tuple(plan.size):
        image = resize_exactly(image, plan.size, plan.exact) if plan.exact else bilinear(image, plan.size)
    if plan.crop is not None:
        top, left, height, width = plan.crop
        return image[top : top + height, left : left + width].astype(dtype)
    if not any(map(any, plan.padding)):
        return image.astype(dtype)
    (top, bottom), (left, right), _ = plan.padding
    height, width = image.shape[:2]
    padded = np.zeros((top + height + bottom, left + width + right, *image.shape[2:]), dtype=dtype)
    np.copyto(padded[top : top + height, left : left + width], image, casting="unsafe")
    return padded


def resize_exactly(image, size, mode):
    """[H, W, C] to `size` (height, width) as torchvision ("pad32") or Detectron2 ("pad32_smooth") does it: float32.

    Detectron2 resizes whole-number pictures with Pillow, which smooths when shrinking, and others as torchvision.
    """
    if mode == "pad32" or image.dtype != np.uint8:
        return edge_bilinear(image, size)
    from PIL import Image

    # Pillow knows pictures of one, three and four channels; the channels do not touch each other.
    planes = [Image.fromarray(plane).resize(size[::-1], Image.BILINEAR) for plane in np.moveaxis(image, -1, 0)]
    return np.stack([np.asarray(plane) for plane in planes], axis=-1).astype(np.float32)


def resize(
    image,
    output_shape,
    order=1,
    mode="constant",
    cval=0,
    clip=True,
    preserve_range=False,
    anti_aliasing=False,
    anti_aliasing_sigma=None,
):
    """scikit-image's `resize` with no smoothing by default, the same under all its versions.

    Args:
        image: [H, W] or [H, W, C]. Whole numbers become fractions of their dtype's range, unless
            `preserve_range`.
        output_shape: (height, width, ...).

    Returns:
        Float array of that size.
    """
    size = tuple(int(side) for side in output_shape[:2])
    if not preserve_range and np.issubdtype(image.dtype, np.integer):
        image = image / np.iinfo(image.dtype).max
    if order == 1 and mode == "constant" and cval == 0 and not anti_aliasing:
        return bilinear(image, size)
    from skimage.transform import resize as skimage_resize

    return skimage_resize(
        image.astype(np.float64) if image.dtype == bool else image,
        (*size, *image.shape[2:]),
        order=order,
        mode=mode,
        cval=cval,
        clip=clip,
        preserve_range=True,
        anti_aliasing=anti_aliasing,
        anti_aliasing_sigma=anti_aliasing_sigma,
    )


def resize_mask(mask, scale, padding, crop=None):
    """Scale, pad and crop masks as `resize_image` did their image, nearest neighbour.

    Args:
        mask: [H, W, N]; scale, padding, crop: as `resize_image` returned them.

    Returns:
        [h, w, N], the same dtype.
    """
    # Only where the image was left as it is may a side have one pixel.
    least = LEAST_SIDE if scale != 1 or any(map(any, padding)) else 1
    height, width = (max(least, round(side * scale)) for side in mask.shape[:2])
    rows = nearest_rows(mask.shape[0], height, padding[0], crop and (crop[0], crop[2]))
    columns = nearest_rows(mask.shape[1], width, padding[1], crop and (crop[1], crop[3]))
    return take_mask(mask, rows, columns)


def nearest_rows(length, count, padding=(0, 0), crop=None):
    """Which of `length` rows each row of a mask resized to `count` shows: int [out], -1 in the padding.

    The first and the last row stay first and last (corner to corner, unlike the image's pixel
    centres): Matterport's masks are made so.
    """
    step = (length - 1) / (count - 1) if count > 1 else 0
    rows = np.floor(np.arange(count) * step + 0.5).astype(np.int64)
    if crop:
        start, size = crop
        return rows[start : start + size]
    return np.pad(rows, padding, constant_values=-1)


def take_mask(mask, rows, columns):
    """Masks [h, w, N] put together from rows and columns of `mask` [H, W, N]; -1 gives zeros."""
    result = np.zeros((len(rows), len(columns), mask.shape[2]), dtype=mask.dtype)
    if mask.size == 0:
        return result
    inside = _span(rows), _span(columns)
    result[inside] = mask.take(rows[inside[0]], axis=0).take(columns[inside[1]], axis=1)
    return result


def _span(rows):
    used = np.flatnonzero(rows >= 0)
    return slice(used[0], used[-1] + 1)
