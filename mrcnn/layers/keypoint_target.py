"""Where in each sampled region its object's keypoints lie."""

import keras
from keras import ops

from ..ops.boxes import denorm_boxes
from ..ops.sampling import gather_rows
from .detection import IMAGE_SHAPE_IN_META
from .detection_target import match_rois

# Pixels.
ROUNDING = 1e-3


@keras.saving.register_keras_serializable("mrcnn")
class KeypointTargetLayer(keras.layers.Layer):
    """The cell of each region's heat map that each keypoint falls into (He et al. 2017, section 5).

    A keypoint counts where it is annotated, visible or not, and lies inside the region; on the region's far edge it
    belongs to the last cell.

    Args:
        side: cells along each side of a heat map.

    Call arguments:
        inputs: `[rois [B, N, 4] normalised, target_class_ids [B, N] (positive where the region has an object),
            gt_class_ids [B, G], gt_boxes_px [B, G, 4], gt_keypoints_px [B, G, K, (y, x, visibility)],
            image_meta [B, 12 + C]]`. A visibility of 0 means not annotated.

    Returns:
        - cells: `[B, N, K]` int32 from 0 to side * side - 1, row by row; 0 where none counts.
        - counts: `[B, N, K]` bool.
    """

    def __init__(self, side, **kwargs):
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        self.side = int(side)

    def call(self, inputs):
        rois, class_ids, gt_class_ids, gt_boxes, gt_keypoints, meta = (ops.stop_gradient(x) for x in inputs)
        image_hw = ops.cast(meta[:, IMAGE_SHAPE_IN_META], "float32")
        boxes = denorm_boxes(rois, (image_hw[:, :1], image_hw[:, 1:]))
        gt_boxes = ops.cast(gt_boxes, "float32")
        _, _, gt_ids = match_rois(boxes, ops.cast(gt_class_ids, "int32"), gt_boxes)
        # Normalising moves an object's own box by a rounding error, and keypoints on edges of cells with it.
        own = gather_rows(gt_boxes, gt_ids)
        is_own = ops.all(ops.abs(boxes - own) < ROUNDING, axis=-1, keepdims=True)
        boxes = ops.where(is_own, own, boxes)
        batch, objects, keypoints = ops.shape(gt_keypoints)[:3]
        flat = ops.reshape(ops.cast(gt_keypoints, "float32"), (batch, objects, keypoints * 3))
        points = ops.reshape(gather_rows(flat, gt_ids), (batch, -1, keypoints, 3))
        rows, in_rows = self._cells(points[..., 0], boxes[..., 0:1], boxes[..., 2:3])
        columns, in_columns = self._cells(points[..., 1], boxes[..., 1:2], boxes[..., 3:4])
        counts = in_rows & in_columns & (points[..., 2] > 0) & (class_ids > 0)[..., None]
        return ops.where(counts, rows * self.side + columns, 0), counts

    def _cells(self, positions, start, stop):
        """Cell along one axis `[B, N, K]` int32, and whether it exists."""
        size = ops.where(stop > start, stop - start, 1.0)
        cells = ops.floor((positions - start) * (self.side / size))
        cells = ops.where(positions == stop, self.side - 1.0, cells)
        return ops.cast(ops.clip(cells, 0, self.side - 1), "int32"), (cells >= 0) & (cells < self.side)

    def compute_output_spec(self, inputs):
        shape = (*inputs[0].shape[:2], inputs[4].shape[2])
        return keras.KerasTensor(shape, dtype="int32"), keras.KerasTensor(shape, dtype="bool")

    def get_config(self):
        return super().get_config() | {"side": self.side}
