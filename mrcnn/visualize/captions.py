"""Where captions go: inside the image, and off one another as long as there is room."""

import numpy as np

TRIES = 8


class CaptionLayout:
    """Gives plates a place, first come, first served.

    Args:
        image_shape: (height, width) in pixels.
    """

    def __init__(self, image_shape):
        self.height, self.width = image_shape[:2]
        self.taken = np.zeros([0, 4])

    def place(self, top, left, height, width):
        """Place of a plate of this size, as near below the wanted corner as is free.

        All arguments in pixels, floats allowed. Where everything near is taken, the wanted place is returned:
        a covered caption is better than one beside another object.

        Returns:
            (top, left), such that the plate lies inside the image if it fits at all.
        """
        left = min(max(left, 0), max(self.width - width, 0))
        lowest = max(self.height - height, 0)
        wanted = min(max(top, 0), lowest)
        candidates = [min(wanted + step * height, lowest) for step in range(TRIES)]
        candidates.append(max(wanted - height, 0))
        top = next((y for y in candidates if self._free(y, left, height, width)), wanted)
        self.taken = np.concatenate([self.taken, [[top, left, top + height, left + width]]])
        return top, left

    def _free(self, top, left, height, width):
        """Whether no plate so far overlaps this place."""
        y1, x1, y2, x2 = self.taken.T
        return not np.any((y1 < top + height) & (top < y2) & (x1 < left + width) & (left < x2))
