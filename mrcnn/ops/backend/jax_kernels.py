"""Kernels for JAX."""

import keras


def sharing_devices():
    """See `generic.sharing_devices`."""
    return keras.distribution.list_devices()


def share_batches(devices):
    """See `generic.sharing_devices`. The compiler divides one program, written for the whole batch, among them."""
    distribution = keras.distribution.DataParallel(devices=devices)
    return distribution.scope, distribution.scope


def grouped_conv(x, kernel, strides, padding, groups):
    """See `generic.grouped_conv`. One operation, because XLA takes half a minute to compile a layer of 32."""
    return keras.ops.conv(x, kernel, strides, padding, data_format="channels_last")
