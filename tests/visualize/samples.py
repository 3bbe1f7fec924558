"""Images and instances to draw."""

import numpy as np

from mrcnn.data.masks import extract_bboxes

NAMES = ["BG", "cat", "dog", "umbrella"]


def picture(height=80, width=120, dtype=np.uint8):
    image = np.full([height, width, 3], 60, np.uint8)
    image[:, width // 2:] = 200
    return image if dtype == np.uint8 else (image / 255).astype(dtype)


def instances(count, height=80, width=120):
    """Result with `count` discs, some cut by the border."""
    rng = np.random.default_rng(count)
    ys, xs = np.mgrid[:height, :width]
    centres = rng.uniform([0, 0], [height, width], [count, 2])
    masks = np.stack([(ys - y) ** 2 + (xs - x) ** 2 < 12 ** 2 for y, x in centres] or
                     [np.zeros([height, width], bool)], axis=-1)[..., :count]
    return {"rois": extract_bboxes(masks), "masks": masks, "scores": np.linspace(0.99, 0.5, count),
            "class_ids": rng.integers(1, 4, count)}
