"""Whether a training step ever waits for its batch."""

import time

import keras

from mrcnn.data.generator import DataGenerator

from .host import coco_dataset
from .ours import Training


class TimedGenerator(DataGenerator):
    """Notes when each batch of the running epoch was ready, in `ready`, seconds by index."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.ready = {}

    def __getitem__(self, index):
        batch = super().__getitem__(index)
        self.ready[index] = time.perf_counter()
        return batch


class StepTimes(keras.callbacks.Callback):
    """Notes when each step of the last epoch began and ended, seconds by index."""

    def on_epoch_begin(self, epoch, logs=None):
        self.began, self.ended = {}, {}

    def on_train_batch_begin(self, batch, logs=None):
        self.began[batch] = time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        self.ended[batch] = time.perf_counter()


class Feeding(Training):
    """Training fed by the loader, as `train()` does it, from pictures and polygons on disk.

    Args:
        images, annotations: folder and file of a data set in COCO's format; by default one is made.
        args, kwargs: of `Training`.
    """

    def __init__(self, *args, images=None, annotations=None, **kwargs):
        super().__init__(*args, **kwargs)
        self.dataset = coco_dataset(images, annotations)
        self.sharing = self.model._sharing

    def devices(self):
        """Number of devices that share a batch; where fewer are here than asked for, the model has said so."""
        return self.sharing.device_count

    def epoch(self, steps):
        """Runs an epoch to trace the graph and another to measure.

        Returns:
            the seconds of the second epoch's steps, and those that each waited for its batch; without the first step,
            for which nothing can be loaded ahead.
        """
        times = StepTimes()
        with self.sharing.fit_scope():
            for _ in range(2):
                batches = TimedGenerator(self.dataset, self.config, steps=steps)
                self.model.keras_model.fit(batches, epochs=1, verbose=0, shuffle=False, callbacks=[times])
        measured = range(1, steps)
        seconds = [times.ended[step] - times.began[step] for step in measured]
        return seconds, [max(0.0, batches.ready[step] - times.began[step]) for step in measured]
