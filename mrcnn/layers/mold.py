"""From pictures of any size to what the graph takes."""

import keras
from keras import ops

from ..data.resize import EXACT_MODES
from ..data.resize import plan_resize as plan_of_known_size
from ..ops.resize import plan_resize, resize_and_pad, resize_exactly

MODES = ("square", "pad64", "none", *EXACT_MODES)


@keras.saving.register_keras_serializable("mrcnn")
class MoldImages(keras.layers.Layer):
    """Scales and pads images, subtracts the mean pixel and writes down what was done: `mold_inputs` in the graph.

    Args:
        mode: "square", "pad64", "none", or, for images of a known size, "pad32" or "pad32_smooth"; see
            `data.resize.resize_image`.
        min_dim, max_dim, min_scale: see there.
        mean_pixel: one number a channel, subtracted; pixel_std: likewise, what the difference is divided by.
        num_classes: C.

    Call arguments:
        images: `[B, H, W, channels]` uint8, one size for the whole batch.

    Returns:
        `molded [B, h, w, channels]` float32 and `image_meta [B, 12 + C]` float32. Against `mold_inputs` a scaled pixel
        may be one grey level off where the exact value is nearly whole: both cut off what is behind the point.

    Raises:
        ValueError: unknown `mode`.
    """

    def __init__(self, mode, min_dim, max_dim, min_scale, mean_pixel, pixel_std, num_classes, **kwargs):
        kwargs.setdefault("dtype", "float32")
        # The images stay whole numbers.
        kwargs.setdefault("autocast", False)
        super().__init__(**kwargs)
        if mode not in MODES:
            raise ValueError(f"IMAGE_RESIZE_MODE (mode) is {mode!r}, expected one of {MODES}.")
        self.mode = mode
        self.min_dim = min_dim
        self.max_dim = max_dim
        self.min_scale = min_scale
        self.mean_pixel = tuple(float(value) for value in mean_pixel)
        self.pixel_std = tuple(float(value) for value in pixel_std)
        self.num_classes = int(num_classes)

    def call(self, images):
        shape = ops.shape(images)
        size, padded, scale = self._plan(*shape[1:3])
        exact = self.mode in EXACT_MODES
        start = (0, 0) if exact else tuple((outer - inner) // 2 for outer, inner in zip(padded, size, strict=True))
        if self.mode == "none":
            molded = ops.cast(images, "float32")
        elif exact:
            molded = resize_exactly(images, size, self.mode)
        else:
            molded = resize_and_pad(images, size, start, padded)
        window = [*start, start[0] + size[0], start[1] + size[1]]
        facts = [0, *shape[1:], *padded, shape[3], *window, scale, *[0] * self.num_classes]
        meta = ops.stack([ops.cast(fact, "float32") for fact in facts])
        molded = (molded - ops.array(self.mean_pixel, "float32")) / ops.array(self.pixel_std, "float32")
        if exact:
            bottom, right = (outer - inner for outer, inner in zip(padded, size, strict=True))
            molded = ops.pad(molded, [(0, 0), (0, bottom), (0, right), (0, 0)])
        return molded, ops.broadcast_to(meta, (shape[0], len(facts)))

    def _plan(self, height, width):
        options = self.min_dim, self.max_dim, self.min_scale, self.mode
        if not (isinstance(height, int) and isinstance(width, int)):
            return plan_resize(height, width, *options)
        plan = plan_of_known_size(height, width, *options)
        (top, bottom), (left, right), _ = plan.padding
        return plan.size, (top + plan.size[0] + bottom, left + plan.size[1] + right), plan.scale

    def compute_output_spec(self, images):
        batch, height, width, channels = images.shape
        if self.mode == "square":
            height = width = self.max_dim
        elif height is not None and width is not None:
            height, width = self._plan(height, width)[1]
        molded = keras.KerasTensor((batch, height, width, channels), "float32")
        return molded, keras.KerasTensor((batch, 12 + self.num_classes), "float32")

    def get_config(self):
        return super().get_config() | {
            "mode": self.mode,
            "min_dim": self.min_dim,
            "max_dim": self.max_dim,
            "min_scale": self.min_scale,
            "mean_pixel": self.mean_pixel,
            "pixel_std": self.pixel_std,
            "num_classes": self.num_classes,
        }
