"""What all drawings need from arrays: displayable images, checked instances, captions, outlines."""

import numpy as np

from ..data.masks import extract_bboxes


def to_rgb(image):
    """Any image as uint8 [H, W, 3], always a copy, contiguous in memory (OpenCV needs that).

    Args:
        image: [H, W], [H, W, 1] or [H, W, C >= 3] (the first three channels are shown), or two channels (the
            first is shown). uint8 as it is; floats up to 1 are taken as 0..1, others as 0..255; integers
            beyond 255 (16 bit) are scaled by their maximum.
    """
    image = np.asarray(image)
    if image.ndim not in (2, 3):
        raise ValueError(f"image has the shape {image.shape}; expected [H, W] or [H, W, channels]")
    if image.ndim == 2:
        image = image[..., None]
    image = image[..., :3] if image.shape[-1] >= 3 else np.repeat(image[..., :1], 3, axis=-1)
    if image.dtype == np.uint8:
        return np.array(image, order="C")
    if image.dtype == bool:
        return image.astype(np.uint8, order="C") * 255
    image = np.nan_to_num(image.astype(np.float32, order="C"))
    highest = float(image.max(initial=0.0))
    scale = 255.0 if highest <= 1.0 else min(1.0, 255.0 / highest)
    return np.clip(np.rint(image * scale), 0, 255).astype(np.uint8)


def to_binary(masks):
    """Masks of any type as bool: floats are cut at one half, integers at zero."""
    masks = np.asarray(masks)
    if masks.dtype == bool:
        return masks
    return masks > 0.5 if np.issubdtype(masks.dtype, np.floating) else masks != 0


def cut_masks(masks):
    """Each mask cut out along its own edges, so that drawing costs as much as the object is large.

    Args:
        masks: [H, W, N], any type.

    Returns:
        list of N (top, left, mask [h, w] bool); h and w are 0 for an empty mask.
    """
    binary = to_binary(masks)
    if binary.shape[-1] == 0:
        return []
    return [(y1, x1, np.ascontiguousarray(binary[y1:y2, x1:x2, i]))
            for i, (y1, x1, y2, x2) in enumerate(extract_bboxes(binary).tolist())]


def checked_instances(image, boxes, masks, class_ids):
    """Boxes [N, 4] int, cut masks (or None) and class ids [N] int of an image.

    Raises:
        ValueError: their numbers differ, or masks have not the size of the image.
    """
    boxes = np.asarray(boxes).reshape(-1, 4)
    class_ids = np.asarray(class_ids).reshape(-1).astype(int)
    count = len(boxes)
    mask_count = count if masks is None else np.shape(masks)[-1]
    if not count == mask_count == len(class_ids):
        raise ValueError(f"{count} boxes, {mask_count} masks, {len(class_ids)} class ids: expected the same "
                         "number of each (boxes [N, 4], masks [H, W, N], class_ids [N])")
    if masks is not None and count and np.shape(masks)[:2] != np.shape(image)[:2]:
        raise ValueError(f"masks are {np.shape(masks)[:2]} pixels, the image {np.shape(image)[:2]}: expected "
                         "the same size. If they come from load_image_gt, pass use_mini_mask=False")
    return np.rint(boxes).astype(int), None if masks is None else cut_masks(masks), class_ids


def class_label(class_names, class_id):
    """Name of a class; "class 7" where the list is too short for it."""
    return str(class_names[class_id]) if 0 <= class_id < len(class_names) else f"class {class_id}"


def short_label(name, most=28):
    """A name cut to so many characters, for axes: the names there take room from the picture."""
    name = str(name)
    return name if len(name) <= most else name[:most - 1] + "…"


def default_captions(class_ids, class_names, scores):
    """"cat 0.970" for each instance, or "cat" where there is no score.

    Raises:
        ValueError: fewer scores than instances.
    """
    labels = [class_label(class_names, class_id) for class_id in class_ids]
    if scores is None:
        return labels
    return [f"{label} {score:.3f}" if score else label
            for label, score in zip(labels, _enough("scores", scores, labels), strict=False)]


def checked_captions(captions, class_ids, class_names, scores):
    """The given captions as texts, None as ""; where none are given (None or an empty list) the default ones.

    Raises:
        ValueError: fewer captions, or scores, than instances.
    """
    if captions is None or len(captions) == 0:
        return default_captions(class_ids, class_names, scores)
    return ["" if text is None else str(text) for text in _enough("captions", captions, class_ids)]


def _enough(name, values, instances):
    """The first of `values`, one for each instance."""
    if len(values) < len(instances):
        raise ValueError(f"{name} has {len(values)} entries for {len(instances)} instances; give one each, or None")
    return values[:len(instances)]


def blend(image, cut_mask, color, alpha):
    """Mixes a colour (0..1) into the pixels of a contiguous uint8 image under a cut mask, in place."""
    import cv2
    top, left, mask = cut_mask
    if mask.size == 0:
        return
    part = image[top:top + mask.shape[0], left:left + mask.shape[1]]
    mixed = np.arange(256)[:, None] * (1 - alpha) + np.asarray(color[:3]) * (255 * alpha)
    cv2.copyTo(cv2.LUT(part, np.rint(mixed).astype(np.uint8)[None]), mask.view(np.uint8), part)


def outlines(cut_mask):
    """Closed contours of a cut mask, half a pixel outside its pixels' centres: list of [points, (x, y)]."""
    from skimage.measure import find_contours
    top, left, mask = cut_mask
    # A frame of zeros closes the contours at the edges of the cut.
    return [contour[:, ::-1] + (left - 1, top - 1) for contour in find_contours(np.pad(mask, 1) * 1.0, 0.5)]
