"""The callbacks of a training run, and the one that guards its losses."""

import logging
import math
from functools import partial

import keras
import numpy as np

from ..data.generator import EpochCounter
from .checkpoints import TrainingCheckpoint, TrainingState
from .tensorboard import TensorBoardScalars
from .training_state import optimizer_variables

logger = logging.getLogger(__name__)


def training_callbacks(run, train_data, val_data, learning_rate, custom_callbacks=()):
    """The callbacks of `fit`, in the order in which Keras calls them.

    The user's come after the weights are written, so that none of them can cost an epoch and all of them find its file,
    and before what records the epoch: the optimizer's state, with the learning rate they may have changed, and the
    curves, with what they added to the logs.

    Args:
        run: has `checkpoint_path`, the template of weight files, `log_dir`, and `epoch`, which is set to the number of
            finished epochs.
        train_data, val_data: `DataGenerator`s; `val_data` may be None.
        learning_rate: a number or a Keras schedule.
        custom_callbacks: the user's, a list or a single one.
    """
    if isinstance(custom_callbacks, keras.callbacks.Callback):
        custom_callbacks = [custom_callbacks]
    choose_monitor_modes(custom_callbacks)

    def count_epoch(epoch, logs):
        run.epoch = epoch + 1

    ids_of = [data and partial(_names_of_batch, data) for data in (train_data, val_data)]
    callbacks = [
        EpochCounter(train_data),
        NonFiniteLossGuard(*ids_of),
        TrainingCheckpoint(run.checkpoint_path),
        keras.callbacks.LambdaCallback(on_epoch_end=count_epoch),
        *custom_callbacks,
        TrainingState(run.checkpoint_path, learning_rate, train_data.seed),
    ]
    try:
        callbacks.append(TensorBoardScalars(run.log_dir))
    except ImportError:
        logger.warning("No TensorBoard files are written: install them with `pip install tensorboard`.")
    return callbacks


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


def _names_of_batch(data, batch):
    return [f"{i} ({data.dataset.image_info[i]['id']})" for i in data.image_ids_of(batch)]


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
    """Stops training at the first loss that is not finite, of training or of validation, and undoes the epoch.

    At the start of each epoch the model's and the optimizer's variables are copied to the host. Keras logs running
    means, in which one NaN or infinity stays: the first batch whose logs have it is the one that made it.

    Args:
        image_ids_of: function from the index of a batch in the running epoch to the ids of its images.
        validation_ids_of: the same for batches of the validation data.

    Raises:
        NonFiniteLossError: out of `fit`, after the variables are restored.
    """

    def __init__(self, image_ids_of=None, validation_ids_of=None):
        super().__init__()
        self.image_ids_of = image_ids_of
        self.validation_ids_of = validation_ids_of
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
        self._check(logs, "", batch, self.image_ids_of)

    on_test_batch_begin = on_train_batch_begin

    def on_test_batch_end(self, batch, logs=None):
        self._check(logs, "val_", batch, self.validation_ids_of)

    def _check(self, logs, prefix, batch, image_ids_of):
        broken = [name for name, value in (logs or {}).items() if not math.isfinite(value)]
        if broken:
            losses = [prefix + name for name in broken if name != "loss"] or [prefix + name for name in broken]
            self._restore()
            raise self._error(losses, batch, image_ids_of)

    def on_train_end(self, logs=None):
        self._snapshot = []

    def _restore(self):
        # Asking for `self.model` makes Keras' JAX trainer hand its state over to the variables, so that it does not
        # overwrite them with it when it stops. It costs time: ask only when training ends.
        model = self.model
        model.stop_training = True
        for variable, value in self._snapshot:
            variable.assign(value)

    def _error(self, losses, batch, image_ids_of):
        image_ids = [name for index in range(self._first_batch, batch + 1) for name in _images(image_ids_of, index)]
        training = image_ids_of is self.image_ids_of
        before = _images(image_ids_of, self._first_batch - 1) if training and self._first_batch else []
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

    def _rate(self):
        try:
            return f" (it is {float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate)):g})"
        except (TypeError, ValueError):
            return ""


def _images(image_ids_of, batch):
    if image_ids_of is None:
        return []
    try:
        return [str(image_id) for image_id in image_ids_of(batch)]
    except Exception as error:  # The loss is the news: a failing look-up must not hide it.
        return [f"ids unknown: {error}"]


def _listed(image_ids):
    return "images " + ", ".join(image_ids) if image_ids else "images unknown"
