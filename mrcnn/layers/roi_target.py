"""What the second stage should have said, by the rules of Fast R-CNN's descendants."""

import keras
from keras import ops

from ..ops.backend import supports_jit
from ..ops.boxes import denorm_boxes, encode_deltas, norm_boxes
from ..ops.masks import align_masks, boxes_inside
from ..ops.sampling import gather_rows, merge_positives_first, pad_rows, pick, random_priority
from .detection import IMAGE_SHAPE_IN_META
from .detection_target import match_rois

# Objects often have exactly half of a cell of their own box, which means of samples miss by a rounding error.
HALF = 0.5 - 1e-5


@keras.saving.register_keras_serializable("mrcnn")
class RoiTargetLayer(keras.layers.Layer):
    """Draws a sample of proposals and objects' own boxes, and tells what each should become.

    Faster R-CNN, section 3.3, and Mask R-CNN, section 3.1, as torchvision has them. Against a
    `DetectionTargetLayer`: the boxes of the objects join the proposals, negatives fill the sample up, overlaps are
    those of pixel boxes, and mask targets come from the share of the object in each cell.

    Args:
        rois_per_image: R, size of the sample.
        positive_ratio: highest share of positives.
        mask_shape: `(height, width)` of the mask targets.
        bbox_std_dev: standard deviations the deltas are divided by.
        use_mini_mask: whether ground-truth masks cover their box (True) or the whole image.
        binary_masks: whether mask targets are 1 where the object has half of the cell or more and 0 elsewhere, as
            Detectron2 has them, instead of shares.
        seed: integer or None, for a repeatable draw.

    Call arguments:
        inputs: `[proposals [B, P, 4], gt_class_ids [B, G], gt_boxes [B, G, 4], gt_masks [B, h, w, G],
            gt_boxes_px [B, G, 4], image_meta [B, 12 + C]]`, the first four as for a `DetectionTargetLayer`.

    Returns:
        - rois: `[B, R, 4]` float32 normalised: positives, then negatives, then zeros.
        - target_class_ids: `[B, R]` int32, 0 for negatives, -1 for padding.
        - target_deltas: `[B, R, 4]` float32, zeros where not positive.
        - target_masks: `[B, int(R * positive_ratio), height, width]` float32 from 0 to 1: the slots in which
          positives can be.
    """

    def __init__(
        self,
        rois_per_image,
        positive_ratio,
        mask_shape,
        bbox_std_dev,
        use_mini_mask=True,
        binary_masks=False,
        seed=None,
        **kwargs,
    ):
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        self.rois_per_image = int(rois_per_image)
        self.positive_ratio = float(positive_ratio)
        self.mask_shape = tuple(int(side) for side in mask_shape)
        self.bbox_std_dev = tuple(float(value) for value in bbox_std_dev)
        self.use_mini_mask = bool(use_mini_mask)
        self.binary_masks = bool(binary_masks)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.positive_slots = int(self.rois_per_image * self.positive_ratio)
        self.supports_jit = supports_jit("top_k")

    def call(self, inputs):
        proposals, gt_class_ids, _, gt_masks, gt_boxes, meta = (ops.stop_gradient(tensor) for tensor in inputs)
        gt_class_ids, gt_boxes = ops.cast(gt_class_ids, "int32"), ops.cast(gt_boxes, "float32")
        image_hw = ops.cast(meta[:, IMAGE_SHAPE_IN_META], "float32")
        image_hw = image_hw[:, :1], image_hw[:, 1:]
        candidates = self._candidates(ops.cast(proposals, "float32"), gt_class_ids, gt_boxes, image_hw)
        positive, negative, gt_ids = match_rois(candidates, gt_class_ids, gt_boxes)
        priority = random_priority(ops.shape(positive), self.seed_generator)
        positives = pick(positive, priority, self.positive_slots)
        negatives = pick(negative, priority, self.rois_per_image)
        roi_ids, labels = merge_positives_first(positives, negatives, self.rois_per_image)
        return self._targets(candidates, roi_ids, labels, gt_ids, gt_class_ids, gt_boxes, gt_masks, image_hw)

    def _candidates(self, proposals, gt_class_ids, gt_boxes, image_hw):
        """Proposals and objects' boxes in pixels, zeros where there is none."""
        real = ops.any(proposals != 0, axis=-1, keepdims=True)
        proposals = ops.where(real, denorm_boxes(proposals, image_hw), 0.0)
        objects = ops.where((gt_class_ids > 0)[..., None], gt_boxes, 0.0)
        return pad_rows(ops.concatenate([proposals, objects], axis=1), self.rois_per_image)

    def _targets(self, candidates, roi_ids, labels, gt_ids, gt_class_ids, gt_boxes, gt_masks, image_hw):
        rois, gt_ids = gather_rows(candidates, roi_ids), gather_rows(gt_ids, roi_ids)
        is_positive, slots = labels == 1, self.positive_slots
        roi_gt_boxes = gather_rows(gt_boxes, gt_ids)
        deltas = encode_deltas(rois, roi_gt_boxes) / ops.array(self.bbox_std_dev, "float32")
        mask_boxes = rois[:, :slots]
        if self.use_mini_mask:
            side = ops.array((*gt_masks.shape[1:3], *gt_masks.shape[1:3]), "float32")
            mask_boxes = boxes_inside(mask_boxes, roi_gt_boxes[:, :slots]) * side
        masks = align_masks(gt_masks, mask_boxes, gt_ids[:, :slots], self.mask_shape, aligned=self.binary_masks)
        if self.binary_masks:
            masks = ops.cast(masks >= HALF, "float32")
        class_ids = ops.where(is_positive, gather_rows(gt_class_ids, gt_ids), ops.minimum(labels, 0))
        return (
            ops.where((labels >= 0)[..., None], norm_boxes(rois, image_hw), 0.0),
            class_ids,
            ops.where(is_positive[..., None], deltas, 0.0),
            ops.where(is_positive[:, :slots, None, None], masks, 0.0),
        )

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
            "binary_masks": self.binary_masks,
            "seed": self.seed,
        }
