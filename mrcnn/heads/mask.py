"""Mask head: a small fully convolutional network on each region (He et al. 2017, section 3 and figure 4 right)."""

import keras
from keras import layers, ops

from ..layers.batch_norm import norm_layer
from ..ops.backend import supports_jit
from ..ops.sampling import on_used_rows

CONVOLUTIONS = (1, 2, 3, 4)


@keras.saving.register_keras_serializable("mrcnn")
class MaskHead(layers.Layer):
    """Four 3x3 convolutions, one up-sampling by two, and one mask a class.

    Args:
        num_classes: classes including background.
        channels: width of the convolutions.
        train_bn, norm, epsilon: see `layers.batch_norm.norm_layer`.
        use_bias: whether the four convolutions have a bias.

    Call arguments:
        pooled: `[B, R, ph, pw, depth]` regions cut from the pyramid.
        used: `[B, R]` bool, the regions that count; all of them by default. Others may cost nothing and be zeros, and
            statistics of a batch leave them out.

    Returns:
        `mask_logits [B, R, 2 * ph, 2 * pw, C]`, float32; a sigmoid gives each pixel's probability.
    """

    def __init__(
        self, num_classes, channels=256, train_bn=False, norm="batch", epsilon=1e-3, use_bias=True, **kwargs
    ):
        super().__init__(**kwargs)
        self.num_classes = num_classes
        self.channels = channels
        self.train_bn = train_bn
        self.norm = norm
        self.epsilon = epsilon
        self.use_bias = use_bias
        self.supports_jit = supports_jit("on_used_rows")
        # Convolution and normalisation by turns: the weights lie in the order of Matterport's files.
        self.hidden = [
            layer
            for index in CONVOLUTIONS
            for layer in (
                layers.Conv2D(channels, 3, padding="same", use_bias=use_bias, name=f"mrcnn_mask_conv{index}"),
                norm_layer(norm, train_bn, f"mrcnn_mask_bn{index}", channels, epsilon),
            )
        ]
        self.deconv = layers.Conv2DTranspose(
            channels, 2, strides=2, activation="relu", name="mrcnn_mask_deconv"
        )
        self.mask = layers.Conv2D(num_classes, 1, name="mrcnn_mask")

    def build(self, pooled_shape):
        height, width, depth = pooled_shape[2:]
        hidden_shape = (None, height, width, self.channels)
        self.hidden[0].build((None, height, width, depth))
        for layer in self.hidden[1:]:
            layer.build(hidden_shape)
        self.deconv.build(hidden_shape)
        self.mask.build((None, 2 * height, 2 * width, self.channels))

    def call(self, pooled, used=None, training=None):
        rois, (height, width) = pooled.shape[1], pooled.shape[2:4]
        x = ops.reshape(pooled, (-1, *pooled.shape[2:]))
        used = None if used is None else ops.reshape(used, (-1,))
        if used is None:
            x = self._masks(x, training)
        elif self.norm == "batch" and self.train_bn is not False:
            # The statistics of a batch are those of the regions that count; where none does, of all.
            counted = used | ~ops.any(used)
            counted = ops.broadcast_to(counted[:, None, None], (ops.shape(x)[0], height, width))
            x = self._masks(x, training, mask=counted)
        else:
            x = on_used_rows(lambda rows: self._masks(rows, training), x, used)
        x = ops.reshape(x, (-1, rois, 2 * height, 2 * width, self.num_classes))
        return ops.cast(x, "float32")

    def _masks(self, x, training, **counted):
        for conv, bn in zip(self.hidden[::2], self.hidden[1::2], strict=True):
            x = ops.relu(bn(conv(x), training=training, **counted))
        return self.mask(self.deconv(x))

    def compute_output_spec(self, pooled, used=None, training=None):
        batch, rois, height, width = pooled.shape[:4]
        return keras.KerasTensor((batch, rois, 2 * height, 2 * width, self.num_classes), "float32")

    def get_config(self):
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "channels": self.channels,
            "train_bn": self.train_bn,
            "norm": self.norm,
            "epsilon": self.epsilon,
            "use_bias": self.use_bias,
        }
