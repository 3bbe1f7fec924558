"""Weight files of PyTorch's world: .pth, .safetensors and Detectron2's .pkl, as {key: array}."""

import contextlib
import re
import zipfile

import numpy as np

from .pickle_files import encode_pickle, read_pickle
from .pth_files import encode_pth, read_pth
from .safetensors_files import encode_safetensors, read_safetensors

_READERS = {"pth": read_pth, "safetensors": read_safetensors, "pickle": read_pickle}
# The number that files of PyTorch before 1.6 begin with, as a pickle.
_EARLY_PTH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19"
# The number of a protocol; or, where there is none, the making of a dict, or a name.
_PICKLE = re.compile(rb"\x80[\2-\5]|\(dp?\d*\n|\}[q(.]|c[\w.]+\n[\w.]+\n")
_START = 80
# Of safetensors; eight letters of a text are a far greater number.
_LONGEST_HEADER = 100 * 2**20
# Programs put the weights below one of these names, beside the state of their training.
_WRAPPERS = ("model", "state_dict")
_MOST_WRAPPERS = 9
# Training on several devices puts this before every key.
_PREFIX = "module."
_AUTHOR = "mrcnn"
SUFFIXES = (".pth", ".pkl", ".safetensors")


def kind_of(path):
    """"pth", "safetensors" or "pickle" by the content of the file `path`; None for all others."""
    with contextlib.suppress(zipfile.BadZipFile), zipfile.ZipFile(path) as archive:
        return "pth" if any(name.split("/")[-1] == "data.pkl" for name in archive.namelist()) else None
    with open(path, "rb") as file:
        start = file.read(_START)
    if start.startswith(_EARLY_PTH):
        return "pth"
    if _PICKLE.match(start):
        return "pickle"
    is_header = start[8:9] == b"{" and int.from_bytes(start[:8], "little") < _LONGEST_HEADER
    return "safetensors" if is_header else None


def read_state(path, kind):
    """The arrays of the file `path`, without wrappers and prefixes; half precision becomes float32.

    Args:
        path: the file.
        kind: see `kind_of`.

    Returns:
        {key: array}.

    Raises:
        ImportError: the file needs PyTorch, which is not installed.
        ValueError: the file is damaged, tries to run code, or holds no arrays.
    """
    content = _unwrap(_READERS[kind](path))
    if isinstance(content, dict):
        content = {
            key.removeprefix(_PREFIX): _plain(value)
            for key, value in content.items()
            if isinstance(key, str) and isinstance(value, np.ndarray)
        }
    if not isinstance(content, dict) or not content:
        raise ValueError(
            f"{path} holds no weights: expected a dict of arrays by name, perhaps below one of the names {_WRAPPERS}."
        )
    return content


def _unwrap(content):
    """What lies below the wrappers; None where they do not end, because one lies in itself."""
    for _ in range(_MOST_WRAPPERS):
        inner = [content[name] for name in _WRAPPERS if isinstance(content, dict) and name in content]
        inner = [part for part in inner if isinstance(part, dict)]
        if not inner:
            return content
        content = inner[0]
    return None


def _plain(array):
    """Half precision as float32, and the byte order of this machine."""
    if array.dtype.kind != "f":
        return array
    return array.astype(np.float32 if array.dtype.itemsize == 2 else array.dtype.newbyteorder("="), copy=False)


def encode_state(state, suffix, wrapped):
    """The bytes of a weight file.

    Args:
        state: {key: array}.
        suffix: ".pth", ".pkl" or ".safetensors".
        wrapped: whether the arrays lie below the name "model" (safetensors has no such names).

    Raises:
        ImportError: the file needs PyTorch, which is not installed.
    """
    if suffix == ".safetensors":
        return encode_safetensors(state)
    # Detectron2 guesses at the names in a file without an author.
    content = {"model": state, "__author__": _AUTHOR} if wrapped else state
    return encode_pth(content) if suffix == ".pth" else encode_pickle(content)
