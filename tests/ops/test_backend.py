"""The room of the backends."""

import keras
import pytest

from mrcnn.ops import backend
from mrcnn.ops.backend import generic

pytestmark = pytest.mark.jax


def test_a_kernel_unknown_everywhere_is_refused():
    with pytest.raises(ValueError, match="nonsense"):
        backend.kernel("nonsense")


def test_kernels_without_a_native_version_are_generic():
    assert backend.kernel("grouped_nms") is generic.grouped_nms


def test_only_what_xla_cannot_compile_forbids_it():
    assert backend.supports_jit("grouped_nms", "top_k")
    assert backend.supports_jit("nms", "crop_and_resize") == (keras.backend.backend() != "tensorflow")


def test_generic_kernels_can_be_asked_for_and_end_with_an_error():
    with pytest.raises(KeyError), backend.generic_kernels():
        assert backend.kernel("nms") is generic.nms
        raise KeyError
    assert (backend.kernel("nms") is generic.nms) == (keras.backend.backend() != "tensorflow")
