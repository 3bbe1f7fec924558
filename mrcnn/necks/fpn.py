"""Feature pyramid network (Lin et al. 2017, section 3)."""

from keras import layers

from ..layers.batch_norm import norm_layer


class FPN:
    """Turns `[C2, C3, C4, C5]` into `[P2, P3, P4, P5, P6]`, all with `channels` channels.

    The layers are made once and stay visible by name in every graph they are called in. P6 is P5 at every second
    pixel; it serves the anchors of the largest scale only.

    Args:
        channels: width of the pyramid.
        use_bias: whether the convolutions have a bias.
        norm: what follows each convolution, see `layers.batch_norm.norm_layer`.
        options: `train_bn` and `epsilon` of that.
    """

    def __init__(self, channels=256, use_bias=True, norm="none", **options):
        def conv(size, name):
            steps = [layers.Conv2D(channels, size, padding="same", use_bias=use_bias, name=name)]
            if norm != "none":
                steps.append(norm_layer(norm, name=f"{name}_bn", channels=channels, **options))
            return steps

        self.lateral = {level: conv(1, f"fpn_c{level}p{level}") for level in (5, 4, 3, 2)}
        self.upsample = {level: layers.UpSampling2D(2, name=f"fpn_p{level}upsampled") for level in (5, 4, 3)}
        self.add = {level: layers.Add(name=f"fpn_p{level}add") for level in (4, 3, 2)}
        self.smooth = {level: conv(3, f"fpn_p{level}") for level in (2, 3, 4, 5)}
        self.subsample = layers.MaxPooling2D(pool_size=1, strides=2, name="fpn_p6")

    def __call__(self, features):
        c2, c3, c4, c5 = features
        merged = {5: _through(self.lateral[5], c5)}
        for level, feature in ((4, c4), (3, c3), (2, c2)):
            above = self.upsample[level + 1](merged[level + 1])
            merged[level] = self.add[level]([above, _through(self.lateral[level], feature)])
        pyramid = [_through(self.smooth[level], merged[level]) for level in (2, 3, 4, 5)]
        return pyramid + [self.subsample(pyramid[-1])]


def _through(steps, x):
    for step in steps:
        x = step(x)
    return x
