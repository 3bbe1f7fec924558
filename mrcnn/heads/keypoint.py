"""Keypoint head: a heat map for each keypoint of each region (He et al. 2017, section 5)."""

import keras
from keras import layers, ops

from ..ops.backend import supports_jit
from ..ops.sampling import on_used_rows

CONVOLUTIONS = range(1, 9)


@keras.saving.register_keras_serializable("mrcnn")
class KeypointHead(layers.Layer):
    """Eight 3x3 convolutions, a transposed one that doubles the side, and bilinear doubling after it.

    Args:
        num_keypoints: K.
        channels: width of the convolutions.

    Call arguments:
        pooled: `[B, R, ph, pw, depth]` regions cut from the pyramid.
        used: `[B, R]` bool, the regions that count; all of them by default. Others may cost nothing and be zeros.

    Returns:
        `keypoint_logits [B, R, 4 * ph, 4 * pw, K]`, float32; a softmax over the cells of a keypoint's map gives the
        probability that the keypoint lies in each.
    """

    def __init__(self, num_keypoints, channels=512, **kwargs):
        super().__init__(**kwargs)
        self.num_keypoints = num_keypoints
        self.channels = channels
        self.supports_jit = supports_jit("on_used_rows")
        self.hidden = [
            layers.Conv2D(channels, 3, padding="same", activation="relu", name=f"mrcnn_keypoint_conv{index}")
            for index in CONVOLUTIONS
        ]
        self.deconv = layers.Conv2DTranspose(
            num_keypoints, 4, strides=2, padding="same", name="mrcnn_keypoint_deconv"
        )

    def build(self, pooled_shape):
        height, width, depth = pooled_shape[2:]
        self.hidden[0].build((None, height, width, depth))
        for layer in (*self.hidden[1:], self.deconv):
            layer.build((None, height, width, self.channels))

    def call(self, pooled, used=None):
        rois, (height, width) = pooled.shape[1], pooled.shape[2:4]
        x = ops.reshape(pooled, (-1, *pooled.shape[2:]))
        x = self._maps(x) if used is None else on_used_rows(self._maps, x, ops.reshape(used, (-1,)))
        x = ops.image.resize(ops.cast(x, "float32"), (4 * height, 4 * width), data_format="channels_last")
        return ops.reshape(x, (-1, rois, 4 * height, 4 * width, self.num_keypoints))

    def _maps(self, x):
        for conv in self.hidden:
            x = conv(x)
        return self.deconv(x)

    def compute_output_spec(self, pooled, used=None):
        batch, rois, height, width = pooled.shape[:4]
        return keras.KerasTensor((batch, rois, 4 * height, 4 * width, self.num_keypoints), "float32")

    def get_config(self):
        return {**super().get_config(), "num_keypoints": self.num_keypoints, "channels": self.channels}
