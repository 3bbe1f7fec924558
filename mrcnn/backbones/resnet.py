"""ResNet-50 and ResNet-101 in the layout of Matterport's weight files (He et al. 2015, section 4.1).

The stride sits in the first 1x1 convolution of a stage, every convolution has a bias, and layer names are
`res<stage><block>_branch<branch>` and `bn<stage><block>_branch<branch>`.
"""

from keras import layers

from ..layers.batch_norm import norm_layer

BLOCKS_IN_STAGE_4 = {"resnet50": 6, "resnet101": 23}


def resnet_graph(input_image, architecture, stage5=False, train_bn=True, norm="batch", epsilon=1e-3):
    """The five feature maps of a ResNet.

    Args:
        input_image: `[B, H, W, channels]` molded image.
        architecture: `"resnet50"` or `"resnet101"`.
        stage5: whether to build the last stage.
        train_bn: see `layers.batch_norm.BatchNorm`.
        norm: `"batch"` or `"group"`.
        epsilon: what batch normalisations add to the variance.

    Returns:
        `[C1, C2, C3, C4, C5]` with 64, 256, 512, 1024 and 2048 channels and strides 4, 4, 8, 16 and 32
        (`C1` is taken after the pooling); `C5` is None without `stage5`.

    Raises:
        ValueError: unknown architecture.
    """
    if architecture not in BLOCKS_IN_STAGE_4:
        raise ValueError(
            f"Unknown ResNet {architecture!r}: expected one of {sorted(BLOCKS_IN_STAGE_4)}. "
            "Set config.BACKBONE to one of these or to a callable."
        )
    options = {"train_bn": train_bn, "norm": norm, "epsilon": epsilon}
    x = layers.ZeroPadding2D((3, 3))(input_image)
    x = layers.Conv2D(64, (7, 7), strides=(2, 2), name="conv1")(x)
    x = norm_layer(norm, train_bn, "bn_conv1", 64, epsilon)(x)
    x = layers.Activation("relu")(x)
    c1 = layers.MaxPooling2D((3, 3), strides=(2, 2), padding="same")(x)
    c2 = _stage(c1, 2, blocks=3, strides=(1, 1), **options)
    c3 = _stage(c2, 3, blocks=4, strides=(2, 2), **options)
    c4 = _stage(c3, 4, blocks=BLOCKS_IN_STAGE_4[architecture], strides=(2, 2), **options)
    c5 = _stage(c4, 5, blocks=3, strides=(2, 2), **options) if stage5 else None
    return [c1, c2, c3, c4, c5]


def _stage(x, stage, blocks, strides, **options):
    width = 64 * 2 ** (stage - 2)
    filters = [width, width, 4 * width]
    x = conv_block(x, 3, filters, stage, "a", strides=strides, **options)
    for index in range(1, blocks):
        x = identity_block(x, 3, filters, stage, chr(ord("a") + index), **options)
    return x


def identity_block(
    input_tensor, kernel_size, filters, stage, block, use_bias=True, train_bn=True, norm="batch", epsilon=1e-3
):
    """A bottleneck block whose shortcut is the identity; names end in `<stage><block>`."""
    options = {"use_bias": use_bias, "train_bn": train_bn, "norm": norm, "epsilon": epsilon}
    branch = _bottleneck(input_tensor, kernel_size, filters, stage, block, (1, 1), **options)
    return _join(branch, input_tensor, stage, block)


def conv_block(
    input_tensor,
    kernel_size,
    filters,
    stage,
    block,
    strides=(2, 2),
    use_bias=True,
    train_bn=True,
    norm="batch",
    epsilon=1e-3,
):
    """A bottleneck block whose shortcut is a strided 1x1 convolution; names end in `<stage><block>`."""
    options = {"use_bias": use_bias, "train_bn": train_bn, "norm": norm, "epsilon": epsilon}
    branch = _bottleneck(input_tensor, kernel_size, filters, stage, block, strides, **options)
    shortcut = _conv_norm(input_tensor, filters[2], 1, f"{stage}{block}_branch1", strides, **options)
    return _join(branch, shortcut, stage, block)


def _bottleneck(x, kernel_size, filters, stage, block, strides, **options):
    name = f"{stage}{block}_branch2"
    x = layers.Activation("relu")(_conv_norm(x, filters[0], 1, name + "a", strides, **options))
    x = layers.Activation("relu")(_conv_norm(x, filters[1], kernel_size, name + "b", (1, 1), **options))
    return _conv_norm(x, filters[2], 1, name + "c", (1, 1), **options)


def _conv_norm(x, filters, kernel_size, name, strides, use_bias, train_bn, norm, epsilon):
    x = layers.Conv2D(
        filters, kernel_size, strides=strides, padding="same", use_bias=use_bias, name="res" + name
    )(x)
    return norm_layer(norm, train_bn, "bn" + name, filters, epsilon)(x)


def _join(branch, shortcut, stage, block):
    return layers.Activation("relu", name=f"res{stage}{block}_out")(layers.Add()([branch, shortcut]))
