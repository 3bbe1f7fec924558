"""ResNets and ResNeXts as PyTorch's detectors have them (He et al. 2015, section 4.1; Xie et al. 2017, figure 3).

Against Matterport's: no convolution has a bias, the maximum of the stem is taken over a window centred on its pixel,
and, but for the networks that came from Microsoft's release, the stride sits in the 3x3 convolution. Layer names are
the same.
"""

from typing import NamedTuple

from keras import layers

from ..layers.batch_norm import norm_layer
from ..layers.grouped_conv import GroupedConv2D


class Architecture(NamedTuple):
    """Blocks of each stage, groups of the 3x3 convolutions, their width in stage 2, and where the stride is."""

    blocks: tuple
    groups: int = 1
    width: int = 64
    stride_in_1x1: bool = False


ARCHITECTURES = {
    "torch_resnet50": Architecture((3, 4, 6, 3)),
    "torch_resnet101": Architecture((3, 4, 23, 3)),
    "torch_resnext101_32x8d": Architecture((3, 4, 23, 3), groups=32, width=256),
    "msra_resnet50": Architecture((3, 4, 6, 3), stride_in_1x1=True),
    "msra_resnet101": Architecture((3, 4, 23, 3), stride_in_1x1=True),
}


def torch_resnet_graph(input_image, name, **norm):
    """The feature maps of the network `name`.

    Args:
        input_image: `[B, H, W, channels]` molded image.
        name: a key of `ARCHITECTURES`.
        norm: `norm`, `train_bn` and `epsilon` of `layers.batch_norm.norm_layer`.

    Returns:
        `[C1, C2, C3, C4, C5]` with 64, 256, 512, 1024 and 2048 channels and strides 4, 4, 8, 16 and 32.
    """
    architecture = ARCHITECTURES[name]
    x = layers.ZeroPadding2D(3)(input_image)
    x = layers.Conv2D(64, 7, strides=2, use_bias=False, name="conv1")(x)
    x = layers.Activation("relu")(norm_layer(name="bn_conv1", channels=64, **norm)(x))
    # After a ReLU a border of zeros never is the maximum of a window, so it stands for minus infinity.
    x = layers.MaxPooling2D(3, strides=2)(layers.ZeroPadding2D(1)(x))
    features = [x]
    for stage, blocks in enumerate(architecture.blocks, start=2):
        for index in range(blocks):
            stride = 2 if stage > 2 and index == 0 else 1
            x = _block(x, architecture, stage, f"{stage}{chr(ord('a') + index)}", stride, index == 0, norm)
        features.append(x)
    return features


def _block(x, architecture, stage, name, stride, projects, norm):
    """A bottleneck; where it `projects`, its shortcut is a strided 1x1 convolution."""
    width, channels = architecture.width * 2 ** (stage - 2), 64 * 2**stage
    strides = (stride, 1) if architecture.stride_in_1x1 else (1, stride)
    shortcut = _conv_norm(x, channels, 1, stride, f"{name}_branch1", norm) if projects else x
    x = layers.Activation("relu")(_conv_norm(x, width, 1, strides[0], f"{name}_branch2a", norm))
    x = _conv_norm(x, width, 3, strides[1], f"{name}_branch2b", norm, architecture.groups)
    x = _conv_norm(layers.Activation("relu")(x), channels, 1, 1, f"{name}_branch2c", norm)
    return layers.Activation("relu", name=f"res{name}_out")(layers.Add()([x, shortcut]))


def _conv_norm(x, filters, size, stride, name, norm, groups=1):
    padding = "same"
    if size > 1 and stride > 1:
        # Keras would pad the far side first.
        x, padding = layers.ZeroPadding2D(size // 2)(x), "valid"
    conv = layers.Conv2D if groups == 1 else GroupedConv2D
    x = conv(filters, size, strides=stride, padding=padding, groups=groups, use_bias=False, name=f"res{name}")(x)
    return norm_layer(name=f"bn{name}", channels=filters, **norm)(x)
