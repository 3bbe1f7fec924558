"""From the RPN's output to proposals, each pyramid level for itself."""

import keras
from keras import ops

from ..ops.backend import supports_jit
from ..ops.boxes import apply_deltas, clip_boxes, norm_boxes
from ..ops.nms import non_max_suppression
from ..ops.sampling import gather_rows, pad_rows, top_k
from .detection import IMAGE_SHAPE_IN_META, WINDOW_IN_META

MIN_SIDE_PX = 1e-3


@keras.saving.register_keras_serializable("mrcnn")
class LevelProposalLayer(keras.layers.Layer):
    """The best anchors of each level, refined, clipped and thinned; then the best of all levels.

    Feature Pyramid Networks, section 4.1, as torchvision and Detectron2 do it. Boxes of different levels never
    suppress each other, and boxes are clipped to the part of the image that is not padding.

    Args:
        proposal_count: P, number of result rows.
        nms_threshold: boxes that overlap a better one of their level by more than this IoU are dropped.
        pre_nms_limit: number of anchors of each level, by score, that are looked at.
        bbox_std_dev: standard deviations the deltas are multiplied by.
        log_limit: highest log dh and log dw, or None.

    Call arguments:
        inputs: `[rpn_probs [B, A, 2], rpn_deltas [B, A, 4], anchors [A, 4], anchors_px [A, 4],
            image_meta [B, 12 + C], logits [B, a, 2] of each level]`, the first three as for a `ProposalLayer`; of
            them only the deltas are read, for the anchors are taken in pixels, and scores from the levels' logits of
            background and object.

    Returns:
        `[B, P, 4]` float32 normalised, by falling score; rows of zeros at the end are padding. No gradient
        flows through it (approximate joint training).
    """

    def __init__(self, proposal_count, nms_threshold, pre_nms_limit, bbox_std_dev, log_limit=None, **kwargs):
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        self.proposal_count = int(proposal_count)
        self.nms_threshold = float(nms_threshold)
        self.pre_nms_limit = int(pre_nms_limit)
        self.bbox_std_dev = tuple(float(value) for value in bbox_std_dev)
        self.log_limit = log_limit
        self.supports_jit = supports_jit("grouped_nms", "top_k")

    def call(self, inputs):
        _, deltas, _, anchors, meta, *logits = (ops.stop_gradient(ops.cast(part, "float32")) for part in inputs)
        logits, anchor_ids, levels = self._best_of_each_level([level[..., 1] - level[..., 0] for level in logits])
        deltas = gather_rows(deltas, anchor_ids) * ops.array(self.bbox_std_dev, "float32")
        boxes = apply_deltas(ops.take(anchors, anchor_ids, axis=0), deltas, self.log_limit)
        boxes = clip_boxes(boxes, meta[:, WINDOW_IN_META])
        solid = ops.all(boxes[..., 2:] - boxes[..., :2] >= MIN_SIDE_PX, axis=-1) & (logits > -1e30)
        # Probabilities as scores: logits so high that their probability is 1 are equals in the suppression.
        scores = ops.where(solid, ops.sigmoid(logits), -1.0)
        levels = ops.broadcast_to(levels[None], ops.shape(anchor_ids))
        picked, valid = non_max_suppression(boxes, scores, self.nms_threshold, self.proposal_count, levels)
        image_hw = meta[:, IMAGE_SHAPE_IN_META]
        boxes = norm_boxes(gather_rows(boxes, picked), (image_hw[:, :1], image_hw[:, 1:]))
        return ops.where(valid[..., None], boxes, 0.0)

    def _best_of_each_level(self, logits):
        """Logits `[B, N]`, anchor numbers `[B, N]` and levels `[N]` of the candidates; padding has a logit of -inf."""
        start, picks = 0, []
        for level, of_level in enumerate(logits):
            count = ops.shape(of_level)[1]
            limit = min(self.pre_nms_limit, of_level.shape[1] or self.pre_nms_limit)
            values, ids = top_k(pad_rows(of_level, limit, value=-float("inf")), limit)
            # Padding lies behind the last anchor and is never taken: any row will do for it.
            picks.append((values, start + ops.minimum(ids, count - 1), ops.full((limit,), level, "int32")))
            start = start + count
        return tuple(ops.concatenate(parts, axis=-1) for parts in zip(*picks, strict=True))

    def compute_output_spec(self, inputs):
        return keras.KerasTensor((inputs[0].shape[0], self.proposal_count, 4), dtype="float32")

    def get_config(self):
        return super().get_config() | {
            "proposal_count": self.proposal_count,
            "nms_threshold": self.nms_threshold,
            "pre_nms_limit": self.pre_nms_limit,
            "bbox_std_dev": self.bbox_std_dev,
            "log_limit": self.log_limit,
        }
