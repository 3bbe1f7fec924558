"""Checkpoints of a training run: weights every epoch and what an exact resume needs besides."""

import os
from contextlib import contextmanager, suppress

import keras

from .atomic_file import CheckpointError, checkpoint_error, write_atomically
from .training_state import companion_path, learning_rate_of, remove_older_companions, save_training_state
from .weights import save_weights


class TrainingCheckpoint(keras.callbacks.Callback):
    """Writes the weights at the end of every epoch, atomically; the files of all epochs stay.

    Args:
        checkpoint_template: path with `{epoch:04d}`, see `run_folder.checkpoint_template`.

    Raises:
        CheckpointError: out of `fit`, when a file cannot be written. Earlier files are intact.
    """

    def __init__(self, checkpoint_template):
        super().__init__()
        self.checkpoint_template = os.fspath(checkpoint_template)

    def on_epoch_end(self, epoch, logs=None):
        path = self.checkpoint_template.format(epoch=epoch + 1)
        model = self.model
        with _stopping(model):
            # A state that belongs to earlier weights of this name must not outlive them.
            with suppress(FileNotFoundError):
                os.remove(companion_path(path))
            save_weights(model, path)


class TrainingState(keras.callbacks.Callback):
    """Writes what an exact resume needs besides the weights, atomically, beside the newest of them.

    Of these files, which are larger than the weights, only the newest stays. It comes after all callbacks that change
    the learning rate; the state of other callbacks (`EarlyStopping`, `ReduceLROnPlateau`) is not kept.

    Args:
        checkpoint_template: that of `TrainingCheckpoint`.
        learning_rate: the rate that the user asked for, from which callbacks may have departed; default: the
            optimizer's when training begins.
        data_seed: seed of the order of the images.

    Raises:
        CheckpointError: out of `fit`, when a file cannot be written. Earlier files are intact.
    """

    def __init__(self, checkpoint_template, learning_rate=None, data_seed=None):
        super().__init__()
        self.checkpoint_template = os.fspath(checkpoint_template)
        self.requested_rate = learning_rate
        self.data_seed = data_seed

    def on_train_begin(self, logs=None):
        if not isinstance(self.requested_rate, (int, float)):
            self.requested_rate = learning_rate_of(self.model.optimizer)

    def on_epoch_end(self, epoch, logs=None):
        path = self.checkpoint_template.format(epoch=epoch + 1)
        model = self.model
        with _stopping(model):
            save_training_state(model, path, epoch + 1, self.requested_rate, self.data_seed)
        remove_older_companions(path)


@contextmanager
def _stopping(model):
    """Training ends where the disk fails, also for those who catch the error."""
    try:
        yield
    except CheckpointError:
        model.stop_training = True
        raise


def check_writable(checkpoint_template):
    """Make the folder of the checkpoints and try it now, not after an epoch's work.

    Raises:
        CheckpointError: it cannot be written to.
    """
    path = os.fspath(checkpoint_template).format(epoch=0)
    folder = os.path.dirname(path) or os.curdir
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        raise checkpoint_error(folder, error) from error
    probe = f"{companion_path(path)}.probe"
    write_atomically(probe, b"")
    os.remove(probe)
