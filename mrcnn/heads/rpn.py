"""Head of the region proposal network (Ren et al. 2015, section 3.1)."""

import keras
from keras import layers, ops

# Outputs an anchor.
OBJECTNESS = {"softmax": 2, "sigmoid": 1}


@keras.saving.register_keras_serializable("mrcnn")
class RPNHead(layers.Layer):
    """Objectness and box deltas of every anchor of one pyramid level.

    Call it on each level and join the results: the weights are shared.

    Args:
        anchors_per_location: number of anchor shapes at each visited pixel.
        anchor_stride: visit every pixel (1) or every second (2) and so on.
        channels: width of the shared 3x3 convolutions.
        convolutions: number of these.
        objectness: "softmax", two outputs an anchor, as in Matterport's weights; or "sigmoid", one output, as in
            the paper's other implementations: the background's logit is 0 then.

    Call arguments:
        feature: `[B, h, w, depth]`.

    Returns:
        `logits [B, a, 2]` (background, object), `probs [B, a, 2]` and `deltas [B, a, 4]` (dy, dx, log dh, log dw, in
        units of the box standard deviation), all float32, where `a = ceil(h / stride) * ceil(w / stride) * anchors`
        in the order y, x, anchor shape.

    Raises:
        ValueError: unknown `objectness`.
    """

    def __init__(
        self, anchors_per_location=3, anchor_stride=1, channels=512, convolutions=1, objectness="softmax", **kwargs
    ):
        super().__init__(**kwargs)
        self.anchors_per_location = anchors_per_location
        self.anchor_stride = anchor_stride
        self.channels = channels
        self.convolutions = convolutions
        self.objectness = objectness
        if objectness not in OBJECTNESS:
            raise ValueError(f"objectness is {objectness!r}, expected one of {tuple(OBJECTNESS)}.")
        self.shared = [
            layers.Conv2D(
                channels, 3, strides=anchor_stride if index == 0 else 1, padding="same", activation="relu",
                name=f"rpn_conv_shared{index + 1 if index else ''}",
            )
            for index in range(convolutions)
        ]
        self.class_raw = layers.Conv2D(OBJECTNESS[objectness] * anchors_per_location, 1, name="rpn_class_raw")
        self.bbox_pred = layers.Conv2D(4 * anchors_per_location, 1, name="rpn_bbox_pred")

    def build(self, feature_shape):
        hidden_shape = (*feature_shape[:-1], self.channels)
        for index, layer in enumerate(self.shared):
            layer.build(hidden_shape if index else feature_shape)
        self.class_raw.build(hidden_shape)
        self.bbox_pred.build(hidden_shape)

    def call(self, feature):
        hidden = self.hidden(feature)
        logits = self._by_anchor(self.class_raw(hidden), OBJECTNESS[self.objectness])
        if self.objectness == "sigmoid":
            logits = ops.concatenate([ops.zeros_like(logits), logits], axis=-1)
        deltas = self._by_anchor(self.bbox_pred(hidden), 4)
        return logits, ops.softmax(logits), deltas

    def hidden(self, feature):
        """What both outputs are read from: `[B, ceil(h / stride), ceil(w / stride), channels]`."""
        for layer in self.shared:
            feature = layer(feature)
        return feature

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
            "convolutions": self.convolutions,
            "objectness": self.objectness,
        }
