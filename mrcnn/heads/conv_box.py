"""Box head with convolutions (Li et al. 2021, "Benchmarking Detection Transfer Learning", appendix A.2)."""

import keras
from keras import layers, ops

from ..layers.batch_norm import norm_layer

CONVOLUTIONS = (1, 2, 3, 4)


@keras.saving.register_keras_serializable("mrcnn")
class ConvBoxHead(layers.Layer):
    """Four 3x3 convolutions and one fully connected layer, then class logits and one box refinement a class.

    Args:
        num_classes: classes including background.
        fc_size: width of the fully connected layer.
        channels: width of the convolutions.
        train_bn, norm, epsilon: see `layers.batch_norm.norm_layer`.
        use_bias: whether the convolutions have a bias.

    Call arguments:
        pooled: `[B, R, ph, pw, depth]` regions cut from the pyramid.

    Returns:
        `logits [B, R, C]` and `deltas [B, R, C, 4]` as from a `BoxHead`.
    """

    def __init__(
        self, num_classes, fc_size=1024, channels=256, train_bn=False, norm="batch", epsilon=1e-5, use_bias=False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.options = {
            "num_classes": num_classes, "fc_size": fc_size, "channels": channels, "train_bn": train_bn, "norm": norm,
            "epsilon": epsilon, "use_bias": use_bias,
        }
        self.hidden = [
            (
                layers.Conv2D(channels, 3, padding="same", use_bias=use_bias, name=f"mrcnn_class_conv{index}"),
                norm_layer(norm, train_bn, f"mrcnn_class_bn{index}", channels, epsilon),
            )
            for index in CONVOLUTIONS
        ]
        self.fc = layers.Dense(fc_size, activation="relu", name="mrcnn_class_fc")
        self.class_logits = layers.Dense(num_classes, name="mrcnn_class_logits")
        self.bbox_fc = layers.Dense(4 * num_classes, name="mrcnn_bbox_fc")

    def build(self, pooled_shape):
        height, width, depth = pooled_shape[2:]
        channels, fc_size = self.options["channels"], self.options["fc_size"]
        for conv, norm in self.hidden:
            conv.build((None, height, width, depth))
            norm.build((None, height, width, channels))
            depth = channels
        self.fc.build((None, height * width * channels))
        self.class_logits.build((None, fc_size))
        self.bbox_fc.build((None, fc_size))

    def call(self, pooled, training=None):
        rois, classes = pooled.shape[1], self.options["num_classes"]
        x = ops.reshape(pooled, (-1, *pooled.shape[2:]))
        for conv, norm in self.hidden:
            x = ops.relu(norm(conv(x), training=training))
        x = self.fc(ops.reshape(x, (-1, self.fc.kernel.shape[0])))
        logits = ops.reshape(self.class_logits(x), (-1, rois, classes))
        deltas = ops.reshape(self.bbox_fc(x), (-1, rois, classes, 4))
        return ops.cast(logits, "float32"), ops.cast(deltas, "float32")

    def compute_output_spec(self, pooled, training=None):
        batch, rois = pooled.shape[:2]
        classes = self.options["num_classes"]
        return (
            keras.KerasTensor((batch, rois, classes), "float32"),
            keras.KerasTensor((batch, rois, classes, 4), "float32"),
        )

    def get_config(self):
        return {**super().get_config(), **self.options}
