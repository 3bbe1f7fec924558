"""Pickles of arrays: read without running anything, written so that old numpy reads them."""

import io
import pickle
import re

import numpy as np

from .pickle_machine import Refused, as_key, run

# These numbers of the format write names as text lines, and whole arrays as bytes.
_PROTOCOL = 3
_NUMPY_2, _NUMPY_1 = b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n"
# Truth values, whole and floating numbers. In arrays of others the bytes may be addresses of objects.
_PLAIN_TYPE = re.compile(r"b1|[iu][1248]|f[248]")
_BYTE_ORDERS = ("<", ">", "=", "|")
# Stands for numpy's class of arrays, which can be named but neither called nor changed.
_NDARRAY = object()
# A stranger's names may be of any length.
_SHOWN = 200


class _NumberType:
    """Stands for a dtype of numpy. Only its byte order can be set."""

    def __init__(self, code):
        if not (isinstance(code, str) and _PLAIN_TYPE.fullmatch(code)):
            raise Refused(f"an array of the type {code!r}")
        self.dtype = np.dtype(code)


def _number_type(code, _align=False, _copy=False):
    return _NumberType(code)


def _reconstruct(kind, _shape, _code):
    if kind is not _NDARRAY:
        raise Refused("an array of a class of its own")
    return np.empty(0, "u1")


def _from_buffer(buffer, kind, shape, order, axes=None):
    if type(kind) is not _NumberType or type(shape) is not tuple or not isinstance(buffer, (bytes, bytearray)):
        raise Refused("an array of something else than numbers")
    if not all(isinstance(side, int) and side >= 0 for side in shape):
        raise ValueError(f"an array has the shape {shape}")
    array = np.frombuffer(buffer, kind.dtype)
    return array.reshape(shape, order=order) if axes is None else array.reshape(shape).transpose(axes)


def _scalar(kind, content):
    return _from_buffer(_as_bytes(content), kind, (), "C").item()


def _encode(text, encoding):
    if encoding != "latin1":
        raise Refused(f"the encoding {encoding!r}")
    return text.encode("latin1")


def _no_bytes():
    return b""


def _ordered_dict(pairs=()):
    return {as_key(key): value for key, value in pairs}


def _as_bytes(content):
    """Python 2 had one type for bytes and text."""
    return content.encode("latin1") if isinstance(content, str) else content


def _set_state(target, state):
    """Gives an array its numbers or a type its byte order, and nothing else anything."""
    if type(target) is np.ndarray:
        _, shape, kind, by_columns, content = state
        content = _as_bytes(content)
        array = _from_buffer(content, kind, shape, "F" if by_columns else "C")
        target.__setstate__((1, array.shape, array.dtype, bool(by_columns), bytes(content)))
    elif type(target) is _NumberType:
        _, order, *parts = state
        if order not in _BYTE_ORDERS or any(part is not None for part in parts[:3]):
            raise Refused("an array of records")
        target.dtype = target.dtype.newbyteorder(order)
    else:
        raise Refused(f"a change of a value of the type {type(target).__name__}")


# What numpy 1 and 2 write for an array, by the names of both; our own functions stand in for numpy's.
_NAMES = {
    **{
        (f"numpy.{core}.{module}", name): stand_in
        for core in ("core", "_core")
        for module, name, stand_in in (
            ("multiarray", "_reconstruct", _reconstruct),
            ("multiarray", "scalar", _scalar),
            ("numeric", "_frombuffer", _from_buffer),
        )
    },
    ("numpy", "ndarray"): _NDARRAY,
    ("numpy", "dtype"): _number_type,
    ("collections", "OrderedDict"): _ordered_dict,
    # How an early protocol writes bytes.
    ("_codecs", "encode"): _encode,
    ("__builtin__", "bytes"): _no_bytes,
}


def read_pickle(path):
    """The object in the pickle `path`: arrays of numbers, numbers and text in dicts, lists, tuples and sets.

    Raises:
        ValueError: the file is damaged, or it asks for anything else, of which nothing was run.
    """
    with open(path, "rb") as file:
        content = file.read()
    try:
        return run(content, _NAMES, _set_state)
    except Refused as error:
        raise ValueError(
            f"{path} is refused: besides arrays of numbers it asks for {str(error)[:_SHOWN]}, which could run a "
            "stranger's code. Nothing of it was run. If you trust the file, open it with the program that wrote it and "
            "save its arrays as .safetensors."
        ) from error
    # Random bytes can make the commands raise almost anything.
    except Exception as error:
        raise ValueError(
            f"{path} cannot be read as a pickle: it is truncated or damaged ({type(error).__name__}: "
            f"{str(error)[:_SHOWN]}). Delete it and download or copy it again."
        ) from error


def encode_pickle(content):
    """The bytes of a pickle of `content`: arrays, numbers and text in plain containers."""
    buffer = io.BytesIO()
    pickle.Pickler(buffer, _PROTOCOL).dump(content)
    # numpy 1 does not know its modules by the names that numpy 2 writes; the first mention is the only one.
    return buffer.getvalue().replace(_NUMPY_2, _NUMPY_1, 1)
