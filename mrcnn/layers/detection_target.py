"""What the second stage should have said."""

import keras
from keras import ops

from ..ops.backend import supports_jit
from ..ops.boxes import encode_deltas, iou_matrix
from ..ops.masks import boxes_inside, crop_masks
from ..ops.sampling import gather_rows, merge_positives_first, pad_rows, pick, random_priority

POSITIVE_IOU = 0.5
CROWD_IOU = 0.001


@keras.saving.register_keras_serializable("mrcnn")
class DetectionTargetLayer(keras.layers.Layer):
    """Draws a sample of proposals and tells what each should become (Mask R-CNN, section 3.1).

    Positive: IoU >= 0.5 with an object. Negative: below 0.5 with every object and below 0.001 with every
    crowd. At most `positive_ratio` of the sample is positive, and there are as many negatives as keep that
    ratio, so a picture with few positives gives a short sample. In a picture without any object there is no
    ratio to keep: negatives fill the sample.

    Args:
        rois_per_image: R, size of the sample.
        positive_ratio: share of positives, above 0 and at most 1.
        mask_shape: `(height, width)` of the mask targets.
        bbox_std_dev: standard deviations the deltas are divided by.
        use_mini_mask: whether ground-truth masks cover their box (True) or the whole image.
        seed: integer or None, for a repeatable draw.

    Call arguments:
        inputs: `[proposals [B, P, 4], gt_class_ids [B, G], gt_boxes [B, G, 4], gt_masks [B, h, w, G]]`, boxes
            normalised; class id 0 is padding, a negative one marks a crowd; proposals that are all zeros or
            of negative size are padding. More may follow, what a `RoiTargetLayer` reads, and is not used.

    Returns:
        - rois: `[B, R, 4]` float32: positives, then negatives, then zeros.
        - target_class_ids: `[B, R]` int32, 0 for negatives and padding.
        - target_deltas: `[B, R, 4]` float32, zeros where not positive.
        - target_masks: `[B, int(R * positive_ratio), height, width]` float32 of 0 and 1: the slots in which
          positives can be.

    Raises:
        ValueError: `positive_ratio` is out of its range or leaves no room for a positive.
    """

    def __init__(
        self,
        rois_per_image,
        positive_ratio,
        mask_shape,
        bbox_std_dev=(0.1, 0.1, 0.2, 0.2),
        use_mini_mask=True,
        seed=None,
        **kwargs,
    ):
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        if not 0 < positive_ratio <= 1 or int(rois_per_image * positive_ratio) < 1:
            raise ValueError(
                f"ROI_POSITIVE_RATIO is {positive_ratio} and TRAIN_ROIS_PER_IMAGE {rois_per_image}: expected "
                "a ratio above 0 and at most 1 that leaves at least one positive roi."
            )
        self.rois_per_image = int(rois_per_image)
        self.positive_ratio = float(positive_ratio)
        self.mask_shape = tuple(int(side) for side in mask_shape)
        self.bbox_std_dev = tuple(float(value) for value in bbox_std_dev)
        self.use_mini_mask = bool(use_mini_mask)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.positive_slots = int(self.rois_per_image * self.positive_ratio)
        self.supports_jit = supports_jit("top_k")

    def call(self, inputs):
        proposals, gt_class_ids, gt_boxes, gt_masks = (ops.stop_gradient(tensor) for tensor in inputs[:4])
        proposals = pad_rows(ops.cast(proposals, "float32"), self.rois_per_image)
        gt_class_ids, gt_boxes = ops.cast(gt_class_ids, "int32"), ops.cast(gt_boxes, "float32")
        positive, negative, gt_ids = match_rois(proposals, gt_class_ids, gt_boxes)
        roi_ids, labels = self._sample(positive, negative, ops.any(gt_class_ids > 0, axis=1))
        gt_ids, is_positive = gather_rows(gt_ids, roi_ids), labels == 1
        rois = gather_rows(proposals, roi_ids)
        roi_gt_boxes = gather_rows(gt_boxes, gt_ids)
        deltas = encode_deltas(rois, roi_gt_boxes) / ops.array(self.bbox_std_dev, "float32")
        slots = self.positive_slots
        masks = self._masks(gt_masks, rois[:, :slots], roi_gt_boxes[:, :slots], gt_ids[:, :slots])
        return (
            ops.where((labels >= 0)[..., None], rois, 0.0),
            ops.where(is_positive, gather_rows(gt_class_ids, gt_ids), 0),
            ops.where(is_positive[..., None], deltas, 0.0),
            ops.where(is_positive[:, :slots, None, None], masks, 0.0),
        )

    def _sample(self, positive, negative, has_objects):
        """Roi ids and labels `[B, R]` out of the candidates `[B, P]`."""
        priority = random_priority(ops.shape(positive), self.seed_generator)
        positives = pick(positive, priority, self.positive_slots)
        roi_ids, picked = pick(negative, priority, self.rois_per_image)
        count = ops.sum(ops.cast(positives[1], "int32"), axis=1)
        quota = ops.cast(ops.cast(count, "float32") * (1.0 / self.positive_ratio), "int32") - count
        quota = ops.where(has_objects, quota, self.rois_per_image)
        picked = picked & (ops.arange(self.rois_per_image, dtype="int32")[None] < quota[:, None])
        return merge_positives_first(positives, (roi_ids, picked), self.rois_per_image)

    def _masks(self, gt_masks, rois, roi_gt_boxes, gt_ids):
        boxes = boxes_inside(rois, roi_gt_boxes) if self.use_mini_mask else rois
        return ops.round(crop_masks(gt_masks, boxes, gt_ids, self.mask_shape))

    def compute_output_spec(self, inputs):
        batch, rois = inputs[0].shape[0], self.rois_per_image
        return (
            keras.KerasTensor((batch, rois, 4), dtype="float32"),
            keras.KerasTensor((batch, rois), dtype="int32"),
            keras.KerasTensor((batch, rois, 4), dtype="float32"),
            keras.KerasTensor((batch, self.positive_slots, *self.mask_shape), dtype="float32"),
        )

    def get_config(self):
        return super().get_config() | {
            "rois_per_image": self.rois_per_image,
            "positive_ratio": self.positive_ratio,
            "mask_shape": self.mask_shape,
            "bbox_std_dev": self.bbox_std_dev,
            "use_mini_mask": self.use_mini_mask,
            "seed": self.seed,
        }


def match_rois(proposals, gt_class_ids, gt_boxes):
    """The matching rules of `DetectionTargetLayer`, before sampling.

    Args:
        proposals: `[B, P, 4]` float32.
        gt_class_ids: `[B, G]` int32.
        gt_boxes: `[B, G, 4]` float32, same unit.

    Returns:
        `(positive [B, P] bool, negative [B, P] bool, gt_ids [B, P] int32)`, the last being the object that
        each proposal overlaps most.
    """
    real = ops.any(proposals != 0, axis=-1) & ops.all(proposals[..., 2:] >= proposals[..., :2], axis=-1)
    iou = iou_matrix(proposals, gt_boxes)
    ids = gt_class_ids[:, None, :]
    object_iou = ops.where(ids > 0, iou, -1.0)
    best_iou = ops.max(object_iou, axis=2)
    crowd_iou = ops.max(ops.where(ids < 0, iou, 0.0), axis=2)
    positive = real & (best_iou >= POSITIVE_IOU)
    negative = real & (best_iou < POSITIVE_IOU) & (crowd_iou < CROWD_IOU)
    return positive, negative, ops.cast(ops.argmax(object_iou, axis=2), "int32")
