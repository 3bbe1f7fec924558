"""The weights of a Keras model, each with the names under which files and users know it."""

from dataclasses import dataclass

import keras

from .weight_names import weights_by_order

# Matterport kept the region proposal network as a model of its own, so its files have one group for all of it.
NESTED_GROUPS = ("rpn_model",)


@dataclass(frozen=True)
class ModelWeight:
    """One float variable of a model.

    Attributes:
        layer: name of the leaf layer that owns it ("rpn_conv_shared").
        weight: its name there ("kernel").
        ordinal: the name that its place in the layer suggests, see `weights_by_order`.
        path: names of all layers around it and the leaf layer, joined by "/" ("rpn_model/rpn_conv_shared").
        variable: the `keras.Variable`.
    """

    layer: str
    weight: str
    ordinal: str
    path: str
    variable: object

    @property
    def group(self):
        """Name of the outermost layer."""
        return self.path.split("/", 1)[0]

    @property
    def name(self):
        """Leaf layer and weight: "rpn_conv_shared/kernel"."""
        return f"{self.layer}/{self.weight}"


def list_weights(model):
    """Every weight of `model` once, in graph order.

    Random seeds, metrics, optimizer variables and integer counters are no weights.

    Returns:
        list of `ModelWeight`.
    """
    owners, seen = {}, set()
    # A weight may come up again: in a shared layer, or a second time as one of the model around its layer.
    for path, variable in _walk(model, ()):
        if id(variable) not in seen and "float" in str(variable.dtype):
            seen.add(id(variable))
            owners.setdefault(path, []).append(variable)
    found = []
    for path, variables in owners.items():
        ordinals = weights_by_order([variable.shape for variable in variables])
        for variable, ordinal in zip(variables, ordinals, strict=True):
            weight = variable.path.rsplit("/", 1)[-1]
            found.append(ModelWeight(path[-1], weight, ordinal, "/".join(path), variable))
    return found


def _walk(model, above):
    for layer in model.layers:
        # Layers of a model inside the model are named without the outer model's name, in a composite layer with it.
        if isinstance(layer, keras.Model):
            yield from _walk(layer, (*above, layer.name))
        for variable in layer.weights:
            yield (*above, *_owners(layer, variable)), variable


def _owners(layer, variable):
    if isinstance(layer, keras.layers.Wrapper):
        return (layer.name,)
    parents = tuple(variable.path.split("/")[:-1])
    if layer.name in parents:
        return parents[parents.index(layer.name) :]
    return (layer.name, *parents)
