"""Anchors as a part of the graph."""

import math

import keras
import numpy as np
from keras import ops


@keras.saving.register_keras_serializable("mrcnn")
class AnchorLayer(keras.layers.Layer):
    """The anchors of all pyramid levels for the size of the image at hand (RPN with FPN, section 4.1).

    Order: level, row, column, ratio. The weights of a trained RPN depend on it.

    Args:
        scales: one anchor side in pixels per level (square root of the area).
        ratios: widths over heights.
        strides: pixels between two cells of each level; as many as `scales`.
        anchor_stride: place anchors on every cell (1), every second (2), ...
        whole_pixels: torchvision's grid: corners of the anchors around the origin rounded to whole pixels, and cells
            as far apart as whole pixels allow to cover the image, which is less than the stride where this does not
            divide the side.

    Call arguments:
        image: `[B, H, W, channels]`; only its shape is read.

    Returns:
        anchors_px: `[A, 4]` float32 in pixels, one set for the whole batch. A is None in the declared
        shape while H or W is.

    Raises:
        ValueError: `scales` and `strides` differ in length.
    """

    def __init__(self, scales, ratios, strides, anchor_stride=1, whole_pixels=False, **kwargs):
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        if len(scales) != len(strides):
            raise ValueError(
                f"AnchorLayer needs one scale per level, got {len(scales)} scales {tuple(scales)} for "
                f"{len(strides)} strides {tuple(strides)}. Make RPN_ANCHOR_SCALES as long as "
                "BACKBONE_STRIDES."
            )
        self.scales = tuple(float(scale) for scale in scales)
        self.ratios = tuple(float(ratio) for ratio in ratios)
        self.strides = tuple(int(stride) for stride in strides)
        self.anchor_stride = int(anchor_stride)
        self.whole_pixels = bool(whole_pixels)

    def call(self, image):
        height, width = ops.shape(image)[1:3]
        levels = [
            self._level(scale, stride, height, width)
            for scale, stride in zip(self.scales, self.strides, strict=True)
        ]
        return ops.concatenate(levels, axis=0)

    def _level(self, scale, stride, height, width):
        """`[cells * ratios, 4]` float32 of one level."""
        roots = np.sqrt(np.array(self.ratios))
        half = 0.5 * scale * np.stack([1.0 / roots, roots], axis=1)
        template = np.concatenate([-half, half], axis=1).astype("float32")  # [ratios, 4] around the origin
        if self.whole_pixels:
            template = np.round(template)
        rows, columns = (self._shifts(side, stride) for side in (height, width))
        y, x = ops.meshgrid(rows, columns, indexing="ij")
        centers = ops.stack([y, x, y, x], axis=-1)
        return ops.reshape(centers[:, :, None, :] + template, (-1, 4))

    def _shifts(self, side, stride):
        cells = -(-side // stride)
        if self.whole_pixels:
            stride = side // cells
        return ops.cast(ops.arange(0, cells, self.anchor_stride, dtype="int32") * stride, "float32")

    def compute_output_spec(self, image):
        height, width = image.shape[1:3]
        count = None
        if height is not None and width is not None:
            step = self.anchor_stride
            cells = [
                math.ceil(math.ceil(height / s) / step) * math.ceil(math.ceil(width / s) / step)
                for s in self.strides
            ]
            count = sum(cells) * len(self.ratios)
        return keras.KerasTensor((count, 4), dtype="float32")

    def get_config(self):
        return super().get_config() | {
            "scales": self.scales,
            "ratios": self.ratios,
            "strides": self.strides,
            "anchor_stride": self.anchor_stride,
            "whole_pixels": self.whole_pixels,
        }
