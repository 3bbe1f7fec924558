"""Normalisation layers of the backbones and heads."""

import keras
from keras import ops

from ..ops.backend import kernel


@keras.saving.register_keras_serializable("mrcnn")
class BatchNorm(keras.layers.BatchNormalization):
    """Batch normalisation that can be frozen (Ioffe & Szegedy 2015).

    Detection trains with a few large images a step, too few for batch statistics, so the default keeps the
    moving mean and variance of the loaded weights while gamma and beta go on learning.

    Args:
        train_bn: `False` always normalises with the moving statistics, `None` follows Keras (batch statistics
            while training and not frozen), `True` always uses batch statistics, at inference and where the layer is
            frozen too; only while training and not frozen do its moving statistics follow.

    Raises:
        ValueError: `axis`, when the layer is built, is not the last one.
    """

    def __init__(self, train_bn=False, **kwargs):
        super().__init__(**kwargs)
        self.train_bn = train_bn

    def build(self, input_shape):
        if self.axis not in (-1, len(input_shape) - 1):
            raise ValueError(
                f"BatchNorm {self.name!r} has axis={self.axis} for an input of shape {tuple(input_shape)}, but it "
                "normalises the last axis. Leave axis out, or move the channels to the end."
            )
        super().build(input_shape)

    def call(self, inputs, training=None, mask=None):
        if training and self.trainable and self.train_bn is not False:
            return super().call(inputs, training=True, mask=mask)
        if self.train_bn:
            mean, variance = self._moments(ops.cast(inputs, "float32"), mask)
        else:
            mean, variance = self.moving_mean, self.moving_variance
        scale = ops.rsqrt(variance + self.epsilon)
        if self.scale:
            scale = scale * self.gamma
        shift = -mean * scale
        if self.center:
            shift = shift + self.beta
        return kernel("scale_and_shift")(inputs, scale, shift)

    def _moments(self, inputs, mask):
        """Mean and variance of each channel, over what `mask` (`[B, ...]`, all where None) lets count.

        One axis after the other: TensorFlow adds up many rows of few channels in one float32 run, whose rounding
        error grows with their number and is visible in the losses of a deep network.
        """
        if mask is None:
            mean = _over_rows(ops.mean, inputs)
            return mean, _over_rows(ops.mean, ops.square(inputs - mean))
        counts = ops.broadcast_to(ops.cast(mask, "bool")[..., None], ops.shape(inputs))
        number = ops.maximum(_over_rows(ops.sum, ops.cast(counts, inputs.dtype)), 1.0)
        mean = _over_rows(ops.sum, ops.where(counts, inputs, 0.0)) / number
        return mean, _over_rows(ops.sum, ops.where(counts, ops.square(inputs - mean), 0.0)) / number

    def get_config(self):
        return {**super().get_config(), "train_bn": self.train_bn}


def _over_rows(reduce, values):
    """`[..., C]` -> `[C]`."""
    for _ in range(len(values.shape) - 1):
        values = reduce(values, axis=-2)
    return values


def norm_layer(norm, train_bn, name, channels, epsilon=1e-3):
    """One normalisation layer over the last axis of `channels` values.

    Args:
        norm: `"batch"`, `"group"` (Wu & He 2018, up to 32 groups of at least eight channels, as many as divide
            `channels`) or `"none"`.
        train_bn: what `BatchNorm` is told; group normalisation has nothing to freeze.
        name: layer name.
        epsilon: what batch normalisation adds to the variance.

    Raises:
        ValueError: `norm` is none of these.
    """
    if norm == "batch":
        return BatchNorm(train_bn=train_bn, epsilon=epsilon, name=name)
    if norm == "group":
        groups = next(count for count in range(min(32, max(1, channels // 8)), 0, -1) if channels % count == 0)
        return keras.layers.GroupNormalization(groups=groups, epsilon=1e-5, name=name)
    if norm == "none":
        return keras.layers.Identity(name=name)
    raise ValueError(f'norm must be "batch", "group" or "none", got {norm!r}.')
