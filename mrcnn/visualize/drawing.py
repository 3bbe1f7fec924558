"""Instances drawn into pixel arrays, without matplotlib: for video, for servers, for speed."""

import numpy as np

from .captions import CaptionLayout, chosen_texts, tie_line
from .colors import instance_colors, text_color
from .keypoints import draw_keypoints
from .pixels import blend, checked_instances, default_captions, to_rgb


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


def draw_instances(image, r, class_names, colors=None, skeleton=None):
    """Draws masks, outlines, boxes, keypoints and captions of one image's detections.

    Args:
        image: [H, W, C], any type that `to_rgb` takes, channels in RGB order.
        r: result of `detect()`: rois [N, 4] pixels, class_ids [N]; masks [H, W, N], keypoints [N, K, (y, x)] and
            scores [N] are optional.
        class_names: list of names, position 0 the background; None leaves captions out. Where captions would cover
            more than 15 % of the image, and so hide the objects, those much wider than their boxes are cut to the name
            or the score, and the instances with the lowest scores have none.
        colors: None for the fixed colour of each class, or as in `display_instances`.
        skeleton: pairs of keypoints to join, as in `draw_keypoints`.

    Returns:
        new uint8 array [H, W, 3] in RGB order. For OpenCV's imshow or VideoWriter turn it to BGR: `out[...,
        ::-1]`.

    Raises:
        ValueError: r is not the result of one image, or its parts do not fit each other or the image.
    """
    canvas = to_rgb(image)
    if "rois" not in r or "class_ids" not in r:
        raise ValueError(f"r is a {type(r).__name__} without rois or class_ids; expected the result of one image, "
                         "as in model.detect([image])[0]")
    boxes, masks, class_ids = checked_instances(canvas, r["rois"], r.get("masks"), r["class_ids"])
    colors = instance_colors(colors, class_ids)
    if masks is not None:
        for i, color in enumerate(colors):
            blend(canvas, masks[i], color, 0.45)
    thickness = max(1, round(max(canvas.shape[:2]) / 600))
    for i, color in enumerate(colors):
        _outline(canvas, boxes[i], None if masks is None else masks[i], color, thickness)
    if "keypoints" in r:
        canvas = draw_keypoints(canvas, r["keypoints"], skeleton)
    if class_names is not None:
        texts = _texts(class_ids, class_names, r.get("scores"))
        best_first = np.argsort(-np.asarray(r.get("scores", np.zeros(len(boxes))))[:len(boxes)], kind="stable")
        _captions(canvas, boxes[best_first], [texts[i] for i in best_first], [colors[i] for i in best_first])
    return canvas


def _texts(class_ids, class_names, scores):
    """Captions of each instance, the whole one first, then its parts: the name and the score."""
    names, captions = (default_captions(class_ids, class_names, given) for given in (None, scores))
    parts = [(name, caption[len(name) + 1:]) for name, caption in zip(names, captions, strict=True)]
    return [[caption, *filter(None, part)] for caption, part in zip(captions, parts, strict=True)]


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


def _captions(canvas, boxes, texts, colors):
    """Texts on filled plates, the best instances first; one that does not touch its box is tied to it by a line."""
    import cv2
    font, layout = cv2.FONT_HERSHEY_SIMPLEX, CaptionLayout(canvas.shape, boxes)
    scale = min(max(max(canvas.shape[:2]) / 1600, 0.35), 1.2)
    thickness = max(1, round(scale * 1.5))
    extents = [[cv2.getTextSize(text, font, scale, thickness) for text in some] for some in texts]
    sizes = [[(text_height + baseline + 2, text_width + 4) for (text_width, text_height), baseline in some]
             for some in extents]
    plates = []
    for i, chosen in enumerate(chosen_texts(sizes, boxes, canvas.shape)):
        if chosen is None:
            continue
        box, color, text = boxes[i].tolist(), colors[i], texts[i][chosen]
        (height, width), ((_, text_height), _) = sizes[i][chosen], extents[i][chosen]
        top, left = (int(side) for side in layout.place(box, height, width))
        plate = (top, left, top + height, left + width)
        plates.append((plate, text, text_height, color))
        tie = tie_line(plate, box)
        if tie is not None:
            cv2.line(canvas, *(tuple(round(side) for side in end) for end in tie), _byte_color(color), thickness,
                     cv2.LINE_AA)
    # After all lines, so that none crosses a text; the best instances lie on top.
    for (top, left, bottom, right), text, text_height, color in reversed(plates):
        cv2.rectangle(canvas, (left, top), (right - 1, bottom - 1), _byte_color(color), -1)
        cv2.putText(canvas, text, (left + 2, top + text_height + 1), font, scale,
                    _byte_color(text_color(color)), thickness, cv2.LINE_AA)
