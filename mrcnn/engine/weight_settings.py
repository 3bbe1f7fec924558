"""Settings that decide what weights mean: the shapes of the arrays are the same under other values."""

import logging

import numpy as np

from ..configurations import READY

logger = logging.getLogger(__name__)

# Setting -> how the names of the layers begin whose weights compute something else under another value.
_DECIDES = {
    "BACKBONE": "res",
    "NORM_EPSILON": "bn",
    "MEAN_PIXEL": "conv1",
    "PIXEL_STD": "conv1",
    "RPN_ANCHOR_RATIOS": "rpn_",
    "RPN_BBOX_STD_DEV": "rpn_bbox_pred",
    "ROI_ALIGN": "mrcnn_",
    "BBOX_STD_DEV": "mrcnn_bbox_fc",
}
# The same of settings that make a difference which some training makes up for.
_TRAINED_WITH = {
    "RPN_ANCHOR_SCALES": "rpn_",
    "RPN_ANCHOR_WHOLE_PIXELS": "rpn_",
    "ROI_SAMPLING_RATIO": "mrcnn_",
    "KEYPOINT_OFFSET": "mrcnn_keypoint",
}
# Ready configuration and setting -> another value that files which look the same were trained with.
_OR = {
    (name, "NORM_EPSILON"): (1e-5,)
    for name, ready in READY.items()
    if name.startswith("torchvision") and ready.NORM_EPSILON == 0.0
}


def check_settings(config, configuration, path, layers):
    """Refuse weights that mean something else under the settings of `config`, and warn where they do in part.

    Whoever starts from a ready configuration with the file's values, and changes one, means it: that is a warning.

    Args:
        config: the model's `Config`.
        configuration: name of the ready configuration whose settings the weights were trained with.
        path: the file.
        layers: names of the layers that are to be loaded.

    Raises:
        ValueError: names each setting with both values, and the configuration to start from.
    """
    ready = READY[configuration]
    start = next((base for base in type(config).__mro__ if base in READY.values()), None)
    differing = [
        setting
        for setting, prefix in {**_DECIDES, **_TRAINED_WITH}.items()
        if any(layer.startswith(prefix) for layer in layers)
        and not any(
            _same(getattr(config, setting), value)
            for value in (getattr(ready, setting), *_OR.get((configuration, setting), ()))
        )
    ]
    if not differing:
        return
    wrong = [
        setting
        for setting in differing
        if setting in _DECIDES and not (start and _same(getattr(start, setting), getattr(ready, setting)))
    ]
    if wrong:
        raise ValueError(
            f'{path} holds weights for the settings of "{configuration}", and would compute something else with this '
            f"model's; nothing was loaded. {_listed(wrong, config, ready)}. Start from "
            f"mrcnn.configurations.{ready.__name__}: subclass it and set there what you mean to be different."
        )
    logger.warning(
        "%s was trained with other settings than this model's: %s. Training has to make up for it.",
        path, _listed(differing, config, ready),
    )  # fmt: skip


def _listed(settings, config, ready):
    return "; ".join(f"{name} is {_text(getattr(config, name))} here, {_text(getattr(ready, name))} there"
                     for name in settings)  # fmt: skip


def _text(value):
    return getattr(value, "__name__", None) or (repr(value) if isinstance(value, str) else str(value))


def _same(a, b):
    try:
        return bool(np.allclose(a, b))
    # Numbers of another count.
    except ValueError:
        return False
    # No numbers.
    except TypeError:
        return a == b
