"""Detections of one image out of the heads' outputs."""

import numpy as np

from .nms import non_max_suppression


def refine(rois, probs, deltas, window, std_dev, max_instances, min_confidence, nms_threshold):
    """`[n, 6]` float32 rows `(y1, x1, y2, x2, class_id, score)`, n <= max_instances."""
    rows = []
    for roi, prob, delta in zip(rois, probs, deltas, strict=True):
        class_id = int(prob.argmax())
        if class_id == 0 or prob[class_id] < min_confidence:
            continue
        dy, dx, dh, dw = delta[class_id] * std_dev
        height, width = roi[2] - roi[0], roi[3] - roi[1]
        y, x = roi[0] + height * (0.5 + dy), roi[1] + width * (0.5 + dx)
        height, width = height * np.exp(dh), width * np.exp(dw)
        box = np.array([y - height / 2, x - width / 2, y + height / 2, x + width / 2])
        box = np.maximum(np.minimum(box, window[[2, 3, 2, 3]]), window[[0, 1, 0, 1]])
        rows.append([*box, class_id, prob[class_id]])
    rows = np.array(rows, "float32").reshape(-1, 6)
    keep = []
    for class_id in np.unique(rows[:, 4]):
        own = np.flatnonzero(rows[:, 4] == class_id)
        keep += list(own[non_max_suppression(rows[own, :4], rows[own, 5], nms_threshold, max_instances)])
    rows = rows[np.sort(np.array(keep, int))]
    return rows[np.argsort(-rows[:, 5], kind="stable")][:max_instances]
