"""From the RPN's output to proposals."""

import keras
from keras import ops

from ..ops.backend import supports_jit
from ..ops.boxes import apply_deltas, clip_boxes
from ..ops.nms import non_max_suppression
from ..ops.sampling import gather_rows, pad_rows, top_k


@keras.saving.register_keras_serializable("mrcnn")
class ProposalLayer(keras.layers.Layer):
    """The best anchors, refined, clipped to the image and thinned (Faster R-CNN, section 3.3).

    Args:
        proposal_count: P, number of result rows.
        nms_threshold: boxes that overlap a better one by more than this IoU are dropped.
        pre_nms_limit: number of anchors, by score, that are looked at.
        bbox_std_dev: standard deviations the deltas are multiplied by.
        log_limit: highest log dh and log dw, or None.

    Call arguments:
        inputs: `[rpn_probs [B, A, 2], rpn_deltas [B, A, 4], anchors [A, 4]]`, probabilities of background and
            object, and normalised anchors. More may follow, what a `LevelProposalLayer` reads, and is not used.

    Returns:
        `[B, P, 4]` float32 normalised, by falling score; rows of zeros at the end are padding. No gradient
        flows through it (approximate joint training).
    """

    def __init__(
        self,
        proposal_count,
        nms_threshold,
        pre_nms_limit=6000,
        bbox_std_dev=(0.1, 0.1, 0.2, 0.2),
        log_limit=None,
        **kwargs,
    ):
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        self.proposal_count = int(proposal_count)
        self.nms_threshold = float(nms_threshold)
        self.pre_nms_limit = int(pre_nms_limit)
        self.bbox_std_dev = tuple(float(value) for value in bbox_std_dev)
        self.log_limit = log_limit
        self.supports_jit = supports_jit("nms", "top_k")

    def call(self, inputs):
        _, _, boxes, picked, valid = self.stages(inputs)
        return ops.where(valid[..., None], gather_rows(boxes, picked), 0.0)

    def stages(self, inputs):
        """What happens on the way, in the arguments of `call`.

        Returns:
            the best anchors `[B, N, 4]`, these refined, these clipped to the image, and the rows `[B, P]` of them that
            become proposals with their validity `[B, P]`.
        """
        probs, deltas, anchors = (ops.stop_gradient(ops.cast(tensor, "float32")) for tensor in inputs[:3])
        scores = probs[..., 1]
        count = scores.shape[1]
        limit = self.pre_nms_limit if count is None else min(self.pre_nms_limit, count)
        scores, anchor_ids = top_k(pad_rows(scores, limit, value=-1.0), limit)
        # Padding lies behind the last anchor and is never taken: any row will do for it.
        anchor_ids = ops.minimum(anchor_ids, ops.shape(deltas)[1] - 1)
        deltas = gather_rows(deltas, anchor_ids) * ops.array(self.bbox_std_dev, "float32")
        best = ops.take(anchors, anchor_ids, axis=0)
        refined = apply_deltas(best, deltas, self.log_limit)
        boxes = clip_boxes(refined, (0.0, 0.0, 1.0, 1.0))
        picked, valid = non_max_suppression(boxes, scores, self.nms_threshold, self.proposal_count)
        return best, refined, boxes, picked, valid

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


class ProposalStages(keras.layers.Layer):
    """The intermediate results of a `ProposalLayer`, for looking at them.

    Args:
        proposal_layer: the layer, whose numbers are used.

    Call arguments:
        inputs: those of the layer.

    Returns:
        a tuple in the order of `NAMES`: three times `[B, N, 4]` float32 normalised, by falling score, and
        `[P]` int32, rows of them that are the first image's proposals; unused slots repeat the first.
    """

    NAMES = ("pre_nms_anchors", "refined_anchors", "refined_anchors_clipped", "nms_indices")

    def __init__(self, proposal_layer, **kwargs):
        super().__init__(dtype="float32", **kwargs)
        self.proposal_layer = proposal_layer
        self.supports_jit = proposal_layer.supports_jit

    def call(self, inputs):
        best, refined, clipped, picked, valid = self.proposal_layer.stages(inputs)
        return best, refined, clipped, ops.where(valid[0], picked[0], picked[0, 0])

    def compute_output_spec(self, inputs):
        batch, count = inputs[0].shape[:2]
        limit = self.proposal_layer.pre_nms_limit
        rows = limit if count is None else min(limit, count)
        boxes = [keras.KerasTensor((batch, rows, 4), "float32") for _ in range(3)]
        return (*boxes, keras.KerasTensor((self.proposal_layer.proposal_count,), "int32"))
