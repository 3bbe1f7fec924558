"""From the name in a configuration to feature maps."""

from .applications import application_graph
from .light import light_graph
from .resnet import BLOCKS_IN_STAGE_4, resnet_graph
from .torch_resnet import ARCHITECTURES, torch_resnet_graph


def backbone_graph(input_image, backbone, mean_pixel, pixel_std=1.0, train_bn=False, norm="batch", epsilon=1e-3):
    """The four feature maps that a pyramid is built on.

    Args:
        input_image: `[B, H, W, channels]` molded image.
        backbone: `"resnet50"`, `"resnet101"`, `"light"`, a key of `torch_resnet.ARCHITECTURES`, the name of a
            network in `keras.applications`, or a callable `(input_image, stage5=True, train_bn=...)` that returns
            `[C1, C2, C3, C4, C5]`.
        mean_pixel, pixel_std: what molding subtracted, and divided by.
        train_bn: see `layers.batch_norm.BatchNorm`.
        norm: `"batch"` or `"group"`; a callable backbone chooses for itself.
        epsilon: what batch normalisations add to the variance; a callable backbone and networks of
            `keras.applications` have their own.

    Returns:
        `[C2, C3, C4, C5]` at strides 4, 8, 16 and 32.

    Raises:
        ValueError: unknown name, or a callable that returns something else than five feature maps.
    """
    if callable(backbone):
        features = backbone(input_image, stage5=True, train_bn=train_bn)
        if len(features) != 5:
            raise ValueError(
                f"The callable in config.BACKBONE returned {len(features)} feature maps; "
                "expected [C1, C2, C3, C4, C5] (C1 may be None)."
            )
    elif backbone in BLOCKS_IN_STAGE_4:
        features = resnet_graph(input_image, backbone, stage5=True, train_bn=train_bn, norm=norm, epsilon=epsilon)
    elif backbone in ARCHITECTURES:
        features = torch_resnet_graph(input_image, backbone, train_bn=train_bn, norm=norm, epsilon=epsilon)
    elif backbone == "light":
        features = light_graph(input_image, train_bn=train_bn, norm=norm, epsilon=epsilon)
    else:
        features = application_graph(input_image, backbone, mean_pixel, pixel_std, train_bn=train_bn, norm=norm)
    return list(features[1:])
