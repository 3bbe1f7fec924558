"""How PyTorch's arrays become ours and back, without changing a bit.

A step works on a kernel and on its bias alike wherever it changes outputs only: they are PyTorch's first axis (O).
Letters: O outputs, I inputs, C channels, H W height and width of a kernel.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

# Height and width of the regions that the box heads flatten.
WINDOW = 7
# (dx, dy, dw, dh) to (dy, dx, dh, dw), and back.
_SWAP_AXES = [1, 0, 3, 2]


class Step(NamedTuple):
    """A change of an array and how to undo it.

    Attributes:
        text: what `read` does, in a few words.
        read: theirs -> ours. It raises ValueError or IndexError where the array has other axes.
        write: ours -> theirs.
    """

    text: str
    read: Callable
    write: Callable


def _permutation(text, axes):
    return Step(text, lambda a: a.transpose(axes), lambda a: a.transpose(np.argsort(axes)))


def _flat_to_window(a):
    return a.reshape(len(a), -1, WINDOW, WINDOW).transpose(2, 3, 1, 0)


def _window_to_flat(a):
    return a.transpose(3, 2, 0, 1).reshape(a.shape[-1], -1)


def _swap_deltas(a):
    return a.reshape(-1, 4, *a.shape[1:])[:, _SWAP_AXES].reshape(a.shape)


def _flip_channels(a):
    return a[:, ::-1]


def no_background(unit):
    """The step that puts zeros for the background first, `unit` outputs, and drops them on the way back."""
    return Step(
        "zeros for the background put first",
        lambda a: np.concatenate([np.zeros((unit, *a.shape[1:]), a.dtype), a]),
        lambda a: a[unit:],
    )


CONVOLUTION = _permutation("OIHW to HWIO", (2, 3, 1, 0))
TRANSPOSED_CONVOLUTION = _permutation("IOHW to HWOI", (2, 3, 1, 0))
DENSE = _permutation("OI to IO", (1, 0))
DENSE_AS_CONVOLUTION = Step("OI to 11IO", lambda a: a.T[None, None], lambda a: a.reshape(a.shape[-2:]).T)
FLAT_AS_CONVOLUTION = Step("O(CHW) to HWCO", _flat_to_window, _window_to_flat)
FLAT_AS_DENSE = Step(
    "O(CHW) to (HWC)O",
    lambda a: _flat_to_window(a).reshape(-1, len(a)),
    lambda a: _window_to_flat(a.reshape(WINDOW, WINDOW, -1, a.shape[-1])),
)
DELTAS = Step("dx dy dw dh to dy dx dh dw", _swap_deltas, _swap_deltas)
BACKGROUND_LAST = Step("background put first", lambda a: np.roll(a, 1, axis=0), lambda a: np.roll(a, -1, axis=0))
BGR = Step("BGR to RGB", _flip_channels, _flip_channels)
