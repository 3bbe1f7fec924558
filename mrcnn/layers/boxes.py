"""Box coordinates as a layer."""

import keras
from keras import ops

from ..ops.boxes import norm_boxes


@keras.saving.register_keras_serializable("mrcnn")
class NormBoxes(keras.layers.Layer):
    """Pixel boxes to normalised ones, by the size of the image that goes with them.

    Call arguments:
        inputs: `[boxes_px, image]`, boxes `[B, N, 4]` in pixels and an image `[B, H, W, channels]` of which
            only the shape is read.

    Returns:
        `[B, N, 4]` float32. Rows of zeros become `(0, 0, -1/(H-1), -1/(W-1))`, boxes of negative size.
    """

    def __init__(self, **kwargs):
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)

    def call(self, inputs):
        boxes_px, image = inputs
        return norm_boxes(boxes_px, ops.shape(image)[1:3])

    def compute_output_spec(self, inputs):
        return keras.KerasTensor(inputs[0].shape, dtype="float32")
