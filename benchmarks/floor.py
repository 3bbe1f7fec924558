"""What the network's multiplications cost on this machine when nothing else is done.

The multiplications are counted from the layers, while the network runs once: every convolution and every matrix
product with its shapes. Each kind is then timed alone, compiled, in the network's precision; the floor is the sum.
"""

import contextlib
import statistics
import time
from collections import Counter
from typing import NamedTuple
from unittest import mock

import keras
import numpy as np
from keras import ops

from mrcnn.layers.window_conv import WindowConv2D

from .compiled import compiled


class Product(NamedTuple):
    """One convolution or matrix product.

    kind: "conv", "deconv" or "matmul"; inputs, kernel: shapes; strides, padding: of the convolution.
    """

    kind: str
    inputs: tuple
    kernel: tuple
    strides: tuple = ()
    padding: str = ""

    def multiplications(self):
        """How many multiply-adds it takes, not counting those with padding apart."""
        if self.kind == "matmul":
            return int(np.prod(self.inputs)) * self.kernel[-1]
        places = self.inputs[:3] if self.kind == "deconv" else _conv_places(self)
        return int(np.prod(places)) * int(np.prod(self.kernel))

    def seconds(self, dtype, repeats):
        """Median time of it alone."""
        rng = np.random.default_rng(0)
        arrays = [ops.cast(rng.normal(size=shape).astype("float32"), dtype) for shape in (self.inputs, self.kernel)]
        run = compiled(_OPERATIONS[self.kind](self))
        run(*arrays)
        times = []
        for _ in range(repeats):
            began = time.perf_counter()
            run(*arrays)
            times.append(time.perf_counter() - began)
        return statistics.median(times)


_OPERATIONS = {
    "conv": lambda p: lambda x, kernel: ops.conv(x, kernel, strides=p.strides, padding=p.padding),
    "deconv": lambda p: lambda x, kernel: ops.conv_transpose(x, kernel, strides=p.strides, padding=p.padding),
    "matmul": lambda p: lambda x, kernel: ops.matmul(x, kernel),
}


def _conv_places(product):
    batch, *sides = product.inputs[:3]
    kernel = product.kernel[:2] if product.padding == "valid" else (1, 1)
    cells = [-(-(side - k + 1) // s) for side, k, s in zip(sides, kernel, product.strides, strict=True)]
    return batch, *cells


def count_products(run):
    """Runs `run()` eagerly and counts the products of its layers: a `Counter` of `Product`."""
    found = Counter()

    def conv(original, layer, inputs, kernel):
        found[Product("conv", tuple(inputs.shape), tuple(kernel.shape), layer.strides, layer.padding)] += 1
        return original(layer, inputs, kernel)

    def deconv(original, layer, inputs):
        found[Product("deconv", tuple(inputs.shape), tuple(layer.kernel.shape), layer.strides, layer.padding)] += 1
        return original(layer, inputs)

    def dense(original, layer, inputs, *args, **kwargs):
        rows = int(np.prod(inputs.shape[:-1]))
        found[Product("matmul", (rows, inputs.shape[-1]), tuple(layer.kernel.shape))] += 1
        return original(layer, inputs, *args, **kwargs)

    def window(original, layer, inputs):
        width = int(np.prod(inputs.shape[1:]))
        found[Product("matmul", (inputs.shape[0], width), (width, layer.filters))] += 1
        return original(layer, inputs)

    layers = keras.layers
    with contextlib.ExitStack() as stack:
        for owner, name, watch in (
            (layers.Conv2D, "convolution_op", conv),
            (layers.Conv2DTranspose, "call", deconv),
            (layers.Dense, "call", dense),
            (WindowConv2D, "call", window),
        ):
            stack.enter_context(mock.patch.object(owner, name, _watched(watch, getattr(owner, name))))
        run()
    return found


def _watched(watch, original):
    return lambda layer, *args, **kwargs: watch(original, layer, *args, **kwargs)


def measure_floor(products, dtype, repeats=5):
    """The floor of these products.

    Returns:
        a dict: `seconds`; `multiplications`, in billions; `rate`, billions of multiplications a second.
    """
    seconds = sum(count * product.seconds(dtype, repeats) for product, count in products.items())
    billions = sum(count * product.multiplications() for product, count in products.items()) / 1e9
    return {"seconds": seconds, "multiplications": billions, "rate": billions / seconds}
