"""Anchor boxes of a feature pyramid in numpy (Faster R-CNN 3.1.1, FPN 4.1)."""

import math

import numpy as np


def generate_anchors(scales, ratios, shape, feature_stride, anchor_stride):
    """Anchors of one pyramid level.

    Args:
        scales: sides of the square anchor, pixels; a number or a sequence.
        ratios: width / height, a sequence.
        shape: (height, width) of the feature map.
        feature_stride: image pixels between two cells.
        anchor_stride: cells between two anchors.

    Returns:
        float64 [A, (y1, x1, y2, x2)] in pixels, ordered by y, then x, then ratio, then scale.
        Boxes reach over the image's edge. Trained weights depend on this order.
    """
    scales, ratios = np.meshgrid(np.atleast_1d(scales), np.atleast_1d(ratios))
    root = np.sqrt(ratios.ravel())
    sizes = np.stack([scales.ravel() / root, scales.ravel() * root], axis=1)
    ys = np.arange(0, shape[0], anchor_stride) * feature_stride
    xs = np.arange(0, shape[1], anchor_stride) * feature_stride
    centers = np.stack(np.meshgrid(ys, xs, indexing="ij"), axis=-1).reshape(-1, 1, 2)
    boxes = np.concatenate([centers - 0.5 * sizes, centers + 0.5 * sizes], axis=2)
    return boxes.reshape(-1, 4)


def generate_pyramid_anchors(scales, ratios, feature_shapes, feature_strides, anchor_stride):
    """Anchors of all levels, level after level: float64 [A, (y1, x1, y2, x2)] in pixels.

    `scales`, `feature_shapes` and `feature_strides` have one entry for each level.
    """
    if len(scales) != len(feature_shapes):
        raise ValueError(
            f"{len(scales)} anchor scales for {len(feature_shapes)} pyramid levels; "
            "RPN_ANCHOR_SCALES needs one for each of BACKBONE_STRIDES."
        )
    return np.concatenate(
        [
            generate_anchors(scale, ratios, shape, stride, anchor_stride)
            for scale, shape, stride in zip(scales, feature_shapes, feature_strides, strict=False)
        ]
    )


def compute_backbone_shapes(config, image_shape):
    """Feature map sizes of every level, finest first: int64 [L, (height, width)].

    A callable BACKBONE may come with COMPUTE_BACKBONE_SHAPE, which is then asked instead.
    """
    if callable(config.BACKBONE) and config.COMPUTE_BACKBONE_SHAPE is not None:
        return config.COMPUTE_BACKBONE_SHAPE(image_shape)
    return np.array(
        [
            [math.ceil(image_shape[0] / stride), math.ceil(image_shape[1] / stride)]
            for stride in config.BACKBONE_STRIDES
        ]
    )


def config_anchors(config, image_shape):
    """All anchors of an image of `image_shape`, with the config's scales, ratios and strides."""
    shapes = compute_backbone_shapes(config, image_shape)
    numbers = config.RPN_ANCHOR_SCALES, config.RPN_ANCHOR_RATIOS, shapes, config.BACKBONE_STRIDES
    if config.RPN_ANCHOR_WHOLE_PIXELS:
        return _whole_pixel_anchors(*numbers, config.RPN_ANCHOR_STRIDE, image_shape)
    return generate_pyramid_anchors(*numbers, config.RPN_ANCHOR_STRIDE)


def _whole_pixel_anchors(scales, ratios, feature_shapes, feature_strides, anchor_stride, image_shape):
    """As `generate_pyramid_anchors`, on torchvision's grid (see `layers.anchors.AnchorLayer`)."""
    levels = []
    for scale, shape, stride in zip(scales, feature_shapes, feature_strides, strict=True):
        cell = np.round(generate_anchors(scale, ratios, (1, 1), stride, 1))
        even = [side // cells for side, cells in zip(image_shape[:2], shape, strict=True)]
        starts = [np.arange(0, cells, anchor_stride) * step for cells, step in zip(shape, even, strict=True)]
        y, x = np.meshgrid(*starts, indexing="ij")
        levels.append((np.stack([y, x, y, x], axis=-1)[:, :, None] + cell).reshape(-1, 4))
    return np.concatenate(levels)
