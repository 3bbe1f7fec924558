"""Reading a weight file of any kind: its content tells which, not its name."""

import os

from .dialects.recognise import describe_fit, find_dialect, related_configuration
from .h5_layout import read_h5
from .stored_weights import StoredWeight, WeightFile
from .torch_files import kind_of, read_state


def read_file(path):
    """Read every weight of the file `path` into memory, in our names and shapes.

    Known are .h5 of Keras 1, 2 and 3, .keras, and of torchvision's and Detectron2's detectors .pth, .safetensors and
    .pkl.

    Returns:
        `WeightFile`.

    Raises:
        FileNotFoundError: there is no such file.
        ImportError: the file needs PyTorch, which is not installed.
        TypeError: `path` is no path.
        ValueError: the file is no weight file, is damaged, tries to run code, or is of another network.
    """
    path = checked_path(path)
    kind = kind_of(path)
    if kind is None:
        return read_h5(path)
    dialect, moved, unknown = read_foreign(path, kind)
    shapes = {row.name: row.ours.shape for row in moved}
    return WeightFile(
        path,
        tuple(StoredWeight(*row.name, row.entry.weight, row.ours) for row in moved),
        tuple(dict.fromkeys(row.entry.layer for row in moved)),
        dialect.name,
        describe_fit(dialect.name, shapes),
        tuple(unknown),
        related_configuration(dialect.name, shapes),
    )


def read_foreign(path, kind):
    """What the file of torchvision or Detectron2 `path` holds.

    Args:
        path: the file.
        kind: see `torch_files.kind_of`.

    Returns:
        its `Dialect`, and what `Dialect.read` returns.
    """
    state = read_state(path, kind)
    dialect = find_dialect(state, path)
    return dialect, *dialect.read(state, path)


def checked_path(path):
    """`path` as text.

    Raises:
        FileNotFoundError, TypeError, ValueError: it is no path of a single file.
    """
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"The path of the weight file is {path!r}; expected text or a pathlib.Path.")
    path = os.fspath(path)
    if os.path.exists(f"{path}.index") and not os.path.isfile(path):
        raise ValueError(
            f"{path} is a checkpoint in TensorFlow's own format ({path}.index), which has no layer names. Load it "
            "with the program that wrote it and save the weights there as an .h5 file."
        )
    if not os.path.exists(path):
        raise FileNotFoundError(f"There is no weight file {path} (looked from {os.getcwd()}).")
    if os.path.isdir(path):
        raise ValueError(f"{path} is a folder; name the .h5 file in it.")
    return path
