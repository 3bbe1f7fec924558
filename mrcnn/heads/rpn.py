"""Head of the region proposal network (Ren et al. 2015, section 3.1)."""

import keras
from keras import layers, ops


@keras.saving.register_keras_serializable("mrcnn")
class RPNHead(layers.Layer):
    """Objectness and box deltas of every anchor of one pyramid level.

    Call it on each level and join the results: the weights are shared.

    Args:
        anchors_per_location: number of anchor shapes at each visited pixel.
        anchor_stride: visit every pixel (1) or every second (2) and so on.
        channels: width of the shared 3x3 convolution.

    Call arguments:
        feature: `[B, h, w, depth]`.

    Returns:
        `logits [B, a, 2]` (background, object), `probs [B, a, 2]` and `deltas [B, a, 4]` (dy, dx, log dh, log dw, in
        units of the box standard deviation), all float32, where `a = ceil(h / stride) * ceil(w / stride) * anchors`
        in the order y, x, anchor shape.
    """

    def __init__(self, anchors_per_location=3, anchor_stride=1, channels=512, **kwargs):
        super().__init__(**kwargs)
        self.anchors_per_location = anchors_per_location
        self.anchor_stride = anchor_stride
        self.channels = channels
        self.shared = layers.Conv2D(
            channels, 3, strides=anchor_stride, padding="same", activation="relu", name="rpn_conv_shared"
        )
        self.class_raw = layers.Conv2D(2 * anchors_per_location, 1, name="rpn_class_raw")
        self.bbox_pred = layers.Conv2D(4 * anchors_per_location, 1, name="rpn_bbox_pred")

    def build(self, feature_shape):
        self.shared.build(feature_shape)
        hidden_shape = (*feature_shape[:-1], self.channels)
        self.class_raw.build(hidden_shape)
        self.bbox_pred.build(hidden_shape)

    def call(self, feature):
        hidden = self.shared(feature)
        logits = self._by_anchor(self.class_raw(hidden), 2)
        deltas = self._by_anchor(self.bbox_pred(hidden), 4)
        return logits, ops.softmax(logits), deltas

    def _by_anchor(self, x, depth):
        height, width = ops.shape(x)[1:3]
        return ops.cast(ops.reshape(x, (-1, height * width * self.anchors_per_location, depth)), "float32")

    def compute_output_spec(self, feature):
        batch, height, width = feature.shape[:3]
        anchors = None
        if height is not None and width is not None:
            anchors = -(-height // self.anchor_stride) * -(-width // self.anchor_stride) * self.anchors_per_location
        return tuple(keras.KerasTensor((batch, anchors, depth), "float32") for depth in (2, 2, 4))

    def get_config(self):
        return {
            **super().get_config(),
            "anchors_per_location": self.anchors_per_location,
            "anchor_stride": self.anchor_stride,
            "channels": self.channels,
        }
