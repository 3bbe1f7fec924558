"""Kernels for JAX."""

import keras

# Loops of a length that is not known before have none in JAX.
WITHOUT_GRADIENT = ("adaptive_roi_align",)


def sharing_devices():
    """See `generic.sharing_devices`."""
    return keras.distribution.list_devices()


def share_batches(devices):
    """See `generic.sharing_devices`. The compiler divides one program, written for the whole batch, among them."""
    distribution = keras.distribution.DataParallel(devices=devices)
    return distribution.scope, distribution.scope
