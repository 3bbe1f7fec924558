"""How long captions are, and where they go: inside the image, off one another and off small objects if near."""

import numpy as np

CROWDED = 0.15  # share of the image that captions may cover
WIDE = 1.5  # widths of its box that a plate may have there
TOLERANCE = 1e-6  # pixels that plates may share, against rounding
SMALL = 4.0  # plates that fit into an object which is large enough to bear one
DETOUR = 6.0  # heights of a plate that it may be moved to spare small objects


def chosen_texts(sizes, boxes, image_shape):
    """Which of its texts each instance shows: the first, as long as all of them cover no more than CROWDED.

    In a crowd it is the first that the box bears, or else the narrowest; the best instances show theirs, until that
    share of the image is covered.

    Args:
        sizes: of each instance, best first, the (height, width) in pixels of the plates of its texts.
        boxes: [N, 4] pixels, in the same order.
        image_shape: (height, width) in pixels.

    Returns:
        list of N positions in `sizes[i]`; None where no text is shown.
    """
    room = CROWDED * image_shape[0] * image_shape[1]
    if sum(height * width for (height, width), *_ in sizes) <= room:
        return [0] * len(sizes)
    chosen = []
    for plates, box in zip(sizes, boxes, strict=True):
        borne = [i for i, (_, width) in enumerate(plates) if width <= WIDE * (box[3] - box[1])]
        text = borne[0] if borne else min(range(len(plates)), key=lambda i: plates[i][1])
        height, width = plates[text]
        room -= height * width
        chosen.append(text if room >= 0 else None)
    return chosen


class CaptionLayout:
    """Gives plates a place, first come, first served.

    Args:
        image_shape: (height, width) in pixels.
        boxes: [N, 4] pixels, the objects.
    """

    def __init__(self, image_shape, boxes):
        self.height, self.width = image_shape[:2]
        self.boxes = np.asarray(boxes, dtype=float).reshape(-1, 4)
        self.taken = np.zeros([0, 4])

    def place(self, box, height, width):
        """The free place of a plate that is nearest to the upper left of its box: above, or inside at the image's top.

        In an image without a free place that one is returned.

        Args:
            box: (y1, x1, y2, x2) pixels.
            height, width: of the plate, pixels.

        Returns:
            (top, left), such that the plate lies inside the image if it fits at all.
        """
        size = np.array([height, width], dtype=float)
        room = np.maximum([self.height - height, self.width - width], 0)
        wanted = np.clip([box[0] - height if box[0] >= height else box[0], box[1]], 0, room)
        areas = (self.boxes[:, 2] - self.boxes[:, 0]) * (self.boxes[:, 3] - self.boxes[:, 1])
        small = self.boxes[areas < SMALL * height * width]
        place = self._nearest(np.concatenate([self.taken, small]), wanted, size, room, DETOUR * height)
        # Few plates lie near; only in a crowd all of them have to be looked at.
        for reach in (4 * height, 16 * height, self.height + self.width):
            if place is None:
                place = self._nearest(self.taken, wanted, size, room, reach)
        place = wanted if place is None else place
        self.taken = np.concatenate([self.taken, [[*place, *(place + size)]]])
        return float(place[0]), float(place[1])

    @staticmethod
    def _nearest(obstacles, wanted, size, room, reach):
        """The corner next to the wanted one where a plate touches no obstacle; None if that is out of reach."""
        near = obstacles[_overlap(obstacles, wanted - reach, size + 2 * reach)]
        corners = _corners(wanted, near, size)
        distances = np.hypot(*(corners - wanted).T)
        inside = np.all((corners >= 0) & (corners <= room), axis=1) & (distances <= reach)
        corners = corners[inside][np.argsort(distances[inside], kind="stable")]
        free = ~np.any(_overlap(near, corners[:, None], size), axis=1)
        return corners[free.argmax()] if free.any() else None


def tie_line(plate, box):
    """The shortest line from a plate to its box, both (y1, x1, y2, x2): two ends (x, y), or None where they touch."""
    ends = []
    for low, high, box_low, box_high in ((plate[1], plate[3], box[1], box[3]), (plate[0], plate[2], box[0], box[2])):
        inner = sorted((low, high, box_low, box_high))[1:3]
        touching = max(low, box_low) <= min(high, box_high) + 1
        ends.append((sum(inner) / 2,) * 2 if touching else inner if high < box_low else inner[::-1])
    return None if all(end[0] == end[1] for end in ends) else tuple(zip(*ends, strict=True))


def _corners(wanted, taken, size):
    """The wanted corner, and all that are flush with plates: [K, (y, x)]. The nearest free one is among them."""
    tops = np.unique(np.concatenate([wanted[:1], taken[:, 2], taken[:, 0] - size[0]]))
    lefts = np.unique(np.concatenate([wanted[1:], taken[:, 3], taken[:, 1] - size[1]]))
    return np.stack(np.meshgrid(tops, lefts, indexing="ij"), axis=-1).reshape(-1, 2)


def _overlap(boxes, corners, size):
    """Whether boxes [T, 4] share a pixel with plates at corners [..., 1 or none, (y, x)]: bool [..., T]."""
    ends = corners + size
    return ((boxes[:, 0] < ends[..., 0] - TOLERANCE) & (corners[..., 0] < boxes[:, 2] - TOLERANCE) &
            (boxes[:, 1] < ends[..., 1] - TOLERANCE) & (corners[..., 1] < boxes[:, 3] - TOLERANCE))
