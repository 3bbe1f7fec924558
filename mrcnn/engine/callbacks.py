"""Callbacks that guard a training run, and what those of Keras have to be told."""

import math

import keras
import numpy as np

from .checkpoints import optimizer_variables


class NonFiniteLossError(ArithmeticError):
    """A loss became infinite or not a number; the model has the weights of the epoch's start again.

    Attributes:
        losses: names of the losses that are not finite.
        epoch: the epoch, counted from 1.
        batch: index of the batch in the epoch, counted from 0.
        image_ids: list of str, the images of that batch.
    """

    def __init__(self, message, losses, epoch, batch, image_ids):
        super().__init__(message)
        self.losses = losses
        self.epoch = epoch
        self.batch = batch
        self.image_ids = image_ids


class NonFiniteLossGuard(keras.callbacks.Callback):
    """Stops training at the first loss that is not finite and undoes the epoch.

    At the start of each epoch the model's and the optimizer's variables are copied to the host. Keras logs running
    means, in which one NaN or infinity stays: the first batch whose logs have it is the one that made it.

    Args:
        image_ids_of: function from the index of a batch in the running epoch to the ids of its images.

    Raises:
        NonFiniteLossError: out of `fit`, after the variables are restored.
    """

    def __init__(self, image_ids_of=None):
        super().__init__()
        self.image_ids_of = image_ids_of
        self._snapshot = []
        self._epoch = 0
        self._first_batch = 0

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch
        model = self.model
        variables = [*model.variables, *optimizer_variables(model)]
        # A view of the backend's own memory could change, or be given away, during the epoch.
        self._snapshot = [(v, np.array(keras.ops.convert_to_numpy(v.value), copy=True)) for v in variables]

    def on_train_batch_begin(self, batch, logs=None):
        self._first_batch = batch

    def on_train_batch_end(self, batch, logs=None):
        broken = [name for name, value in (logs or {}).items() if not math.isfinite(value)]
        if broken:
            losses = [name for name in broken if name != "loss"] or broken
            self._restore()
            raise self._error(losses, batch)

    def on_train_end(self, logs=None):
        self._snapshot = []

    def _restore(self):
        # Asking for `self.model` makes Keras' JAX trainer hand its state over to the variables, so that it does not
        # overwrite them with it when it stops. It costs time: ask only when training ends.
        model = self.model
        model.stop_training = True
        for variable, value in self._snapshot:
            variable.assign(value)

    def _error(self, losses, batch):
        image_ids = [name for index in range(self._first_batch, batch + 1) for name in self._images(index)]
        before = self._images(self._first_batch - 1) if self._first_batch else []
        batch_before = f" The batch before ({_listed(before)}) may have spoilt the weights." if before else ""
        return NonFiniteLossError(
            f"{', '.join(losses)} not finite in epoch {self._epoch + 1}, batch {batch} ({_listed(image_ids)})."
            f"{batch_before} Training is stopped and the model has the weights of the epoch's start again. Lower the "
            f"learning rate{self._rate()} or GRADIENT_CLIP_NORM, and look at the annotations of these images: boxes "
            "without area, empty masks, class ids outside 0..NUM_CLASSES-1, pixels that are NaN.",
            losses,
            self._epoch + 1,
            batch,
            image_ids,
        )

    def _images(self, batch):
        if self.image_ids_of is None:
            return []
        try:
            return [str(image_id) for image_id in self.image_ids_of(batch)]
        except Exception as error:  # The loss is the news: a failing look-up must not hide it.
            return [f"ids unknown: {error}"]

    def _rate(self):
        try:
            return f" (it is {float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate)):g})"
        except (TypeError, ValueError):
            return ""


def choose_monitor_modes(callbacks):
    """Tells callbacks that look for the best value of a loss or of `mAP`, with `mode="auto"`, which one that is.

    Keras 3 knows it for `loss` and for metrics given to `compile`, and raises for the parts of the loss; Keras 2 took
    the lowest value.
    """
    for callback in callbacks:
        monitor = getattr(callback, "monitor", None)
        if getattr(callback, "mode", None) != "auto" or not isinstance(monitor, str):
            continue
        if monitor.endswith("_loss"):
            callback.mode = "min"
        elif "mAP" in monitor:
            callback.mode = "max"


def _listed(image_ids):
    return "images " + ", ".join(image_ids) if image_ids else "images unknown"
