"""What the tests of the public names share."""

import inspect

import keras

from mrcnn.engine.weights import read_weights


def begins_with(function, expected):
    """Asserts that `function` takes the arguments of the text `expected` first, in this order, with these defaults.

    Further arguments may follow, if they have defaults. `self` is left out of both.
    """
    scope = {}
    exec(f"def wanted({expected}): pass", scope)
    wanted = list(inspect.signature(scope["wanted"]).parameters.values())
    given = [p for p in inspect.signature(function).parameters.values() if p.name != "self"]
    shown = [(p.name, p.default) for p in given]
    assert shown[: len(wanted)] == [(p.name, p.default) for p in wanted]
    assert all(p.default is not p.empty or p.kind in (p.VAR_KEYWORD, p.VAR_POSITIONAL) for p in given[len(wanted) :])
    assert all(p.kind is p.POSITIONAL_OR_KEYWORD for p in given[: len(wanted)])


def values(model, layer):
    """The arrays of an outermost layer of a detector."""
    return [keras.ops.convert_to_numpy(w) for w in model.keras_model.get_layer(layer).weights]


def weights_in(path):
    """`{"layer/weight": array}` of a file."""
    return {"/".join(name): value for name, value in read_weights(path).items()}
