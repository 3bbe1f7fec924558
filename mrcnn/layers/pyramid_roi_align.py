"""Features of boxes, out of the pyramid."""

import keras
from keras import ops

from ..ops.backend import supports_jit
from ..ops.boxes import denorm_boxes
from ..ops.roi_align import assign_levels, assign_levels_px, crop_and_resize, roi_align
from .detection import IMAGE_SHAPE_IN_META

SAMPLINGS = ("matterport", "aligned", "unaligned")
MIN_LEVEL = 2


@keras.saving.register_keras_serializable("mrcnn")
class PyramidROIAlign(keras.layers.Layer):
    """Pools each box out of the pyramid level that fits its size (FPN, section 4.2, equation 1).

    Args:
        pool_shape: `(height, width)` of the result.
        sampling: "matterport" (one sample a cell, corner to corner, for weights trained with it), "aligned" (the
            paper's RoIAlign as Detectron2 has it) or "unaligned" (as torchvision has it, half a cell off). The first
            rounds a box's level, the others take the next lower one, as in the paper.
        sampling_ratio: samples a cell along each axis, for all but "matterport"; 0 for as many as a cell has pixels.

    Call arguments:
        inputs: `[boxes, image_meta, P2, P3, P4, P5]`, boxes `[B, R, 4]` normalised, meta `[B, 12 + C]`,
            levels `[B, h, w, channels]`.

    Returns:
        `[B, R, height, width, channels]` in the dtype of the levels; interpolated in float32. The gradient
        goes to the levels, not to the boxes.

    Raises:
        ValueError: unknown `sampling`.
    """

    def __init__(self, pool_shape, sampling="matterport", sampling_ratio=2, **kwargs):
        kwargs.setdefault("dtype", "float32")
        # Without the automatic cast the levels keep the dtype they were computed in.
        kwargs.setdefault("autocast", False)
        super().__init__(**kwargs)
        if sampling not in SAMPLINGS:
            raise ValueError(f"ROI_ALIGN (sampling) is {sampling!r}, expected one of {SAMPLINGS}.")
        self.pool_shape = tuple(int(side) for side in pool_shape)
        self.sampling = sampling
        self.sampling_ratio = int(sampling_ratio)
        kernel = "roi_align" if self.sampling_ratio else "adaptive_roi_align"
        self.supports_jit = supports_jit("crop_and_resize" if sampling == "matterport" else kernel)

    def call(self, inputs):
        boxes, image_meta, *features = inputs
        boxes = ops.cast(boxes, "float32")
        image_hw = ops.cast(image_meta[:, IMAGE_SHAPE_IN_META], "float32")
        max_level = MIN_LEVEL + len(features) - 1
        if self.sampling == "matterport":
            levels = assign_levels(boxes, image_hw[:, 0] * image_hw[:, 1], MIN_LEVEL, max_level) - MIN_LEVEL
            return crop_and_resize(features, boxes, levels, self.pool_shape)
        boxes_px = denorm_boxes(boxes, (image_hw[:, :1], image_hw[:, 1:]))
        levels = assign_levels_px(boxes_px, MIN_LEVEL, max_level) - MIN_LEVEL
        strides = [self._stride(image_hw, level) for level in features]
        aligned = self.sampling == "aligned"
        return roi_align(features, boxes_px, levels, strides, self.pool_shape, self.sampling_ratio, aligned)

    @staticmethod
    def _stride(image_hw, level):
        # All images of a batch have one shape.
        return tuple(image_hw[0, axis] / ops.cast(ops.shape(level)[1 + axis], "float32") for axis in range(2))

    def compute_output_spec(self, inputs):
        boxes, features = inputs[0], inputs[2]
        shape = (*boxes.shape[:2], *self.pool_shape, features.shape[-1])
        return keras.KerasTensor(shape, dtype=features.dtype)

    def get_config(self):
        return super().get_config() | {
            "pool_shape": self.pool_shape,
            "sampling": self.sampling,
            "sampling_ratio": self.sampling_ratio,
        }
