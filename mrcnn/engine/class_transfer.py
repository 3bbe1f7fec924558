"""Heads that have one part for each class: moving the parts from a file's classes to a model's, by name."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ClassMatch:
    """Where the classes of a model are found among those of a file.

    Attributes:
        names: the model's classes in order, the background first.
        file_names: the file's, likewise.
        positions: for each of `names` its index in `file_names`, None for a class that the file does not have.
        origin: where `file_names` come from: an argument's name, a path, "COCO".
    """

    names: tuple
    file_names: tuple
    positions: tuple
    origin: str

    @property
    def kept(self):
        """Names of the model's classes that the file has."""
        return tuple(name for name, there in zip(self.names, self.positions, strict=True) if there is not None)

    @property
    def new(self):
        """Names of the model's classes that the file does not have."""
        return tuple(name for name, there in zip(self.names, self.positions, strict=True) if there is None)

    @property
    def changes_nothing(self):
        """Whether model and file have the same classes in the same order."""
        return self.positions == tuple(range(len(self.file_names)))


def match_classes(names, file_names, origin="file_class_names"):
    """Find each class of a model among those of a file. The background, first in both, is the same under any name.

    Args:
        names: names of the model's classes; one that occurs twice takes the file's class of that name twice.
        file_names: names of the file's classes.
        origin: where `file_names` come from.

    Returns:
        `ClassMatch`.

    Raises:
        ValueError: a list lacks the background, or the file has a wanted name twice.
    """
    names, file_names = tuple(names), tuple(file_names)
    for what, own, other, others in (
        ("class_names", names, origin, file_names),
        (origin, file_names, "class_names", names),
    ):
        if own[0] in others[1:]:
            raise ValueError(
                f"{what} begins with {own[0]!r}, which {other} has among the objects: the first name is the "
                'background\'s, ["BG", ...].'
            )
    twice = [name for name in dict.fromkeys(names[1:]) if file_names[1:].count(name) > 1]
    if twice:
        raise ValueError(
            f"{origin} has several classes named {twice[0]!r}, so it is unclear which to take: pass "
            "file_class_names with names that differ, and the wanted one in class_names."
        )
    known = {name: position for position, name in enumerate(file_names) if position}
    return ClassMatch(names, file_names, (0, *(known.get(name) for name in names[1:])), origin)


def transfer_classes(values, file_values, match, unit):
    """A weight of the model in which the classes that the file has take the file's numbers.

    Args:
        values: `[..., C * unit]`, the model's weight, class by class along the last axis.
        file_values: `[..., F * unit]`, the file's.
        match: `ClassMatch` of C and F classes.
        unit: entries of one class: 1 (a logit, a mask) or 4 (box deltas).

    Returns:
        a new array of the shape and dtype of `values`.
    """
    here = [index for index, there in enumerate(match.positions) if there is not None]
    there = [match.positions[index] for index in here]
    moved = values.reshape(*values.shape[:-1], -1, unit).copy()
    moved[..., here, :] = file_values.reshape(*file_values.shape[:-1], -1, unit)[..., there, :]
    return moved.reshape(values.shape)


def fits_match(shape, file_shape, match, unit):
    """Whether two shapes differ by the number of classes at most, and have those of `match`."""
    return (
        shape[:-1] == file_shape[:-1]
        and shape[-1] == unit * len(match.names)
        and file_shape[-1] == unit * len(match.file_names)
    )
