"""Non-maximum suppression with static shapes."""

from keras import ops

from .backend import kernel


def non_max_suppression(boxes, scores, iou_threshold, max_outputs, group_ids=None):
    """Exact greedy non-maximum suppression of a batch.

    Boxes are taken by falling score, the earlier index first among equal scores; one is dropped when its
    intersection over union with a box taken before is greater than the threshold.

    Args:
        boxes: `[B, N, 4]`, any unit, corners in any order. N must be known when the graph is built.
        scores: `[B, N]`. Rows with a score below 0, or with a score or corners that are no number, are padding and are
            never taken.
        iou_threshold: 0..1.
        max_outputs: M, number of result slots.
        group_ids: `[B, N]` integers or None. Boxes of different groups never suppress each other.

    Returns:
        `(indices [B, M] int32, valid [B, M] bool)`, by falling score; index 0 where not valid.

    Raises:
        ValueError: N is unknown, or a number is out of its range.
    """
    if boxes.shape[1] is None:
        raise ValueError(
            "non_max_suppression needs a fixed number of boxes, got shape "
            f"{tuple(boxes.shape)}. Pad or cut the rows first (for example with top_k)."
        )
    if not 0.0 <= iou_threshold <= 1.0:
        raise ValueError(f"iou_threshold is {iou_threshold}, expected a number from 0 to 1.")
    if max_outputs < 1:
        raise ValueError(f"max_outputs is {max_outputs}, expected at least 1.")
    boxes, scores = ops.cast(boxes, "float32"), ops.cast(scores, "float32")
    near, far = ops.minimum(boxes[..., :2], boxes[..., 2:]), ops.maximum(boxes[..., :2], boxes[..., 2:])
    boxes = ops.concatenate([near, far], axis=-1)
    # Where only one of them knows the batch size all of them do then: a loop of TensorFlow takes one shape only.
    eligible = (scores >= 0) & ops.all(near <= far, axis=-1)
    scores = ops.where(eligible, scores, -1.0)
    if group_ids is None:
        return kernel("nms")(boxes, scores, iou_threshold, max_outputs)
    group_ids = ops.where(eligible, ops.cast(group_ids, "int32"), 0)
    return kernel("grouped_nms")(boxes, scores, group_ids, iou_threshold, max_outputs)
