"""Matterport's graph functions, for code that builds on single parts: their arguments, our operations."""

import keras
from keras import layers, ops

from ..heads.box import BoxHead
from ..heads.mask import MaskHead
from ..heads.rpn import RPNHead
from ..layers.detection import DetectionLayer
from ..layers.pyramid_roi_align import PyramidROIAlign
from ..losses.functional import batch_share, mrcnn_bbox_loss, mrcnn_class_loss, smooth_l1, sparse_cross_entropy
from ..ops import boxes as box_ops


def batch_slice(inputs, graph_fn, batch_size, names=None):
    """Runs `graph_fn` on each image of a batch and stacks what it returns.

    Args:
        inputs: a tensor `[B, ...]` or a list of them; the function gets one slice of each.
        graph_fn: returns a tensor, or a list or tuple of tensors.
        batch_size: B.
        names: not used.

    Returns:
        one tensor `[B, ...]`, or a list of them where the function returns several.
    """
    if not isinstance(inputs, (list, tuple)):
        inputs = [inputs]
    results = [graph_fn(*[tensor[index] for tensor in inputs]) for index in range(batch_size)]
    if not isinstance(results[0], (list, tuple)):
        return ops.stack(results)
    stacked = [ops.stack(column) for column in zip(*results, strict=True)]
    return stacked[0] if len(stacked) == 1 else stacked


def build_rpn_model(anchor_stride, anchors_per_location, depth):
    """The region proposal network as a model of one feature map `[B, h, w, depth]`.

    Returns:
        `keras.Model` named "rpn_model" with the outputs logits `[B, a, 2]`, probabilities `[B, a, 2]` and deltas
        `[B, a, 4]`, see `heads.rpn.RPNHead`.
    """
    feature = keras.Input((None, None, depth), name="input_rpn_feature_map")
    outputs = RPNHead(anchors_per_location, anchor_stride, name="rpn")(feature)
    return keras.Model(feature, list(outputs), name="rpn_model")


def fpn_classifier_graph(
    rois, feature_maps, image_meta, pool_size, num_classes, train_bn=True, fc_layers_size=1024
):
    """Pooling of regions and the box head on them, see `heads.box.BoxHead`.

    Args:
        rois: `[B, R, 4]` normalised.
        feature_maps: `[P2, P3, P4, P5]`.
        image_meta: `[B, 12 + C]`.

    Returns:
        logits `[B, R, C]`, probabilities `[B, R, C]` and deltas `[B, R, C, 4]`.
    """
    align = PyramidROIAlign((pool_size, pool_size), name="roi_align_classifier")
    pooled = align([rois, image_meta, *feature_maps])
    head = BoxHead(num_classes, pool_size, fc_layers_size, train_bn=train_bn, name="mrcnn_classifier")
    logits, deltas = head(pooled)
    return logits, layers.Softmax(name="mrcnn_class", dtype="float32")(logits), deltas


def build_fpn_mask_graph(rois, feature_maps, image_meta, pool_size, num_classes, train_bn=True):
    """Pooling of regions and the mask head on them: probabilities `[B, R, 2 * pool_size, 2 * pool_size, C]`."""
    pooled = PyramidROIAlign((pool_size, pool_size), name="roi_align_mask")([rois, image_meta, *feature_maps])
    logits = MaskHead(num_classes, train_bn=train_bn, name="mrcnn_masks")(pooled)
    return layers.Activation("sigmoid", name="mrcnn_mask", dtype="float32")(logits)


def refine_detections_graph(rois, probs, deltas, window, config):
    """One image's detections from the box head's output.

    Args:
        rois: `[R, 4]` normalised.
        probs: `[R, C]`.
        deltas: `[R, C, 4]`.
        window: `[4]` (y1, x1, y2, x2) normalised: the image inside its padding.
        config: a `Config`.

    Returns:
        `[D, 6]` float32 `(y1, x1, y2, x2, class_id, score)`, normalised; rows of zeros are padding.
    """
    layer = DetectionLayer(
        config.DETECTION_MAX_INSTANCES,
        config.DETECTION_MIN_CONFIDENCE,
        config.DETECTION_NMS_THRESHOLD,
        config.BBOX_STD_DEV,
    )
    return layer.refine(*(ops.expand_dims(ops.convert_to_tensor(t), 0) for t in (rois, probs, deltas, window)))[0]


