"""Lets imgaug 0.4.0 be imported with numpy 2, whoever imports it first.

imgaug reads `numpy.sctypes`, which numpy 2 took away. This file imports only the standard
library, so it may run at every start of Python.
"""

import importlib.abc
import sys


def install_numpy_aliases():
    """Give numpy the `sctypes` table: now if numpy is loaded, else when imgaug is imported."""
    if "numpy" in sys.modules:
        _add_sctypes()
    elif not any(isinstance(finder, _BeforeImgaug) for finder in sys.meta_path):
        sys.meta_path.insert(0, _BeforeImgaug())


class _BeforeImgaug(importlib.abc.MetaPathFinder):
    """Finds nothing itself; it only acts just before the import of imgaug goes on."""

    def find_spec(self, fullname, path=None, target=None):
        if fullname == "imgaug":
            _add_sctypes()
        return None


def _add_sctypes():
    import numpy as np

    if hasattr(np, "sctypes"):
        return
    np.sctypes = {
        "int": [np.int8, np.int16, np.int32, np.int64],
        "uint": [np.uint8, np.uint16, np.uint32, np.uint64],
        "float": [np.float16, np.float32, np.float64],
        "complex": [np.complex64, np.complex128],
        "others": [bool, object, bytes, str, np.void],
    }
