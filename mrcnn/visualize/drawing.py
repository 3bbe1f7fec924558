"""Instances drawn into pixel arrays, without matplotlib: for video, for servers, for speed."""

import numpy as np

from .captions import CaptionLayout
from .colors import instance_colors, text_color
from .pixels import blend, checked_instances, default_captions, to_rgb

MANY = 30  # instances from which on captions get in the way


def apply_mask(image, mask, color, alpha=0.5):
    """Mixes a colour into the masked pixels, in place.

    Args:
        image: [H, W, 3] array of values 0..255.
        mask: [H, W], nonzero where the object is.
        color: (red, green, blue) in [0, 1].
        alpha: share of the colour, in [0, 1].

    Returns:
        image.
    """
    inside = np.asarray(mask) != 0
    image[inside, :3] = image[inside, :3] * (1 - alpha) + np.asarray(color[:3]) * (alpha * 255)
    return image


def draw_instances(image, r, class_names, colors=None):
    """Draws masks, outlines, boxes and captions of one image's detections.

    Args:
        image: [H, W, C], any type that `to_rgb` takes, channels in RGB order.
        r: result of `detect()`: rois [N, 4] pixels, class_ids [N]; masks [H, W, N] and scores [N] are
            optional.
        class_names: list of names, position 0 the background; None leaves captions out. With more than 30
            instances, captions much wider than their boxes are left out, for they would hide the objects.
        colors: None for the fixed colour of each class, or as in `display_instances`.

    Returns:
        new uint8 array [H, W, 3] in RGB order. For OpenCV's imshow or VideoWriter turn it to BGR: `out[...,
        ::-1]`.
    """
    canvas = np.ascontiguousarray(to_rgb(image))
    boxes, masks, class_ids = checked_instances(canvas, r["rois"], r.get("masks"), r["class_ids"])
    colors = instance_colors(colors, class_ids)
    if masks is not None:
        for i, color in enumerate(colors):
            blend(canvas, masks[i], color, 0.45)
    thickness = max(1, round(max(canvas.shape[:2]) / 600))
    for i, color in enumerate(colors):
        _outline(canvas, boxes[i], None if masks is None else masks[i], color, thickness)
    if class_names is not None:
        captions = default_captions(class_ids, class_names, r.get("scores"))
        _captions(canvas, boxes, captions, colors)
    return canvas


def _byte_color(color):
    """Colour of [0, 1] as integers for OpenCV."""
    return tuple(int(round(part * 255)) for part in color[:3])


def _outline(canvas, box, cut_mask, color, thickness):
    """Box and contour of one instance."""
    import cv2
    y1, x1, y2, x2 = (int(side) for side in box)
    if y2 > y1 and x2 > x1:
        cv2.rectangle(canvas, (x1, y1), (x2 - 1, y2 - 1), _byte_color(color), thickness)
    if cut_mask is not None and cut_mask[2].size:
        top, left, mask = cut_mask
        contours = cv2.findContours(
            mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE, offset=(left, top))[-2]
        cv2.drawContours(canvas, contours, -1, _byte_color(color), thickness, cv2.LINE_AA)


def _captions(canvas, boxes, captions, colors):
    """Texts on filled plates, above the upper left corners of the boxes if there is room, else inside."""
    import cv2
    font, layout = cv2.FONT_HERSHEY_SIMPLEX, CaptionLayout(canvas.shape)
    scale = min(max(max(canvas.shape[:2]) / 1600, 0.35), 1.2)
    thickness = max(1, round(scale * 1.5))
    for box, text, color in zip(boxes.tolist(), captions, colors, strict=True):
        (text_width, text_height), baseline = cv2.getTextSize(text, font, scale, thickness)
        height, width = text_height + baseline + 2, text_width + 4
        if len(boxes) > MANY and width > 1.5 * (box[3] - box[1]):
            continue
        wanted = box[0] - height if box[0] >= height else box[0]
        top, left = (int(side) for side in layout.place(wanted, box[1], height, width))
        cv2.rectangle(canvas, (left, top), (left + width - 1, top + height - 1), _byte_color(color), -1)
        cv2.putText(canvas, text, (left + 2, top + text_height + 1), font, scale,
                    _byte_color(text_color(color)), thickness, cv2.LINE_AA)
