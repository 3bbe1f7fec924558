"""Training curves for TensorBoard, on any backend."""

import os
import socket
import time

import keras


class TensorBoardScalars(keras.callbacks.Callback):
    """Writes every epoch's logs as TensorBoard scalars, `val_*` beside their training twins.

    Keras' own callback needs TensorFlow; this one needs the `tensorboard` package alone.

    Args:
        log_dir: folder of the event file; made when training begins.

    Raises:
        ImportError: on construction, where `tensorboard` is not installed.
    """

    def __init__(self, log_dir):
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.record_writer import RecordWriter

        super().__init__()
        self._event, self._summary, self._writer_class = Event, Summary, RecordWriter
        self.log_dir = log_dir

    def on_train_begin(self, logs=None):
        os.makedirs(self.log_dir, exist_ok=True)
        name = f"events.out.tfevents.{int(time.time())}.{socket.gethostname()}.{os.getpid()}"
        self._path = os.path.join(self.log_dir, name)
        self._write(self._event(wall_time=time.time(), file_version="brain.Event:2"))

    def on_epoch_end(self, epoch, logs=None):
        values = [self._summary.Value(tag=f"epoch_{k}", simple_value=float(v)) for k, v in (logs or {}).items()]
        self._write(self._event(wall_time=time.time(), step=epoch, summary=self._summary(value=values)))

    def _write(self, event):
        # Opened anew each time: Keras does not tell callbacks that training ended with an error.
        with open(self._path, "ab") as file:
            self._writer_class(file).write(event.SerializeToString())
