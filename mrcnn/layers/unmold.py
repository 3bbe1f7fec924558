"""From what the graph returns to what a person wants."""

import keras
from keras import ops

from ..ops.boxes import denorm_boxes, norm_boxes
from ..ops.masks import paste_centers, paste_masks, paste_padded
from ..ops.sampling import gather_rows, top_k
from .detection import IMAGE_SHAPE_IN_META, WINDOW_IN_META

ORIGINAL_SHAPE_IN_META = slice(1, 3)


@keras.saving.register_keras_serializable("mrcnn")
class UnmoldDetections(keras.layers.Layer):
    """Detections in the pixels of the original images: `unmold_detections` in the graph.

    Args:
        paste: whether each mask is enlarged and put where it belongs in the image.
        mask_paste: how, a value of MASK_PASTE; with all but "box" boxes are not rounded.

    Call arguments:
        inputs: `[detections [B, D, 6], image_meta [B, 12 + C], images [B, H, W, channels], masks [B, D, M, M, C]]`; of
            the images only the shape is read, and a detector of boxes has no masks.

    Returns:
        a dict: `boxes [B, D, 4]` int32 pixels (y1, x1, y2, x2), float32 if `mask_paste` is not "box",
        `class_ids [B, D]` int32, `scores [B, D]` float32, `num_detections [B]` int32, and `masks` where masks are
        given, either `[B, D, H, W]` bool or, not pasted, `[B, D, M, M]` float32 probabilities over the box. Boxes
        without area are dropped; rows behind `num_detections` are zeros.
    """

    def __init__(self, paste=True, mask_paste="box", **kwargs):
        kwargs.setdefault("dtype", "float32")
        # The images stay whole numbers.
        kwargs.setdefault("autocast", False)
        super().__init__(**kwargs)
        self.paste = paste
        self.mask_paste = mask_paste

    def call(self, inputs):
        detections, image_meta, images, *masks = inputs
        if self.mask_paste == "box":
            boxes = ops.cast(ops.round(_original_boxes(detections[..., :4], image_meta)), "int32")
        else:
            boxes = _exact_boxes(detections[..., :4], image_meta)
        class_ids = ops.cast(detections[..., 4], "int32")
        solid = (class_ids > 0) & (boxes[..., 2] > boxes[..., 0]) & (boxes[..., 3] > boxes[..., 1])
        # Scores fall already: this only closes the gaps.
        keys, order = top_k(ops.where(solid, detections[..., 5], -1.0), detections.shape[1])
        found = keys >= 0
        class_ids = ops.where(found, gather_rows(class_ids, order), 0)
        boxes = ops.where(found[..., None], gather_rows(boxes, order), ops.zeros((), boxes.dtype))
        results = {
            "boxes": boxes,
            "class_ids": class_ids,
            "scores": ops.where(found, keys, 0.0),
            "num_detections": ops.sum(ops.cast(found, "int32"), axis=1),
        }
        if masks:
            masks = ops.where(found[..., None, None], _of_class(gather_rows(masks[0], order), class_ids), 0.0)
            if self.paste:
                masks = _PASTE[self.mask_paste](masks, boxes, ops.shape(images)[1:3])
            results["masks"] = masks
        return results

    def compute_output_spec(self, inputs):
        detections, _, images, *masks = inputs
        batch, count = detections.shape[:2]
        results = {
            "boxes": keras.KerasTensor((batch, count, 4), "int32" if self.mask_paste == "box" else "float32"),
            "class_ids": keras.KerasTensor((batch, count), "int32"),
            "scores": keras.KerasTensor((batch, count), "float32"),
            "num_detections": keras.KerasTensor((batch,), "int32"),
        }
        if masks:
            shape, dtype = (images.shape[1:3], "bool") if self.paste else (masks[0].shape[2:4], "float32")
            results["masks"] = keras.KerasTensor((batch, count, *shape), dtype)
        return results

    def get_config(self):
        return super().get_config() | {"paste": self.paste, "mask_paste": self.mask_paste}


_PASTE = {"box": paste_masks, "padded": paste_padded, "centers": paste_centers}


def _original_boxes(boxes, image_meta):
    """`[B, D, 4]` normalised to the molded image -> pixels of the original one, not rounded."""
    image_hw = image_meta[:, IMAGE_SHAPE_IN_META]
    window = norm_boxes(image_meta[:, WINDOW_IN_META], (image_hw[:, 0], image_hw[:, 1]))[:, None]  # [B, 1, 4]
    corner, size = window[..., :2], window[..., 2:] - window[..., :2]
    shift, scale = ops.concatenate([corner, corner], axis=-1), ops.concatenate([size, size], axis=-1)
    original_hw = image_meta[:, ORIGINAL_SHAPE_IN_META]
    return denorm_boxes((boxes - shift) / scale, (original_hw[:, :1], original_hw[:, 1:]))


def _exact_boxes(boxes, image_meta):
    """`[B, D, 4]` normalised to the molded image -> pixels of the original one, scaled by the sizes, inside of it."""
    image_hw = image_meta[:, IMAGE_SHAPE_IN_META]
    boxes = denorm_boxes(boxes, (image_hw[:, :1], image_hw[:, 1:]))
    window = image_meta[:, None, WINDOW_IN_META]
    corner, far = ops.tile(window[..., :2], (1, 1, 2)), ops.tile(window[..., 2:], (1, 1, 2))
    original_hw = ops.tile(image_meta[:, None, ORIGINAL_SHAPE_IN_META], (1, 1, 2))
    return ops.clip((boxes - corner) * (original_hw / (far - corner)), 0.0, original_hw)


def _of_class(masks, class_ids):
    """`masks[b, d, :, :, class_ids[b, d]]`: `[B, D, M, M]` out of `[B, D, M, M, C]`."""
    _, count, height, width, classes = masks.shape
    by_class = ops.transpose(ops.reshape(masks, (-1, height * width, classes)), (0, 2, 1))
    chosen = gather_rows(by_class, ops.reshape(class_ids, (-1, 1)))
    return ops.reshape(chosen, (-1, count, height, width))
