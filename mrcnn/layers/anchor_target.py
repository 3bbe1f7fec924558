"""What the RPN should have said."""

import keras
from keras import ops

from ..ops.backend import supports_jit
from ..ops.boxes import encode_deltas, iou_matrix
from ..ops.sampling import gather_rows, merge_positives_first, pad_rows, pick, random_priority

POSITIVE_IOU = 0.7
NEGATIVE_IOU = 0.3
CROWD_IOU = 0.001
# Overlaps as close as this, relatively, count as equal: at pixel coordinates of 1000 float32 cannot tell
# them apart.
TIE = 1e-5
# Ground-truth boxes compared with all anchors at once: the [B, chunk, A] overlaps stay small.
GT_CHUNK = 4


@keras.saving.register_keras_serializable("mrcnn")
class AnchorTargetLayer(keras.layers.Layer):
    """Matches anchors with objects and draws a sample of them (Faster R-CNN, section 3.1.2).

    Positive: an anchor with IoU >= 0.7 with an object, and for every object the anchors that overlap it most.
    Negative: below 0.3 with every object, and below 0.001 with every crowd. At most half of the sample is
    positive, negatives fill the rest. An image without objects gives negatives alone.

    Args:
        anchors_per_image: size of the sample.
        bbox_std_dev: standard deviations the deltas are divided by.
        seed: integer or None, for a repeatable draw.

    Call arguments:
        inputs: `[anchors_px [A, 4], gt_class_ids [B, G], gt_boxes_px [B, G, 4]]`; class id 0 is padding,
            a negative one marks a crowd.

    Returns:
        With S = min(anchors_per_image, A):
        - anchor_ids: `[B, S]` int32, 0 at padding.
        - labels: `[B, S]` int32, 1 positive (these come first), 0 negative, -1 padding.
        - target_deltas: `[B, S, 4]` float32, zeros where not positive.
    """

    def __init__(self, anchors_per_image=256, bbox_std_dev=(0.1, 0.1, 0.2, 0.2), seed=None, **kwargs):
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        self.anchors_per_image = int(anchors_per_image)
        self.bbox_std_dev = tuple(float(value) for value in bbox_std_dev)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.supports_jit = supports_jit("top_k")

    def call(self, inputs):
        anchors, gt_class_ids, gt_boxes = (ops.stop_gradient(tensor) for tensor in inputs)
        anchors, gt_boxes = ops.cast(anchors, "float32"), ops.cast(gt_boxes, "float32")
        gt_class_ids = ops.cast(gt_class_ids, "int32")
        positive, negative, gt_ids = match_anchors(anchors, gt_class_ids, gt_boxes)
        anchor_ids, labels = self._sample(positive, negative)
        target_boxes = gather_rows(gt_boxes, gather_rows(gt_ids, anchor_ids))
        deltas = encode_deltas(ops.take(anchors, anchor_ids, axis=0), target_boxes)
        deltas = deltas / ops.array(self.bbox_std_dev, "float32")
        return anchor_ids, labels, ops.where((labels == 1)[..., None], deltas, 0.0)

    def _sample(self, positive, negative):
        """Anchor ids and labels `[B, S]` out of the candidates `[B, A]`."""
        size = self._size(positive.shape[1])
        positive, negative = pad_rows(positive, size), pad_rows(negative, size)
        priority = random_priority(ops.shape(positive), self.seed_generator)
        positives = pick(positive, priority, min(self.anchors_per_image // 2, size))
        return merge_positives_first(positives, pick(negative, priority, size), size)

    def _size(self, anchor_count):
        return self.anchors_per_image if anchor_count is None else min(self.anchors_per_image, anchor_count)

    def compute_output_spec(self, inputs):
        batch, size = inputs[1].shape[0], self._size(inputs[0].shape[0])
        return (
            keras.KerasTensor((batch, size), dtype="int32"),
            keras.KerasTensor((batch, size), dtype="int32"),
            keras.KerasTensor((batch, size, 4), dtype="float32"),
        )

    def get_config(self):
        return super().get_config() | {
            "anchors_per_image": self.anchors_per_image,
            "bbox_std_dev": self.bbox_std_dev,
            "seed": self.seed,
        }


def match_anchors(anchors_px, gt_class_ids, gt_boxes_px):
    """The matching rules of `AnchorTargetLayer`, before sampling.

    Objects are taken a few at a time and only as far as the fullest image of the batch has any, so the cost
    follows the objects that are there and not the padded G.

    Args:
        anchors_px: `[A, 4]` float32.
        gt_class_ids: `[B, G]` int32.
        gt_boxes_px: `[B, G, 4]` float32.

    Returns:
        `(positive [B, A] bool, negative [B, A] bool, gt_ids [B, A] int32)`, the last being the object that
        each anchor overlaps most.
    """
    missing = -gt_class_ids.shape[1] % GT_CHUNK
    class_ids = ops.pad(gt_class_ids, [[0, 0], [0, missing]])
    boxes = ops.pad(gt_boxes_px, [[0, 0], [0, missing], [0, 0]])
    slots = class_ids.shape[1]
    last = ops.max(ops.where(class_ids != 0, ops.arange(1, slots + 1, dtype="int32")[None], 0))
    class_ids = ops.moveaxis(ops.reshape(class_ids, (-1, slots // GT_CHUNK, GT_CHUNK)), 1, 0)
    boxes = ops.moveaxis(ops.reshape(boxes, (-1, slots // GT_CHUNK, GT_CHUNK, 4)), 1, 0)

    def more(chunk, *_):
        return chunk * GT_CHUNK < last

    def step(chunk, best_iou, gt_ids, crowd_iou, claimed):
        ids = ops.take(class_ids, chunk, axis=0)[..., None]  # [B, chunk, 1]
        iou = iou_matrix(ops.take(boxes, chunk, axis=0), anchors_px)  # [B, chunk, A]
        crowd_iou = ops.maximum(crowd_iou, ops.max(ops.where(ids < 0, iou, 0.0), axis=1))
        iou = ops.where(ids > 0, iou, 0.0)
        highest = ops.max(iou, axis=2, keepdims=True)
        # An object that no anchor touches claims none, rather than all of them.
        claimed = claimed | ops.any((iou >= highest * (1.0 - TIE)) & (highest > 0), axis=1)
        better = ops.max(iou, axis=1) > best_iou
        here = chunk * GT_CHUNK + ops.cast(ops.argmax(iou, axis=1), "int32")
        gt_ids = ops.where(better, here, gt_ids)
        return chunk + 1, ops.maximum(best_iou, ops.max(iou, axis=1)), gt_ids, crowd_iou, claimed

    shape = (ops.shape(gt_class_ids)[0], ops.shape(anchors_px)[0])
    start = (
        ops.convert_to_tensor(0, dtype="int32"),
        ops.zeros(shape),
        ops.zeros(shape, dtype="int32"),
        ops.zeros(shape),
        ops.zeros(shape, dtype="bool"),
    )
    _, best_iou, gt_ids, crowd_iou, claimed = ops.while_loop(more, step, start)
    positive = claimed | (best_iou >= POSITIVE_IOU)
    negative = ~positive & (best_iou < NEGATIVE_IOU) & (crowd_iou < CROWD_IOU)
    return positive, negative, gt_ids
