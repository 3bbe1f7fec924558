"""Keypoints: moved with their image into the network, and read from its heat maps.

A keypoint is `(y, x)` in pixels. Ground truth has a third number as in COCO: 0 not annotated, 1 hidden, 2 visible.
"""

import numpy as np


def resized_keypoints(keypoints, shape, plan, offset):
    """Keypoints of an image in the image that `resize.apply_plan` makes of it.

    Args:
        keypoints: float [N, K, (y, x, visibility)] in pixels of the image.
        shape: (height, width, ...) of the image.
        plan: `ResizePlan`.
        offset: added to (y, x) first, see KEYPOINT_OFFSET.

    Returns:
        float32 [N, K, 3], all zeros where not annotated or cut away.
    """
    scale = np.divide(plan.size, shape[:2])
    points = (keypoints[..., :2] + offset) * scale + [plan.padding[0][0], plan.padding[1][0]]
    size = np.add(plan.size, [sum(sides) for sides in plan.padding[:2]])
    if plan.crop is not None:
        points, size = points - plan.crop[:2], plan.crop[2:]
    return hide_outside(np.concatenate([points, keypoints[..., 2:]], axis=-1), size)


def hide_outside(keypoints, size):
    """Keypoints float32 [N, K, 3]: zeros where not annotated or outside an image of `size` (height, width)."""
    points = keypoints[..., :2]
    inside = ((points >= 0) & (points <= np.asarray(size)[:2])).all(axis=-1) & (keypoints[..., 2] > 0)
    return np.where(inside[..., None], keypoints, 0).astype(np.float32)


def mirrored_order(names):
    """Positions int [K] that swap each `left...` with its `right...`: the keypoints of a mirrored object.

    A name may hold `left` or `right` anywhere: `left_eye`, `wrist-right`, `LeftFoot`.
    """
    names = list(names)
    swap = {"left": "right", "right": "left", "Left": "Right", "Right": "Left"}
    order = []
    for position, name in enumerate(names):
        side = next((side for side in swap if side in name), None)
        twin = name if side is None else name.replace(side, swap[side], 1)
        order.append(names.index(twin) if twin in names else position)
    return np.array(order, int)


def mirrored_keypoints(keypoints, width, order):
    """Keypoints [N, K, 3] of an image of that width, mirrored left to right; `order` is from `mirrored_order`."""
    annotated = keypoints[..., 2:] > 0
    points = np.where(annotated, keypoints * [1, -1, 1] + [0, width, 0], 0)
    return points[:, order].astype(np.float32)


def find_keypoints(logits, boxes, score="probability"):
    """The best place of each heat map, as torchvision and Detectron2 find it.

    Each region's maps are enlarged to the pixels that its box reaches (bicubic); the centre of the pixel with the
    highest value is the keypoint.

    Args:
        logits: float [N, S, S, K].
        boxes: float [N, (y1, x1, y2, x2)] in pixels of the network's input, below the size of a pixel taken as one.
        score: "logit", the value at the place, or "probability", its share in the heat map's softmax.

    Returns:
        points float32 [N, K, (y, x)] in pixels as the boxes, scores float32 [N, K].
    """
    import cv2

    count, keypoints = len(boxes), logits.shape[-1]
    points = np.zeros((count, keypoints, 2), np.float32)
    highest = np.zeros((count, keypoints), np.float32)
    boxes = np.asarray(boxes, np.float32)
    sizes = np.maximum(boxes[:, 2:] - boxes[:, :2], 1)
    pixels = np.ceil(sizes).astype(int)
    for row, (height, width) in enumerate(pixels.tolist()):
        enlarged = cv2.resize(np.ascontiguousarray(logits[row]), (width, height), interpolation=cv2.INTER_CUBIC)
        enlarged = enlarged.reshape(height * width, keypoints)
        best = enlarged.argmax(axis=0)
        highest[row] = enlarged[best, np.arange(keypoints)]
        points[row] = np.stack([best // width, best % width], axis=-1)
    points = (points + np.float32(0.5)) * (sizes / pixels)[:, None].astype(np.float32) + boxes[:, None, :2]
    if score == "probability":
        highest = 1 / np.exp(logits - highest[:, None, None]).sum(axis=(1, 2))
    return points, highest.astype(np.float32)
