"""How a training model is set up: which layers learn, and by what optimizer."""

import difflib
import logging
import re

import keras

from .loss_model import NOT_DECAYED

logger = logging.getLogger(__name__)

LAYER_CHOICES = {
    "heads": r"(mrcnn\_.*)|(rpn\_.*)|(fpn\_.*)",
    "3+": r"(res3.*)|(bn3.*)|(res4.*)|(bn4.*)|(res5.*)|(bn5.*)|(mrcnn\_.*)|(rpn\_.*)|(fpn\_.*)",
    "4+": r"(res4.*)|(bn4.*)|(res5.*)|(bn5.*)|(mrcnn\_.*)|(rpn\_.*)|(fpn\_.*)",
    "5+": r"(res5.*)|(bn5.*)|(mrcnn\_.*)|(rpn\_.*)|(fpn\_.*)",
    "all": ".*",
}


def leaf_layers_with_weights(model):
    """The layers that own weights themselves, in graph order, from inside composite layers and models too."""
    owners = {}
    for layer in model._flatten_layers(include_self=False):
        inner = layer._flatten_layers(include_self=False)
        if layer.weights and not any(sublayer.weights for sublayer in inner):
            owners[id(layer)] = layer
    return list(owners.values())


def set_trainable(model, layer_regex):
    """Lets the leaf layers whose whole name matches `layer_regex` learn and freezes the others.

    Args:
        model: a built Keras model.
        layer_regex: a regular expression on layer names, as in `LAYER_CHOICES`.

    Returns:
        The layers that learn; none, and a warning, where none matches: Matterport's scripts go on then.

    Raises:
        ValueError: `layer_regex` is no regular expression.
    """
    leaves = leaf_layers_with_weights(model)
    try:
        chosen = [layer for layer in leaves if re.fullmatch(layer_regex, layer.name)]
    except (re.error, TypeError) as error:
        raise ValueError(f"layers={layer_regex!r} is not a regular expression: {error}.") from error
    if not chosen:
        logger.warning(_nothing_selected(layer_regex, [layer.name for layer in leaves]))
    names = {layer.name for layer in chosen}
    for layer in leaves:
        layer.trainable = layer.name in names
    return chosen


def _nothing_selected(layer_regex, names):
    close = difflib.get_close_matches(layer_regex, [*LAYER_CHOICES, *names], n=1)
    meant = f"Did you mean {close[0]!r}? " if close else ""
    return (
        f"layers={layer_regex!r} selects no layer with weights: NOTHING WILL BE TRAINED. {meant}Use one of "
        f"{sorted(LAYER_CHOICES)} or a regular expression on whole layer names such as {names[0]!r} or {names[-1]!r}."
    )


def compile_model(model, config, learning_rate, momentum=None):
    """Gives a `LossModel` its optimizer, loss weights and weight decay, and its normalisations their momentum.

    Every variable's gradient is clipped by itself to `GRADIENT_CLIP_NORM`, as Matterport's optimizer did.

    Args:
        model: a `LossModel`.
        config: a `Config`.
        learning_rate: a number or a `keras.optimizers.schedules.LearningRateSchedule`.
        momentum: of stochastic gradient descent, instead of the configuration's.
    """
    # Under TensorFlow's strategies Keras clips each device's share of the gradient, then adds them up.
    strategy = getattr(model, "distribute_strategy", None)
    shares = 1 if strategy is None else strategy.num_replicas_in_sync
    clip_norm = config.GRADIENT_CLIP_NORM
    options = {"learning_rate": learning_rate, "clipnorm": clip_norm / shares if clip_norm else None}
    decay = config.WEIGHT_DECAY
    if config.OPTIMIZER == "sgd":
        momentum = config.LEARNING_MOMENTUM if momentum is None else momentum
        optimizer = keras.optimizers.SGD(momentum=momentum, **options)
    elif config.OPTIMIZER == "adam":
        optimizer = keras.optimizers.Adam(**options)
    else:
        # Its decay is a part of the step and not of the loss (Loshchilov & Hutter 2019).
        optimizer = keras.optimizers.AdamW(weight_decay=decay, **options)
        # Backends add a path before a variable's name, and TensorFlow a number behind it.
        optimizer.exclude_from_weight_decay(var_names=[rf"(^|/){name}(:\d+)?$" for name in NOT_DECAYED])
        decay = 0.0
    if config.NORM_MOMENTUM is not None:
        for layer in leaf_layers_with_weights(model):
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.momentum = config.NORM_MOMENTUM
    model.set_losses(config.LOSS_WEIGHTS, decay)
    model.compile(optimizer=optimizer)


def rate_text(learning_rate):
    """A learning rate for people: a number as it is, a Keras schedule by the name of its class."""
    is_schedule = isinstance(learning_rate, keras.optimizers.schedules.LearningRateSchedule)
    return type(learning_rate).__name__ if is_schedule else str(learning_rate)
