"""A Keras model whose outputs are its losses."""

import keras
from keras import ops

from .keras_model import NamedModel
from .training_state import optimizer_variables

# Names of the scales and shifts of normalisation layers.
NOT_DECAYED = ("gamma", "beta")


class MeanOverBatch(keras.losses.Loss):
    """Mean of a `[B]` vector of losses.

    Reducing through `keras.losses.Loss` keeps the loss right under a distribution strategy, where a plain mean would
    count once for every replica.
    """

    def call(self, y_true, y_pred):
        return y_pred


@keras.saving.register_keras_serializable("mrcnn")
class LossModel(NamedModel):
    """Trains a functional graph whose outputs are `[B]` vectors named after their losses.

    The total is the weighted sum of the outputs' means plus weight decay; each loss is tracked, times its weight, under
    the name of the layer that made it, in training (`rpn_class_loss`) and in validation (`val_rpn_class_loss`).
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.loss_weights = {}
        self.weight_decay = 0.0
        self._reduce = MeanOverBatch()
        self._trackers = {name: keras.metrics.Mean(name=name) for name in self.loss_names}

    @property
    def loss_names(self):
        """Names of the losses, in the order of the outputs."""
        return [output._keras_history.operation.name for output in self.outputs]

    @property
    def metrics_tensors(self):
        """The loss tensors, `[B]` each, under the name that Keras 2 had for them."""
        return list(self.outputs)

    def set_losses(self, loss_weights, weight_decay):
        """Weights of the losses by name (a missing one counts 1) and the factor of the weight decay."""
        self.loss_weights = dict(loss_weights)
        self.weight_decay = float(weight_decay)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        total = 0.0
        for name, values in zip(self.loss_names, y_pred, strict=True):
            values = self.loss_weights.get(name, 1.0) * values
            self._trackers[name].update_state(values)
            total += self._reduce(ops.zeros_like(values), values)
        if self.weight_decay:
            decay = [self._decay(v) for v in self.trainable_variables if _decays(v)]
            total += self._reduce(ops.zeros((1,)), ops.reshape(sum(decay), (1,))) if decay else 0.0
        return total

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        # Keras' trainer for TensorFlow calls this before the first step. Its own version reads a batch and takes the
        # mean of it over the devices, which the bool masks do not bear; a graph has only its optimizer left to build.
        if self.optimizer is not None:
            optimizer_variables(self)

    def _decay(self, variable):
        value = ops.cast(variable, "float32")
        return self.weight_decay * ops.mean(ops.square(value))


def _decays(variable):
    """Every weight but the scales and shifts of normalisation layers."""
    return variable.path.rsplit("/", 1)[-1] not in NOT_DECAYED
