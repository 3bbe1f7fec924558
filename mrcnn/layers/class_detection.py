"""From the heads' output to detections, each class for itself."""

import keras
from keras import ops

from ..ops.backend import supports_jit
from ..ops.boxes import apply_deltas, clip_boxes, denorm_boxes, norm_boxes
from ..ops.nms import non_max_suppression
from ..ops.sampling import gather_rows
from .detection import IMAGE_SHAPE_IN_META, WINDOW_IN_META

MIN_SIDE_PX = 1e-2


@keras.saving.register_keras_serializable("mrcnn")
class ClassDetectionLayer(keras.layers.Layer):
    """Refines proposals once for each class, drops the unsure, thins each class (Fast R-CNN, section 2.4).

    As torchvision and Detectron2 do it: a proposal may become detections of several classes, where a
    `DetectionLayer` keeps its likeliest class alone.

    Args:
        max_instances: D, number of result rows.
        min_confidence: detections are dropped whose score is not higher.
        nms_threshold: boxes that overlap a better one of their class by more than this IoU are dropped.
        bbox_std_dev: standard deviations the deltas are multiplied by.
        log_limit: highest log dh and log dw, or None.

    Call arguments:
        inputs: `[rois [B, R, 4], probs [B, R, C], deltas [B, R, C, 4], image_meta [B, 12 + C]]`, rois
            normalised, rows of zeros are padding.

    Returns:
        `[B, D, 6]` float32 `(y1, x1, y2, x2, class_id, score)`, normalised and clipped to the window of the
        image, by falling score; rows of zeros at the end are padding.
    """

    def __init__(self, max_instances, min_confidence, nms_threshold, bbox_std_dev, log_limit=None, **kwargs):
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        self.max_instances = int(max_instances)
        self.min_confidence = float(min_confidence or 0.0)
        self.nms_threshold = float(nms_threshold)
        self.bbox_std_dev = tuple(float(value) for value in bbox_std_dev)
        self.log_limit = log_limit
        self.supports_jit = supports_jit("grouped_nms", "top_k")

    def call(self, inputs):
        rois, probs, deltas, meta = (ops.stop_gradient(ops.cast(part, "float32")) for part in inputs)
        classes = probs.shape[2] - 1
        image_hw = meta[:, IMAGE_SHAPE_IN_META]
        image_hw = image_hw[:, :1], image_hw[:, 1:]
        rois_px = denorm_boxes(rois, image_hw)[:, :, None, :]
        boxes = apply_deltas(rois_px, deltas[:, :, 1:] * ops.array(self.bbox_std_dev, "float32"), self.log_limit)
        boxes = clip_boxes(ops.reshape(boxes, (-1, rois.shape[1] * classes, 4)), meta[:, WINDOW_IN_META])
        scores = ops.where(ops.any(rois != 0, axis=-1, keepdims=True), probs[:, :, 1:], -1.0)
        scores = ops.reshape(scores, (-1, rois.shape[1] * classes))
        solid = ops.all(boxes[..., 2:] - boxes[..., :2] >= MIN_SIDE_PX, axis=-1)
        scores = ops.where(solid & (scores > self.min_confidence), scores, -1.0)
        class_ids = ops.tile(ops.arange(1, classes + 1, dtype="int32"), rois.shape[1])
        class_ids = ops.broadcast_to(class_ids[None], ops.shape(scores))
        picked, valid = non_max_suppression(boxes, scores, self.nms_threshold, self.max_instances, class_ids)
        columns = [
            norm_boxes(gather_rows(boxes, picked), image_hw),
            ops.cast(gather_rows(class_ids, picked), "float32")[..., None],
            gather_rows(scores, picked)[..., None],
        ]
        return ops.where(valid[..., None], ops.concatenate(columns, axis=-1), 0.0)

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
