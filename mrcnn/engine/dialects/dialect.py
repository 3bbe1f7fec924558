"""What one program calls each weight of a network: a table between its keys and our names, read in both directions."""

import re
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .transforms import CONVOLUTION

# Entries that are no weights: counters of batches, anchors and pixel statistics, which are settings here.
_NO_WEIGHTS = re.compile(r"(^|\.)(num_batches_tracked|anchor_generator\..*|pixel_mean|pixel_std)$")
_NORM = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}
# Stages have letters for their blocks.
_MOST_BLOCKS = 26


class Entry(NamedTuple):
    """One row of the table: a key, the layer and weight that we call it, and the `Step`s from their array to ours."""

    key: str
    layer: str
    weight: str
    steps: tuple = ()

    def read(self, array):
        """Their array as ours, contiguous."""
        for step in self.steps:
            array = step.read(array)
        return np.ascontiguousarray(array)

    def write(self, array):
        """Our array as theirs, contiguous."""
        for step in reversed(self.steps):
            array = step.write(array)
        return np.ascontiguousarray(array)


class Moved(NamedTuple):
    """An array that changed hands: the row of the table, their array and ours."""

    entry: Entry
    theirs: np.ndarray
    ours: np.ndarray

    @property
    def name(self):
        """Our layer and weight."""
        return self.entry.layer, self.entry.weight


@dataclass(frozen=True)
class Dialect:
    """Names and shapes of one program.

    Attributes:
        name: "torchvision" or "detectron2".
        marks: beginnings of keys that no other dialect has.
        tables: alternative tables, each a tuple of `Entry`. They differ in the heads that go by one name.
        renamed: {regular expression of an earlier key: today's}.
    """

    name: str
    marks: tuple
    tables: tuple
    renamed: dict

    def read(self, state, path):
        """Their arrays as ours.

        Args:
            state: {key: array}.
            path: the file, for errors.

        Returns:
            list of `Moved` in the table's order, and list of the keys that belong to no layer known here.

        Raises:
            ValueError: an array has other axes or no floats, or two keys mean one weight.
        """
        by_key = {}
        for key in state:
            today = self._today(key)
            if today in by_key:
                raise ValueError(f"{path} has {by_key[today]} and {key}, two names of one weight: remove one of them.")
            by_key[today] = key
        table = max(self.tables, key=lambda entries: sum(entry.key in by_key for entry in entries))
        known = [entry for entry in table if entry.key in by_key]
        moved = [_read(entry, state[by_key[entry.key]], path) for entry in known]
        left = by_key.keys() - {entry.key for entry in known}
        return moved, [key for today, key in by_key.items() if today in left and not _NO_WEIGHTS.search(key)]

    def write(self, weights, path):
        """Our arrays as theirs.

        Args:
            weights: {(layer, weight): array}.
            path: the file they come from, for errors.

        Returns:
            list of `Moved` in the table's order.

        Raises:
            ValueError: this program has no place for a weight, or an array has other axes.
        """
        table = max(self.tables, key=lambda entries: sum((entry.layer, entry.weight) in weights for entry in entries))
        by_name = {(entry.layer, entry.weight): entry for entry in table}
        strange = [f"{layer}/{weight}" for layer, weight in weights if (layer, weight) not in by_name]
        if strange:
            raise ValueError(
                f"{path} has weights that no detector of {self.name} has, {', '.join(strange[:4])} ({len(strange)} in "
                "all), so it cannot be written for it: only weights of a model that was built from one of the "
                "configurations for torchvision and Detectron2 can."
            )
        return [_write(entry, weights[name], path) for name, entry in by_name.items() if name in weights]

    def _today(self, key):
        for earlier, today in self.renamed.items():
            renamed, count = re.subn(earlier, today, key)
            if count:
                return renamed
        return key


def _read(entry, theirs, path):
    if theirs.dtype.kind != "f":
        raise ValueError(f"{path}: {entry.key} holds {theirs.dtype}, expected floats: quantised weights are not read.")
    try:
        return Moved(entry, theirs, entry.read(theirs))
    except (ValueError, IndexError) as error:
        raise _misshapen(path, entry.key, theirs, entry) from error


def _write(entry, ours, path):
    try:
        return Moved(entry, entry.write(ours), ours)
    except (ValueError, IndexError) as error:
        raise _misshapen(path, f"{entry.layer}/{entry.weight}", ours, entry) from error


def _misshapen(path, name, array, entry):
    return ValueError(
        f"{path}: {name} has the shape {tuple(array.shape)}, which is not one of "
        f"{entry.layer}/{entry.weight} ({how(entry)}): the weights are of another network."
    )


def how(entry):
    """What `entry` does with their array, in words."""
    return ", ".join(step.text for step in entry.steps) or "as it is"


def layer(key, name, *steps, layout=CONVOLUTION, bias=True):
    """Rows of a layer with a kernel: `steps` for kernel and bias, `layout` for the kernel only."""
    yield Entry(f"{key}.weight", name, "kernel", (*steps, layout))
    if bias:
        yield Entry(f"{key}.bias", name, "bias", steps)


def norm(key, name):
    """Rows of a batch normalisation."""
    return (Entry(f"{key}.{theirs}", name, ours) for theirs, ours in _NORM.items())


def residual_blocks():
    """Stage (2 to 5), index and our name ("4b") of every block that a table has room for."""
    for stage in (2, 3, 4, 5):
        for index in range(_MOST_BLOCKS):
            yield stage, index, f"{stage}{chr(ord('a') + index)}"
