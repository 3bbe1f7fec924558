"""Keypoints and the lines between them, drawn into a pixel array."""

import colorsys

import numpy as np

from .pixels import to_rgb

# Of COCO's people, as positions of its 17 keypoints.
COCO_SKELETON = (
    (15, 13), (13, 11), (16, 14), (14, 12), (11, 12), (5, 11), (6, 12), (5, 6), (5, 7), (6, 8), (7, 9), (8, 10),
    (1, 2), (0, 1), (0, 2), (1, 3), (2, 4), (3, 5), (4, 6),
)  # fmt: skip


def draw_keypoints(image, keypoints, skeleton=None, visible=None):
    """Draws each object's keypoints as dots and its skeleton as lines, each line in its own colour.

    Args:
        image: [H, W, C], any type that `to_rgb` takes, channels in RGB order.
        keypoints: [N, K, (y, x)] in pixels, numbers beyond the second are not read.
        skeleton: pairs of positions in K; None for COCO's where K is 17, else no lines.
        visible: bool [N, K], the keypoints to draw; None draws all. A line needs both its ends.

    Returns:
        new uint8 array [H, W, 3] in RGB order.

    Raises:
        ValueError: keypoints or `visible` have another shape, or the skeleton names a keypoint that there is not.
    """
    import cv2

    canvas, keypoints = to_rgb(image), np.asarray(keypoints, float)
    if keypoints.ndim != 3 or keypoints.shape[-1] < 2:
        raise ValueError(f"keypoints have the shape {keypoints.shape}; expected [N, K, 2]")
    count = keypoints.shape[1]
    visible = np.ones(keypoints.shape[:2], bool) if visible is None else np.asarray(visible, bool)
    if visible.shape != keypoints.shape[:2]:
        raise ValueError(f"visible has the shape {visible.shape}; expected {keypoints.shape[:2]}")
    if skeleton is None:
        skeleton = COCO_SKELETON if count == 17 else ()
    if skeleton and not 0 <= np.min(skeleton) <= np.max(skeleton) < count:
        raise ValueError(f"the skeleton joins keypoints {np.min(skeleton)} to {np.max(skeleton)}; there are {count}, "
                         "counted from 0")
    thickest = max(1, round(max(canvas.shape[:2]) / 400))
    colors = [_color(index, len(skeleton)) for index in range(len(skeleton))]
    for points, shown in zip(keypoints[..., :2], visible, strict=True):
        pixels = [tuple(int(round(side)) for side in (x, y)) for y, x in points]
        extent = np.ptp(points[shown], axis=0).max() if shown.any() else 0
        # Dots that leave a small object to be seen.
        radius = int(np.clip(extent / 60, 1, 2 * thickest))
        thickness = min(thickest, radius)
        for (start, stop), color in zip(skeleton, colors, strict=True):
            if shown[start] and shown[stop]:
                cv2.line(canvas, pixels[start], pixels[stop], color, thickness, cv2.LINE_AA)
        for pixel in (pixel for pixel, is_shown in zip(pixels, shown, strict=True) if is_shown):
            cv2.circle(canvas, pixel, radius + 1, (255, 255, 255), -1, cv2.LINE_AA)
            cv2.circle(canvas, pixel, radius - 1, (40, 40, 40), -1, cv2.LINE_AA)
    return canvas


def _color(index, count):
    """Hues around the circle, so that neighbouring limbs differ."""
    return tuple(round(255 * part) for part in colorsys.hsv_to_rgb(index * 7 % count / count, 0.85, 1.0))
