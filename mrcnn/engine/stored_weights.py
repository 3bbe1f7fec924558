"""What any weight file holds, in our names and shapes, whoever wrote it."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class StoredWeight:
    """One array of a weight file.

    Attributes:
        layer: name of the leaf layer ("rpn_conv_shared").
        weight: name of the weight in it ("kernel").
        ordinal: the name that its place in the layer suggests, for layers whose file keeps no names.
        value: float array.
        aliases: further names of the layer: its whole path in the file, its name in Matterport's words.
    """

    layer: str
    weight: str
    ordinal: str
    value: np.ndarray
    aliases: tuple = ()


@dataclass(frozen=True)
class WeightFile:
    """What a weight file holds.

    Attributes:
        path: the file.
        weights: its `StoredWeight`s.
        layer_names: the names of all its layers.
        dialect: whose names and shapes it had: "torchvision", "detectron2"; empty for files of Keras.
        fits: a sentence on the ready configuration that the weights belong to; empty for files of Keras.
        unknown: its entries that belong to no layer known here.
        configuration: name of the ready configuration with the settings that decide what the weights mean; None where
            there is none, as for files of Keras.
    """

    path: str
    weights: tuple
    layer_names: tuple
    dialect: str = ""
    fits: str = ""
    unknown: tuple = ()
    configuration: str | None = None
