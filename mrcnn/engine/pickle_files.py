"""Pickles of arrays: read by an unpickler that cannot run anything, written so that old numpy reads them.

A pickle is a program; `pickle.load` runs whatever a stranger wrote into it. This one knows numpy's arrays and plain
containers.
"""

import collections
import io
import pickle

import numpy as np

# These numbers of the format write names as text lines, and whole arrays as bytes.
_PROTOCOL = 3
_NUMPY_2, _NUMPY_1 = b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n"


class _Refused(Exception):
    """The pickle names something that no weights need."""


def _reconstruct(_kind, shape, code):
    return np.ndarray(shape, np.dtype(code))


def _from_buffer(buffer, dtype, shape, order):
    return np.frombuffer(buffer, dtype).reshape(shape, order=order)


def _scalar(dtype, content):
    return np.frombuffer(content, dtype)[0]


def _encode(text, encoding):
    if encoding != "latin1":
        raise _Refused(f"the encoding {encoding!r}")
    return text.encode("latin1")


def _no_bytes():
    return b""


# What numpy 1 and 2 write for an array, by the names of both; our own functions stand in for numpy's.
_ADMITTED = {
    **{
        (f"numpy.{core}.{module}", name): stand_in
        for core in ("core", "_core")
        for module, name, stand_in in (
            ("multiarray", "_reconstruct", _reconstruct),
            ("multiarray", "scalar", _scalar),
            ("numeric", "_frombuffer", _from_buffer),
        )
    },
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("collections", "OrderedDict"): collections.OrderedDict,
    # How an early protocol writes bytes.
    ("_codecs", "encode"): _encode,
    ("__builtin__", "bytes"): _no_bytes,
}


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module, name):
        if (module, name) not in _ADMITTED:
            raise _Refused(f"{module}.{name}")
        return _ADMITTED[module, name]

    def persistent_load(self, pid):
        raise _Refused(f"an object that lies outside the file ({pid!r})")


def read_pickle(path):
    """The object in the pickle `path`: arrays, numbers and text in dicts, lists, tuples and sets.

    Raises:
        ValueError: the file is damaged, or it names anything else, of which nothing was run.
    """
    try:
        with open(path, "rb") as file:
            # latin1 is what arrays that Python 2 pickled need.
            return _ArrayUnpickler(file, encoding="latin1").load()
    except _Refused as error:
        raise ValueError(
            f"{path} is refused: besides arrays it asks for {error}, which could run a stranger's code. Nothing of it "
            "was run. If you trust the file, open it with the program that wrote it and save its arrays as "
            ".safetensors."
        ) from error
    # Random bytes can make an unpickler raise almost anything.
    except Exception as error:
        raise ValueError(
            f"{path} cannot be read as a pickle: it is truncated or damaged ({type(error).__name__}: {error}). Delete "
            "it and download or copy it again."
        ) from error


def encode_pickle(content):
    """The bytes of a pickle of `content`: arrays, numbers and text in plain containers."""
    buffer = io.BytesIO()
    pickle.Pickler(buffer, _PROTOCOL).dump(content)
    # numpy 1 does not know its modules by the names that numpy 2 writes; the first mention is the only one.
    return buffer.getvalue().replace(_NUMPY_2, _NUMPY_1, 1)
