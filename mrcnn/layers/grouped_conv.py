"""A convolution of channels in groups."""

import keras

from ..ops.backend import kernel as kernel_of


@keras.saving.register_keras_serializable("mrcnn")
class GroupedConv2D(keras.layers.Conv2D):
    """`Conv2D` whose groups are computed as is best on the running backend.

    On TensorFlow Keras compiles such a convolution with XLA, as a function of its own. On a CPU its gradient takes
    seconds where that of a convolution a group takes a tenth, and the exporter for ONNX does not take such functions.
    """

    def convolution_op(self, inputs, kernel):
        return kernel_of("grouped_conv")(inputs, kernel, self.strides, self.padding, self.groups)
