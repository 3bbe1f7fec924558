"""Box head: which class is in the region, and where exactly (Lin et al. 2017, section 4.2)."""

import keras
from keras import layers, ops

from ..layers.batch_norm import norm_layer
from ..layers.window_conv import WindowConv2D


@keras.saving.register_keras_serializable("mrcnn")
class BoxHead(layers.Layer):
    """Two fully connected layers over pooled regions, then class logits and one box refinement a class.

    The fully connected layers are convolutions over the whole window, as in Matterport's weight files.

    Args:
        num_classes: classes including background.
        pool_size: side of the pooled windows.
        fc_size: width of the two hidden layers.
        train_bn, norm, epsilon: see `layers.batch_norm.norm_layer`.

    Call arguments:
        pooled: `[B, R, pool_size, pool_size, depth]` regions cut from the pyramid.

    Returns:
        `logits [B, R, C]` and `deltas [B, R, C, 4]` (dy, dx, log dh, log dw, in units of the box standard
        deviation), float32.
    """

    def __init__(self, num_classes, pool_size=7, fc_size=1024, train_bn=False, norm="batch", epsilon=1e-3, **kwargs):
        super().__init__(**kwargs)
        self.num_classes = num_classes
        self.pool_size = pool_size
        self.fc_size = fc_size
        self.train_bn = train_bn
        self.norm = norm
        self.epsilon = epsilon
        self.conv1 = WindowConv2D(fc_size, pool_size, name="mrcnn_class_conv1")
        self.bn1 = norm_layer(norm, train_bn, "mrcnn_class_bn1", fc_size, epsilon)
        self.conv2 = WindowConv2D(fc_size, 1, name="mrcnn_class_conv2")
        self.bn2 = norm_layer(norm, train_bn, "mrcnn_class_bn2", fc_size, epsilon)
        self.class_logits = layers.Dense(num_classes, name="mrcnn_class_logits")
        self.bbox_fc = layers.Dense(4 * num_classes, name="mrcnn_bbox_fc")

    def build(self, pooled_shape):
        self.conv1.build((None, *pooled_shape[2:]))
        for layer in (self.bn1, self.conv2, self.bn2):
            layer.build((None, 1, 1, self.fc_size))
        for layer in (self.class_logits, self.bbox_fc):
            layer.build((None, self.fc_size))

    def call(self, pooled, training=None):
        rois = pooled.shape[1]
        x = ops.reshape(pooled, (-1, *pooled.shape[2:]))
        x = ops.relu(self.bn1(self.conv1(x), training=training))
        x = ops.relu(self.bn2(self.conv2(x), training=training))
        x = ops.squeeze(x, axis=(1, 2))
        logits = ops.reshape(self.class_logits(x), (-1, rois, self.num_classes))
        deltas = ops.reshape(self.bbox_fc(x), (-1, rois, self.num_classes, 4))
        return ops.cast(logits, "float32"), ops.cast(deltas, "float32")

    def compute_output_spec(self, pooled, training=None):
        batch, rois = pooled.shape[:2]
        return (
            keras.KerasTensor((batch, rois, self.num_classes), "float32"),
            keras.KerasTensor((batch, rois, self.num_classes, 4), "float32"),
        )

    def get_config(self):
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "pool_size": self.pool_size,
            "fc_size": self.fc_size,
            "train_bn": self.train_bn,
            "norm": self.norm,
            "epsilon": self.epsilon,
        }
