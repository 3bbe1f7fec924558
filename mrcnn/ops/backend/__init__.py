"""The one room that names backends.

`generic.py` is complete, pure `keras.ops` and the definition of truth. A file for a backend holds only the
kernels that measured faster there, or that `keras.ops` cannot promise there, under the same names.
"""

import contextlib
import contextvars
import importlib

import keras

_NATIVE_MODULES = {"tensorflow": "tf_kernels", "jax": "jax_kernels", "torch": "torch_kernels"}
_GENERIC_ONLY = contextvars.ContextVar("generic_only", default=False)


def _module(name):
    # Imported at first use: the generic kernels are themselves built from functions of `mrcnn.ops`.
    return importlib.import_module(f".{name}", __name__)


def _native_module():
    name = _NATIVE_MODULES.get(keras.backend.backend())
    return _module(name) if name and not _GENERIC_ONLY.get() else None


@contextlib.contextmanager
def generic_kernels():
    """What is traced within takes the generic kernels only: runtimes other than the backend's own know no others."""
    token = _GENERIC_ONLY.set(True)
    try:
        yield
    finally:
        _GENERIC_ONLY.reset(token)


def kernel(name):
    """The function `name` of the running backend, or the generic one.

    Raises:
        ValueError: there is no such kernel.
    """
    function = getattr(_native_module(), name, None) or getattr(_module("generic"), name, None)
    if function is None:
        raise ValueError(f"No kernel is called {name!r}. Define it in mrcnn/ops/backend/generic.py.")
    return function


def tries_out_batches():
    """Whether Keras takes what the first two batches have in common for the shape of all."""
    return getattr(_native_module(), "TRIES_OUT_BATCHES", False)


def supports_jit(*names):
    """Whether XLA can compile all these kernels; layers report it to Keras as `supports_jit`."""
    return not set(names) & set(getattr(_native_module(), "WITHOUT_XLA", ()))
