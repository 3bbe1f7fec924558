"""The losses as weight-free layers, so that a training graph's outputs are its losses.

Every layer returns one float32 value an image, `[B]`; see `losses.functional` for the meaning of each.
"""

import keras

from . import functional


class _LossLayer(keras.layers.Layer):
    """Calls one function of `losses.functional` on its inputs, in float32."""

    def __init__(self, **kwargs):
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)

    def compute_output_spec(self, inputs):
        return keras.KerasTensor((inputs[0].shape[0],), "float32")


class _BoxLossLayer(_LossLayer):
    """A loss of box deltas; `beta` and `per` as in `functional.box_loss_share`."""

    def __init__(self, beta=1.0, per="positive", **kwargs):
        super().__init__(**kwargs)
        self.beta = float(beta)
        self.per = per

    def get_config(self):
        return {**super().get_config(), "beta": self.beta, "per": self.per}


@keras.saving.register_keras_serializable("mrcnn")
class RPNClassLoss(_LossLayer):
    """`[logits [B, A, 2], anchor_ids [B, S], labels [B, S]]` to `[B]`."""

    def call(self, inputs):
        return functional.rpn_class_loss(*inputs)


@keras.saving.register_keras_serializable("mrcnn")
class RPNBoxLoss(_BoxLossLayer):
    """`[deltas [B, A, 4], anchor_ids [B, S], labels [B, S], target_deltas [B, S, 4]]` to `[B]`."""

    def call(self, inputs):
        return functional.rpn_bbox_loss(*inputs, self.beta, self.per)


@keras.saving.register_keras_serializable("mrcnn")
class ClassLoss(_LossLayer):
    """`[target_class_ids [B, R], logits [B, R, C], active_class_ids [B, C]]` to `[B]`."""

    def call(self, inputs):
        return functional.mrcnn_class_loss(*inputs)


@keras.saving.register_keras_serializable("mrcnn")
class BoxLoss(_BoxLossLayer):
    """`[target_class_ids [B, R], target_deltas [B, R, 4], deltas [B, R, C, 4]]` to `[B]`."""

    def call(self, inputs):
        return functional.mrcnn_bbox_loss(*inputs, self.beta, self.per)


@keras.saving.register_keras_serializable("mrcnn")
class MaskLoss(_LossLayer):
    """`[target_class_ids [B, N], target_masks [B, N, M, M], mask_logits [B, N, M, M, C]]` to `[B]`."""

    def call(self, inputs):
        return functional.mrcnn_mask_loss(*inputs)


@keras.saving.register_keras_serializable("mrcnn")
class KeypointLoss(_LossLayer):
    """`[cells [B, N, K], counts [B, N, K], keypoint_logits [B, N, S, S, K]]` to `[B]`."""

    def call(self, inputs):
        return functional.mrcnn_keypoint_loss(*inputs)