def norm_boxes_graph(boxes, shape):
    """Pixel boxes `[..., 4]` to normalised ones, float32; `shape` is (height, width)."""
    return box_ops.norm_boxes(boxes, shape)


def denorm_boxes_graph(boxes, shape):
    """Normalised boxes `[..., 4]` to pixels, rounded to int32; `shape` is (height, width)."""
    return ops.cast(ops.round(box_ops.denorm_boxes(boxes, shape)), "int32")


def parse_image_meta_graph(meta):
    """Columns of `[B, 12 + C]` metas as a dict of tensors: image_id, original_image_shape, image_shape, window,
    scale, active_class_ids."""
    return {
        "image_id": meta[:, 0],
        "original_image_shape": meta[:, 1:4],
        "image_shape": meta[:, 4:7],
        "window": meta[:, 7:11],
        "scale": meta[:, 11],
        "active_class_ids": meta[:, 12:],
    }


# === Losses: scalars, of targets that cover every anchor or region ===


def smooth_l1_loss(y_true, y_pred):
    """Smooth L1 of each element, see `losses.functional.smooth_l1`."""
    return smooth_l1(ops.cast(y_true, "float32") - ops.cast(y_pred, "float32"))


def rpn_class_loss_graph(rpn_match, rpn_class_logits):
    """Cross entropy of object and background.

    Args:
        rpn_match: `[B, A, 1]` integers, 1 object, -1 background, 0 does not count.
        rpn_class_logits: `[B, A, 2]`.

    Returns:
        scalar float32, 0 where no anchor counts.
    """
    match = ops.squeeze(ops.convert_to_tensor(rpn_match), -1)
    losses = sparse_cross_entropy(rpn_class_logits, ops.cast(match == 1, "int32"))
    return ops.mean(batch_share(losses, ops.cast(match != 0, "float32")))


def rpn_bbox_loss_graph(config, target_bbox, rpn_match, rpn_bbox):
    """Smooth L1 of the positive anchors' deltas.

    Args:
        config: not used.
        target_bbox: `[B, S, 4]`, the targets of the positive anchors of each image in their order, then padding.
        rpn_match: `[B, A, 1]` integers, 1 marks positive anchors.
        rpn_bbox: `[B, A, 4]`.

    Returns:
        scalar float32, 0 where no anchor is positive.
    """
    positive = ops.equal(ops.squeeze(ops.convert_to_tensor(rpn_match), -1), 1)
    # The n-th positive anchor of an image has the n-th row of its targets.
    row = ops.maximum(ops.cumsum(ops.cast(positive, "int32"), axis=1) - 1, 0)
    row = ops.minimum(row, ops.shape(target_bbox)[1] - 1)
    targets = ops.take_along_axis(ops.convert_to_tensor(target_bbox), row[..., None], axis=1)
    losses = ops.mean(smooth_l1_loss(targets, rpn_bbox), axis=-1)
    return ops.mean(batch_share(losses, ops.cast(positive, "float32")))


def mrcnn_class_loss_graph(target_class_ids, pred_class_logits, active_class_ids):
    """Mean of `losses.functional.mrcnn_class_loss` over the batch."""
    class_ids = ops.cast(target_class_ids, "int32")
    return ops.mean(mrcnn_class_loss(class_ids, pred_class_logits, active_class_ids))


def mrcnn_bbox_loss_graph(target_bbox, target_class_ids, pred_bbox):
    """Mean of `losses.functional.mrcnn_bbox_loss` over the batch."""
    return ops.mean(mrcnn_bbox_loss(ops.cast(target_class_ids, "int32"), target_bbox, pred_bbox))


def mrcnn_mask_loss_graph(target_masks, target_class_ids, pred_masks):
    """Binary cross entropy of the true class's mask.

    Args:
        target_masks: `[B, R, M, M]` of 0 and 1.
        target_class_ids: `[B, R]` integers, above 0 for regions with an object.
        pred_masks: `[B, R, M, M, C]` probabilities.

    Returns:
        scalar float32, 0 where no region has an object.
    """
    class_ids = ops.cast(target_class_ids, "int32")
    chosen = ops.maximum(class_ids, 0)[:, :, None, None, None]
    probs = ops.take_along_axis(ops.convert_to_tensor(pred_masks), chosen, axis=4)[..., 0]
    losses = ops.mean(ops.binary_crossentropy(ops.cast(target_masks, "float32"), probs), axis=(2, 3))
    return ops.mean(batch_share(losses, ops.cast(class_ids > 0, "float32")))
