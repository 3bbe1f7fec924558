"""Any classification network of `keras.applications` as a backbone."""

import re
from operator import itemgetter

import keras
import numpy as np

from ..layers.batch_norm import BatchNorm, norm_layer

STRIDES = (2, 4, 8, 16, 32)
PROBE_SIZE = 256
_NUMBERED_NAME = re.compile(r"(.+?)(?:_(\d+))?")


def find_application(name):
    """The `keras.applications` constructor whose name matches, ignoring case, `_` and `-`, or None."""
    wanted = name.lower().replace("_", "").replace("-", "")
    for public_name in dir(keras.applications):
        if public_name.lower() == wanted and isinstance(
            constructor := getattr(keras.applications, public_name), type(find_application)
        ):
            return constructor
    return None


def application_graph(input_image, name, mean_pixel, pixel_std=1.0, train_bn=True, norm="batch"):
    """The last feature map of each stride of a `keras.applications` network.

    Args:
        input_image: `[B, H, W, channels]` molded image, `(pixel values - mean_pixel) / pixel_std`.
        name: a constructor of `keras.applications`, in any case, for example `"MobileNetV2"`.
        mean_pixel, pixel_std: one number, or one a channel; undone before the network's own preprocessing.
        train_bn: see `layers.batch_norm.BatchNorm`.
        norm: `"batch"` or `"group"`; with `"group"` every batch normalisation is replaced.

    Returns:
        `[C1, C2, C3, C4, C5]` at strides 2, 4, 8, 16 and 32.

    Raises:
        ValueError: unknown network, or one without feature maps at all of the strides 4 to 32.
    """
    constructor = find_application(name)
    if constructor is None:
        raise ValueError(
            f'config.BACKBONE = {name!r} is neither "resnet50", "resnet101", "light", a network of '
            "keras.applications nor a callable."
        )
    channels = input_image.shape[-1]
    network = constructor(include_top=False, weights=None, input_shape=(PROBE_SIZE, PROBE_SIZE, channels))
    _count_names_from_zero(network)
    if _missing_strides(_last_layers_by_stride(network)):
        # Inception networks and Xception drop the borders of some maps, so that no side is halved exactly.
        network = _copy(network, (PROBE_SIZE, PROBE_SIZE, channels), _with_same_padding)
    taps = _last_layers_by_stride(network)
    if missing := _missing_strides(taps):
        raise ValueError(
            f"config.BACKBONE = {name!r} has no feature map at stride {missing}; a pyramid needs 4, 8, 16 and "
            "32. Choose another network or pass a callable."
        )
    network = _copy(network, (None, None, channels), lambda layer: _with_own_norm(layer, train_bn, norm))
    outputs = [network.get_layer(taps.get(stride, taps[4])).output for stride in STRIDES]
    backbone = keras.Model(network.input, outputs, name=f"backbone_{network.name}")
    return backbone(_preprocess(input_image, constructor, mean_pixel, pixel_std))


def _count_names_from_zero(network):
    """Keras numbers unnamed layers over the whole process; weight files know layers by name, in every process."""
    unnamed = {}
    for layer in network.layers:
        stem, number = _NUMBERED_NAME.fullmatch(layer.name).groups()
        if stem.replace("_", "") == type(layer).__name__.lower():
            unnamed.setdefault(stem, []).append((int(number or 0), layer))
    for stem, layers in unnamed.items():
        for index, (_, layer) in enumerate(sorted(layers, key=itemgetter(0))):
            layer.name = f"{stem}_{index}" if index else stem


def _last_layers_by_stride(network):
    """Stride -> name of the last layer with a map of that stride."""
    last = {}
    for layer in network.layers:
        shape = getattr(layer.output, "shape", ())
        if len(shape) == 4 and shape[1] and PROBE_SIZE % shape[1] == 0:
            last[PROBE_SIZE // shape[1]] = layer.name
    return last


def _missing_strides(taps):
    return [stride for stride in STRIDES[1:] if stride not in taps]


def _copy(network, input_shape, copy_layer):
    """The network with new weights over an input of another shape, of the layers that `copy_layer` returns."""

    def copy(layer):
        if isinstance(layer, keras.Sequential):
            # Its configuration would bring the size of the map that it was built on.
            return keras.Sequential([copy(inner) for inner in layer.layers], name=layer.name)
        return copy_layer(layer)

    def call(layer, *args, mask=None, **kwargs):
        # Images have no mask, but the graph hands its None on, which only some normalisations take.
        return layer(*args, **kwargs)

    inputs = keras.Input(input_shape)
    return keras.models.clone_model(network, input_tensors=inputs, clone_function=copy, call_function=call)


def _with_same_padding(layer):
    config = layer.get_config()
    return layer.__class__.from_config({**config, "padding": "same"} if config.get("padding") == "valid" else config)


def _with_own_norm(layer, train_bn, norm):
    config = layer.get_config()
    if isinstance(layer, keras.layers.BatchNormalization):
        if norm == "group":
            return norm_layer(norm, train_bn, layer.name, layer.output.shape[-1])
        return BatchNorm.from_config({**config, "train_bn": train_bn})
    return layer.__class__.from_config(config)


def _preprocess(input_image, constructor, mean_pixel, pixel_std):
    if input_image.shape[-1] != 3:
        return input_image
    scale, offset = ([float(value) for value in np.broadcast_to(numbers, 3)] for numbers in (pixel_std, mean_pixel))
    pixels = keras.layers.Rescaling(scale, offset)(input_image)
    module = __import__(constructor.__module__, fromlist=["preprocess_input"])
    return module.preprocess_input(pixels)
