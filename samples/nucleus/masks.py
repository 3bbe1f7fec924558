"""Mask files of one image as packed bits, small enough to keep those of the whole data set in memory."""

import numpy as np


def pack_masks(folder, image_id):
    """Read the mask files of one image: ((H, W), boxes int32 [N, (y1, x1, y2, x2)] px, list of packed bits).

    Only the bits within a mask's box are kept: about 100 bytes a nucleus, 5 MB for the whole training set.
    """
    import cv2

    paths = sorted(folder.glob("*.png"))
    if not paths:
        raise FileNotFoundError(f"Image {image_id} has no masks in {folder}: subsets without masks, such as "
                                "stage1_test, can only be used with detect.")
    shape, boxes, bits = None, [], []
    for path in paths:
        mask = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        if mask is None:
            raise ValueError(f"Image {image_id}: mask file {path} cannot be read: restore it.")
        shape = shape or mask.shape
        if mask.shape != shape:
            raise ValueError(f"Image {image_id}: mask {path} has {mask.shape[0]}x{mask.shape[1]} pixels, "
                             f"those before it have {shape[0]}x{shape[1]}.")
        x, y, width, height = cv2.boundingRect(mask)
        if width:
            boxes.append((y, x, y + height, x + width))
            bits.append(np.packbits(mask[y:y + height, x:x + width] > 0))
    return shape, np.array(boxes, np.int32).reshape(-1, 4), bits


def unpack_masks(shape, boxes, bits):
    """The inverse of `pack_masks`: masks bool [H, W, N]."""
    masks = np.zeros((*shape, len(bits)), bool)
    for i, (y1, x1, y2, x2) in enumerate(boxes):
        size = (y2 - y1, x2 - x1)
        masks[y1:y2, x1:x2, i] = np.unpackbits(bits[i], count=size[0] * size[1]).reshape(size)
    return masks
