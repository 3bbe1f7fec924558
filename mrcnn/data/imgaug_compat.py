"""Lets imgaug 0.4.0, and scripts of its time, work with numpy 2, whoever imports imgaug first.

Python runs this file at every start, so it imports only what Python itself has loaded by then.
"""

import sys

_GEOMETRIC = "imgaug.augmenters.geometric"


def install_numpy_aliases():
    """Bring back what imgaug misses in numpy: now where they are loaded, else when imgaug is imported."""
    if "numpy" in sys.modules:
        _add_aliases()
    if _GEOMETRIC in sys.modules:
        _keep_float32(sys.modules[_GEOMETRIC])
    elif not any(type(finder).__name__ == _AroundImgaug.__name__ for finder in sys.meta_path):
        sys.meta_path.insert(0, _AroundImgaug())


class _AroundImgaug:
    """Finds modules as Python does, and acts just before or after some of them are executed."""

    def find_spec(self, fullname, path=None, target=None):
        if fullname == "imgaug":
            _add_aliases()
        if fullname != _GEOMETRIC:
            return None
        from importlib.machinery import PathFinder

        spec = PathFinder.find_spec(fullname, path, target)
        execute = spec.loader.exec_module

        def exec_module(module):
            execute(module)
            _keep_float32(module)

        spec.loader.exec_module = exec_module
        return spec


def _add_aliases():
    import numpy as np

    if not hasattr(np, "sctypes"):
        np.sctypes = {
            "int": [np.int8, np.int16, np.int32, np.int64],
            "uint": [np.uint8, np.uint16, np.uint32, np.uint64],
            "float": [np.float16, np.float32, np.float64],
            "complex": [np.complex64, np.complex128],
            "others": [bool, object, bytes, str, np.void],
        }
    for alias in (int, float, complex, object):
        # `in vars` and not hasattr, which makes numpy warn.
        if alias.__name__ not in vars(np):
            setattr(np, alias.__name__, alias)


def _keep_float32(geometric):
    """Under numpy 2's promotion the shifts of ElasticTransformation are float64, which OpenCV refuses."""
    original = geometric.ElasticTransformation._map_coordinates.__func__
    if getattr(original, "keeps_float32", False):
        return

    def map_coordinates(cls, image, dx, dy, *args, **kwargs):
        return original(cls, image, dx.astype("float32"), dy.astype("float32"), *args, **kwargs)

    map_coordinates.keeps_float32 = True
    geometric.ElasticTransformation._map_coordinates = classmethod(map_coordinates)
