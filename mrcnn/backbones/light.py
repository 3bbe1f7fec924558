"""A small residual network that trains from random weights on a CPU in minutes."""

from keras import layers

from ..layers.batch_norm import norm_layer

WIDTHS = {2: 32, 3: 64, 4: 128, 5: 256}


def light_graph(input_image, train_bn=True, norm="batch", epsilon=1e-3):
    """Two basic residual blocks a stage (He et al. 2015, figure 5 left), a quarter of ResNet-18's work.

    Args:
        input_image: `[B, H, W, channels]` molded image (pixel values minus the mean).
        train_bn: see `layers.batch_norm.BatchNorm`.
        norm: `"batch"` or `"group"`.
        epsilon: what batch normalisations add to the variance.

    Returns:
        `[C1, C2, C3, C4, C5]` with 32, 32, 64, 128 and 256 channels and strides 2, 4, 8, 16 and 32.
    """
    options = {"train_bn": train_bn, "norm": norm, "epsilon": epsilon}
    # Initialisers expect inputs of unit variance; pixel values minus the mean have a deviation near 64.
    x = layers.Rescaling(1 / 64, name="light_rescale")(input_image)
    c1 = _conv_norm_relu(x, WIDTHS[2], 3, 2, "light_stem", **options)
    features = [c1]
    x = c1
    for stage, width in WIDTHS.items():
        x = _basic_block(x, width, 2, f"light{stage}a", **options)
        x = _basic_block(x, width, 1, f"light{stage}b", **options)
        features.append(x)
    return features


def _basic_block(x, width, strides, name, **options):
    shortcut = x
    if strides != 1 or x.shape[-1] != width:
        shortcut = layers.AveragePooling2D(strides, padding="same")(x) if strides != 1 else x
        shortcut = _conv_norm(shortcut, width, 1, 1, name + "_shortcut", **options)
    branch = _conv_norm_relu(x, width, 3, strides, name + "_conv1", **options)
    branch = _conv_norm(branch, width, 3, 1, name + "_conv2", **options)
    return layers.Activation("relu", name=name + "_out")(layers.Add()([branch, shortcut]))


def _conv_norm_relu(x, width, kernel_size, strides, name, **options):
    return layers.Activation("relu")(_conv_norm(x, width, kernel_size, strides, name, **options))


def _conv_norm(x, width, kernel_size, strides, name, train_bn, norm, epsilon):
    x = layers.Conv2D(
        width, kernel_size, strides=strides, padding="same", use_bias=False,
        kernel_initializer="he_normal", name=name,
    )(x)
    return norm_layer(norm, train_bn, name + "_bn", width, epsilon)(x)
