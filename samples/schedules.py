"""Training in stages: schedules of the learning rate, and ending cleanly within a time budget."""

import time

import keras
import numpy as np

from mrcnn.engine.training import rate_text


class LossRecorder(keras.callbacks.Callback):
    """Collects the logs of several calls of `train` in `.history` {name: [value per epoch]}."""

    def __init__(self):
        super().__init__()
        self.history = {}

    def on_epoch_end(self, epoch, logs=None):
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(float(value))


class TimeBudget(keras.callbacks.Callback):
    """Ends training after `minutes` of wall-clock time, between two batches.

    Keras then still validates and writes the checkpoint of the epoch it was in, so nothing is lost. The
    clock starts when training begins, compilation included, and runs on over further calls of `train`.
    """

    def __init__(self, minutes):
        super().__init__()
        self.seconds = 60.0 * minutes
        self.started = None

    @property
    def exhausted(self):
        """Whether the time is used up."""
        return self.started is not None and time.monotonic() - self.started >= self.seconds

    def on_train_begin(self, logs=None):
        if self.started is None:
            self.started = time.monotonic()

    def on_train_batch_end(self, batch, logs=None):
        if self.exhausted and not self.model.stop_training:
            print(f"\nTime budget of {self.seconds / 60:g} minutes used up: training ends here.")
            self.model.stop_training = True


class CosineOverTime(keras.callbacks.Callback):
    """Lets the learning rate fall along a cosine from its value at the start to 0 when `minutes` are over.

    It is set at the start of each epoch; the first epoch has a tenth of the rate, to warm up.
    """

    def __init__(self, rate, minutes):
        super().__init__()
        self.rate = rate
        self.seconds = 60.0 * minutes
        self.started = None

    def on_epoch_begin(self, epoch, logs=None):
        if self.started is None:
            self.started = time.monotonic()
            self.model.optimizer.learning_rate = self.rate / 10
            return
        progress = min(1.0, (time.monotonic() - self.started) / self.seconds)
        self.model.optimizer.learning_rate = self.rate * 0.5 * (1 + np.cos(np.pi * progress))


def run_schedule(model, train_set, val_set, stages, augmentation=None, minutes=None):
    """Train through `stages`: a list of (layers, learning rate, epochs, share of the time).

    Epochs and shares (0 to 1) count from the start, not from the end of the stage before. `minutes` bounds
    the whole: a stage ends when its epochs are done or its share of the minutes is used up, and a learning rate that
    is a number falls to 0 over that time.
    Stages whose epochs the model already has behind it are skipped. Returns {name: [value per epoch]}.
    """
    recorder, spent = LossRecorder(), 0.0
    for number, (layers, rate, epochs, share) in enumerate(stages, start=1):
        if epochs <= model.epoch:
            continue
        callbacks = [recorder]
        if minutes:
            left = minutes * share - spent
            if left <= 0:
                continue
            callbacks.append(TimeBudget(left))
            if isinstance(rate, int | float):
                callbacks.append(CosineOverTime(rate, left))
        print(f"Stage {number} of {len(stages)}: layers '{layers}' until epoch {epochs}, "
              f"learning rate {rate_text(rate)}" + (f", at most {left:.1f} minutes" if minutes else ""))
        began = time.monotonic()
        model.train(train_set, val_set, learning_rate=rate, epochs=epochs, layers=layers,
                    augmentation=augmentation, custom_callbacks=callbacks)
        spent += (time.monotonic() - began) / 60
    return recorder.history


def warm_cosine(rate, steps):
    """A learning rate that rises to `rate` over a twentieth of the steps and then falls to 0 along a cosine."""
    warmup = max(1, steps // 20)
    return keras.optimizers.schedules.CosineDecay(
        rate / 100, max(1, steps - warmup), warmup_target=rate, warmup_steps=warmup)
