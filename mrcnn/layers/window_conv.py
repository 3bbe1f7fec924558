"""A convolution whose window is the whole input."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("mrcnn")
class WindowConv2D(keras.layers.Conv2D):
    """`Conv2D` for inputs of exactly the kernel's size: a fully connected layer with a convolution's weights.

    One matrix product instead of a convolution: the gradient towards the input, a convolution over a heavily padded
    map for the latter, took nearly half of a training step on a CPU.

    Call arguments:
        inputs: `[N, kernel height, kernel width, channels]`.

    Returns:
        `[N, 1, 1, filters]`.
    """

    def call(self, inputs):
        kernel = ops.reshape(self.kernel, (-1, self.filters))
        outputs = ops.matmul(ops.reshape(inputs, (-1, kernel.shape[0])), kernel)
        return self.activation(outputs + ops.cast(self.bias, outputs.dtype))[:, None, None, :]
