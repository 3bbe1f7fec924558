"""From the heads' output to detections."""

import keras
from keras import ops

from ..ops.backend import supports_jit
from ..ops.boxes import apply_deltas, clip_boxes, norm_boxes
from ..ops.nms import non_max_suppression
from ..ops.sampling import argmax, gather_rows

IMAGE_SHAPE_IN_META = slice(4, 6)
WINDOW_IN_META = slice(7, 11)


@keras.saving.register_keras_serializable("mrcnn")
class DetectionLayer(keras.layers.Layer):
    """Classifies and refines proposals, drops the unsure, thins each class (Mask R-CNN, section 3.1).

    Args:
        max_instances: D, number of result rows.
        min_confidence: detections with a lower score are dropped.
        nms_threshold: boxes that overlap a better one of their class by more than this IoU are dropped.
        bbox_std_dev: standard deviations the deltas are multiplied by.
        log_limit: highest log dh and log dw, or None.

    Call arguments:
        inputs: `[rois [B, R, 4], probs [B, R, C], deltas [B, R, C, 4], image_meta [B, 12 + C]]`, rois
            normalised.

    Returns:
        `[B, D, 6]` float32 `(y1, x1, y2, x2, class_id, score)`, normalised and clipped to the window of the
        image, by falling score; rows of zeros at the end are padding.
    """

    def __init__(
        self,
        max_instances,
        min_confidence,
        nms_threshold,
        bbox_std_dev=(0.1, 0.1, 0.2, 0.2),
        log_limit=None,
        **kwargs,
    ):
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        self.max_instances = int(max_instances)
        self.min_confidence = float(min_confidence or 0.0)
        self.nms_threshold = float(nms_threshold)
        self.bbox_std_dev = tuple(float(value) for value in bbox_std_dev)
        self.log_limit = log_limit
        self.supports_jit = supports_jit("grouped_nms", "top_k")

    def call(self, inputs):
        rois, probs, deltas, image_meta = inputs
        return self.refine(rois, probs, deltas, _window(ops.cast(image_meta, "float32")))

    def refine(self, rois, probs, deltas, window):
        """As `call`, with the window `[B, 4]` (y1, x1, y2, x2), normalised, instead of the image's meta."""
        tensors = (rois, probs, deltas, window)
        rois, probs, deltas, window = (ops.stop_gradient(ops.cast(tensor, "float32")) for tensor in tensors)
        class_ids = argmax(probs)
        scores = ops.max(probs, axis=-1)
        deltas = _of_class(deltas, class_ids) * ops.array(self.bbox_std_dev, "float32")
        boxes = clip_boxes(apply_deltas(rois, deltas, self.log_limit), window)
        eligible = (class_ids > 0) & (scores >= self.min_confidence)
        picked, valid = non_max_suppression(
            boxes, ops.where(eligible, scores, -1.0), self.nms_threshold, self.max_instances, class_ids
        )
        columns = [boxes, ops.cast(class_ids, "float32")[..., None], scores[..., None]]
        detections = gather_rows(ops.concatenate(columns, axis=-1), picked)
        return ops.where(valid[..., None], detections, 0.0)

    def compute_output_spec(self, inputs):
        return keras.KerasTensor((inputs[0].shape[0], self.max_instances, 6), dtype="float32")

    def get_config(self):
        return super().get_config() | {
            "max_instances": self.max_instances,
            "min_confidence": self.min_confidence,
            "nms_threshold": self.nms_threshold,
            "bbox_std_dev": self.bbox_std_dev,
            "log_limit": self.log_limit,
        }


def _of_class(deltas, class_ids):
    """`deltas[b, r, class_ids[b, r]]`: `[B, R, 4]` out of `[B, R, C, 4]`."""
    classes = deltas.shape[2]
    flat = ops.reshape(deltas, (-1, classes, 4))
    chosen = gather_rows(flat, ops.reshape(class_ids, (-1, 1)))
    return ops.reshape(chosen, (-1, deltas.shape[1], 4))


def _window(image_meta):
    """`[B, 4]` normalised: the part of the molded image that is not padding."""
    image_hw = image_meta[:, IMAGE_SHAPE_IN_META]
    return norm_boxes(image_meta[:, WINDOW_IN_META], (image_hw[:, 0], image_hw[:, 1]))
