"""A convolution and the normalisation behind it."""

import keras
from keras import ops

from .batch_norm import BatchNorm


@keras.saving.register_keras_serializable("mrcnn")
class ConvNorm(keras.layers.Layer):
    """`norm(conv(x))`, as a single convolution where the statistics are fixed.

    With fixed mean and variance a batch normalisation is `s * y + t`, so it moves into the convolution in front of it:
    kernel and bias are multiplied by `s`, `t` is added to the bias. Nothing passes over the feature map again, and a
    training step need not keep the convolution's output. Gradients reach the same variables.

    Args:
        conv: a linear `keras.layers.Conv2D`.
        norm: the normalisation of its output.

    Call arguments:
        inputs: `[B, h, w, C]`.
        training: of Keras.

    Returns:
        `[B, h', w', filters]`.
    """

    def __init__(self, conv, norm, **kwargs):
        # Folding is done in the precision of the variables.
        super().__init__(autocast=False, **kwargs)
        self.conv = conv
        self.norm = norm

    def build(self, input_shape):
        self.conv.build(input_shape)
        self.norm.build(self.conv.compute_output_shape(input_shape))

    def call(self, inputs, training=None):
        if not (isinstance(self.norm, BatchNorm) and self.norm.is_fixed(training)):
            return self.norm(self.conv(inputs), training=training)
        scale, shift = self.norm.scale_and_shift()
        if self.conv.use_bias:
            shift = shift + self.conv.bias * scale
        kernel = ops.cast(self.conv.kernel * scale, self.compute_dtype)
        outputs = self.conv.convolution_op(ops.cast(inputs, self.compute_dtype), kernel)
        return outputs + ops.cast(shift, self.compute_dtype)

    def compute_output_shape(self, input_shape):
        return self.conv.compute_output_shape(input_shape)

    def get_config(self):
        parts = {name: keras.saving.serialize_keras_object(getattr(self, name)) for name in ("conv", "norm")}
        return super().get_config() | parts

    @classmethod
    def from_config(cls, values):
        parts = {name: keras.saving.deserialize_keras_object(values[name]) for name in ("conv", "norm")}
        return cls(**values | parts)
