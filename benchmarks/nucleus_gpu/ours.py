"""This package's part of the comparison on nuclei."""

import time

import keras

from mrcnn.data.generator import EpochCounter
from mrcnn.engine.callbacks import NonFiniteLossGuard
from mrcnn.engine.training import LAYER_CHOICES
from samples import common
from samples.nucleus import nucleus
from samples.schedules import CosineOverTime, TimeBudget

from .shared import SMOKE_TIMING, TIMING, data_generator, measure, speed, training_config, write_row


class Progress(keras.callbacks.Callback):
    """Counts steps, takes times and notes each epoch's learning rate, for the other part to repeat."""

    def __init__(self, warm_up=1):
        super().__init__()
        self.warm_up, self.steps, self.rates = warm_up, 0, []
        self.began = self.first = self.ended = 0.0

    def on_train_begin(self, logs=None):
        self.began = time.monotonic()

    def on_epoch_begin(self, epoch, logs=None):
        self.rates.append(float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate)))

    def on_train_batch_end(self, batch, logs=None):
        self.steps += 1
        if self.steps == self.warm_up:
            # Reading the loss waits for the accelerator.
            float(logs["loss"])
            self.first = time.monotonic()

    def on_train_end(self, logs=None):
        self.ended = time.monotonic()


class Repeated(keras.utils.PyDataset):
    """One batch, over and over: what is timed with it is the model without the loading of images."""

    def __init__(self, batch, steps):
        super().__init__()
        self.batch, self.steps = batch, steps

    def __len__(self):
        return self.steps

    def __getitem__(self, index):
        return self.batch


def run_ours(args):
    """Train, time and evaluate this package's Mask R-CNN."""
    if keras.backend.backend() == "jax" and not args.smoke:
        _expect_gpu()
    if args.precision == "bfloat16":
        keras.config.set_dtype_policy("mixed_bfloat16")
    train_set = nucleus.load_dataset(args, "train")
    config = training_config(args, train_set)
    model = common.build_model("training", config, args.logs)
    model.set_trainable(LAYER_CHOICES["all"], verbose=0)
    model.compile(config.LEARNING_RATE)
    data = data_generator(train_set, config, args)
    row = _train(model, data, args)
    weights = args.logs / "ours.weights.h5"
    weights.parent.mkdir(parents=True, exist_ok=True)
    model.save_weights(str(weights))
    write_row(args, "ours", row)

    row["step_images_per_second"] = _step_speed(model, data[0], args.smoke)
    detector = common.build_model("inference", nucleus.make_config(nucleus.NucleusInferenceConfig, args), args.logs)
    detector.load_weights(str(weights), by_name=True)
    write_row(args, "ours", row | measure(detector, args))


def _expect_gpu():
    import jax

    if jax.default_backend() == "cpu":
        raise RuntimeError("JAX sees no GPU: install it with CUDA (`pip install jax[cuda12]`), or use --smoke.")


def _train(model, data, args):
    """As `MaskRCNN.train`, with a seed for the batches and without a checkpoint every epoch; returns the row."""
    config, progress = model.config, Progress()
    callbacks = [EpochCounter(data), TimeBudget(args.minutes), CosineOverTime(config.LEARNING_RATE, args.minutes),
                 NonFiniteLossGuard(), progress]
    history = model.keras_model.fit(data, epochs=1 if args.smoke else 1_000_000, shuffle=False, verbose=2,
                                    callbacks=callbacks).history
    return {**speed(progress.steps, config.BATCH_SIZE, progress.began, progress.first, progress.ended),
            "precision": args.precision, "steps_per_epoch": config.STEPS_PER_EPOCH, "rates": progress.rates,
            "loss": history["loss"]}


def _step_speed(model, batch, smoke):
    """Images a second on one batch from the host's memory."""
    warm_up, steps = SMOKE_TIMING if smoke else TIMING
    timer = Progress(warm_up)
    model.keras_model.fit(Repeated(batch, warm_up + steps), shuffle=False, verbose=0, callbacks=[timer])
    return steps * model.config.BATCH_SIZE / (timer.ended - timer.first)
