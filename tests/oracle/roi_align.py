"""Both region poolings for one box on one feature map `[h, w, C]`, a cell at a time."""

import numpy as np


def _bilinear(feature, y, x):
    feature, y, x = feature.astype("float64"), float(y), float(x)
    y0, x0 = int(np.floor(y)), int(np.floor(x))
    y1, x1 = min(y0 + 1, feature.shape[0] - 1), min(x0 + 1, feature.shape[1] - 1)
    top = feature[y0, x0] * (1 - (x - x0)) + feature[y0, x1] * (x - x0)
    bottom = feature[y1, x0] * (1 - (x - x0)) + feature[y1, x1] * (x - x0)
    return top * (1 - (y - y0)) + bottom * (y - y0)


def crop_and_resize(feature, box, shape):
    """Samples from corner to corner of a normalised box, 0 outside of the map.

    Positions are float32, as rounding decides on which side of the border the last one lies.
    """
    box, last = np.asarray(box, "float32"), np.array(feature.shape[:2], "float32") - 1

    def positions(start, stop, scale, cells):
        if cells == 1:
            return [np.float32(0.5) * (start + stop) * scale]
        step = (stop - start) * scale / np.float32(cells - 1)
        return [start * scale + np.float32(i) * step for i in range(cells)]

    result = np.zeros((*shape, feature.shape[2]))
    for i, y in enumerate(positions(box[0], box[2], last[0], shape[0])):
        for j, x in enumerate(positions(box[1], box[3], last[1], shape[1])):
            if 0 <= y <= last[0] and 0 <= x <= last[1]:
                result[i, j] = _bilinear(feature, y, x)
    return result


def roi_align(feature, box_px, stride, shape, samples, aligned=True):
    """Mean of samples in each cell of a pixel box; not aligned, the box is half a pixel off and at least one wide."""
    y1, x1, y2, x2 = np.asarray(box_px, "float64") / stride - (0.5 if aligned else 0)
    if not aligned:
        y2, x2 = max(y2, y1 + 1), max(x2, x1 + 1)
    height, width = feature.shape[:2]
    result = np.zeros((*shape, feature.shape[2]))
    for i in range(shape[0]):
        for j in range(shape[1]):
            for k in range(samples):
                for m in range(samples):
                    y = y1 + (i + (k + 0.5) / samples) * (y2 - y1) / shape[0]
                    x = x1 + (j + (m + 0.5) / samples) * (x2 - x1) / shape[1]
                    if -1 <= y <= height and -1 <= x <= width:
                        sample = _bilinear(feature, np.clip(y, 0, height - 1), np.clip(x, 0, width - 1))
                        result[i, j] += sample / samples**2
    return result
