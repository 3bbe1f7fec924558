"""The losses of Mask R-CNN and its relatives as functions of tensors.

Each returns one value an image, `[B]` float32, such that the mean over the batch is the loss over all of the batch's
samples together: `v[b] = B * sum_b / max(total_count, 1)`. An image with many positives so weighs more than one with
few, as in Matterport's implementation.
"""

from keras import ops


def batch_share(values, weights):
    """Weighted mean over the batch, split into each image's share.

    Args:
        values: `[B, N]` float32.
        weights: `[B, N]` float32, 0 where a value does not count.

    Returns:
        `[B]` whose mean is `sum(values * weights) / max(sum(weights), 1)`.
    """
    batch = ops.cast(ops.shape(values)[0], "float32")
    total = ops.maximum(ops.sum(weights), 1.0)
    # A value that does not count may be infinite; its product with 0 would poison the sum.
    counted = ops.where(weights > 0, values * weights, 0.0)
    return batch * ops.sum(counted, axis=1) / total


def smooth_l1(difference, beta=1.0):
    """Quadratic below `beta`, linear above (Girshick 2015, equation 3), elementwise; `beta` 0 is the absolute value."""
    absolute = ops.abs(difference)
    if beta == 0:
        return absolute
    return ops.where(absolute < beta, 0.5 / beta * ops.square(difference), absolute - 0.5 * beta)


def box_loss_share(difference, positive, sampled, beta, per):
    """Smooth L1 of the positive samples' deltas.

    Args:
        difference: `[B, N, 4]`, zero or anything finite where not positive.
        positive, sampled: `[B, N]` bool; which samples have an object, and which are no padding.
        beta: see `smooth_l1`.
        per: "positive" is Matterport's loss, the mean of the four over the positive samples; "sampled" the sum of the
            four over the number of all samples, as in the papers' other implementations.

    Returns:
        `[B]` float32.
    """
    losses = smooth_l1(difference, beta)
    if per == "positive":
        return batch_share(ops.mean(losses, axis=-1), ops.cast(positive, "float32"))
    losses = ops.where(positive, ops.sum(losses, axis=-1), 0.0)
    return batch_share(losses, ops.cast(sampled, "float32"))


def sparse_cross_entropy(logits, class_ids):
    """Cross entropy of integer classes: `logits [..., C]`, `class_ids [...]` to `[...]`."""
    log_probs = ops.log_softmax(logits, axis=-1)
    picked = ops.take_along_axis(log_probs, ops.expand_dims(ops.cast(class_ids, "int32"), -1), axis=-1)
    return -ops.squeeze(picked, axis=-1)


def rpn_class_loss(logits, anchor_ids, labels):
    """Object or background for the sampled anchors (Ren et al. 2015, equation 1, first term).

    Args:
        logits: `[B, A, 2]`.
        anchor_ids: `[B, S]` int32, the sampled anchors.
        labels: `[B, S]` int32, 1 object, 0 background, -1 padding.

    Returns:
        `[B]` float32.
    """
    sampled = ops.take_along_axis(logits, ops.expand_dims(anchor_ids, -1), axis=1)
    losses = sparse_cross_entropy(sampled, ops.maximum(labels, 0))
    return batch_share(losses, ops.cast(labels >= 0, "float32"))


def rpn_bbox_loss(deltas, anchor_ids, labels, target_deltas, beta=1.0, per="positive"):
    """Smooth L1 over the four deltas of the positive anchors (Ren et al. 2015, equation 1, second term).

    Args:
        deltas: `[B, A, 4]`.
        anchor_ids: `[B, S]` int32.
        labels: `[B, S]` int32, 1 marks the positive anchors.
        target_deltas: `[B, S, 4]`.
        beta, per: see `box_loss_share`.

    Returns:
        `[B]` float32.
    """
    sampled = ops.take_along_axis(deltas, ops.expand_dims(anchor_ids, -1), axis=1)
    return box_loss_share(target_deltas - sampled, ops.equal(labels, 1), labels >= 0, beta, per)


def mrcnn_class_loss(target_class_ids, logits, active_class_ids):
    """Cross entropy of the sampled regions' classes (Girshick 2015, section 2.3).

    A region whose most likely class is not annotated in the image's data set does not count, so that several data
    sets with different classes can train together.

    Args:
        target_class_ids: `[B, R]` int32, 0 is background; regions of a negative one do not count.
        logits: `[B, R, C]`.
        active_class_ids: `[B, C]`, 1 for the classes that the image's data set annotates.

    Returns:
        `[B]` float32.
    """
    predicted = ops.argmax(logits, axis=-1)
    active = ops.take_along_axis(ops.cast(active_class_ids, "float32"), predicted, axis=1)
    losses = sparse_cross_entropy(logits, ops.maximum(target_class_ids, 0))
    return batch_share(losses, ops.where(target_class_ids >= 0, active, 0.0))


def mrcnn_bbox_loss(target_class_ids, target_deltas, deltas, beta=1.0, per="positive"):
    """Smooth L1 over the deltas that the true class predicts, positive regions only (Girshick 2015, equation 2).

    Args:
        target_class_ids: `[B, R]` int32, above 0 for positive regions, negative for padding.
        target_deltas: `[B, R, 4]`.
        deltas: `[B, R, C, 4]`.
        beta, per: see `box_loss_share`.

    Returns:
        `[B]` float32.
    """
    class_ids = ops.maximum(target_class_ids, 0)
    of_true_class = ops.take_along_axis(deltas, class_ids[:, :, None, None], axis=2)[:, :, 0]
    return box_loss_share(target_deltas - of_true_class, target_class_ids > 0, target_class_ids >= 0, beta, per)


def mrcnn_mask_loss(target_class_ids, target_masks, mask_logits):
    """Binary cross entropy of the true class's mask, averaged over pixels (He et al. 2017, section 3).

    Args:
        target_class_ids: `[B, N]` int32, above 0 where the region has an object.
        target_masks: `[B, N, M, M]` float32 of 0 and 1.
        mask_logits: `[B, N, M, M, C]`.

    Returns:
        `[B]` float32.
    """
    class_ids = ops.maximum(target_class_ids, 0)[:, :, None, None, None]
    logits = ops.take_along_axis(mask_logits, class_ids, axis=4)[..., 0]
    losses = ops.binary_crossentropy(target_masks, logits, from_logits=True)
    return batch_share(ops.mean(losses, axis=(2, 3)), ops.cast(target_class_ids > 0, "float32"))


def mrcnn_keypoint_loss(cells, counts, keypoint_logits):
    """Cross entropy of each keypoint's cell over its whole heat map (He et al. 2017, section 5).

    Args:
        cells: `[B, N, K]` int32, the cell that the keypoint lies in, row by row.
        counts: `[B, N, K]` bool, the keypoints that have one.
        keypoint_logits: `[B, N, S, S, K]`.

    Returns:
        `[B]` float32.
    """
    _, regions, height, width, keypoints = keypoint_logits.shape
    logits = ops.transpose(keypoint_logits, (0, 1, 4, 2, 3))
    logits = ops.reshape(logits, (-1, regions * keypoints, height * width))
    losses = sparse_cross_entropy(logits, ops.reshape(cells, (-1, regions * keypoints)))
    return batch_share(losses, ops.reshape(ops.cast(counts, "float32"), (-1, regions * keypoints)))
