"""Checkpoints during training and exact resuming from them."""

import errno
import os
import random
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from mrcnn.engine import atomic_file
from mrcnn.engine.atomic_file import CheckpointError
from mrcnn.engine.checkpoints import TrainingCheckpoint, TrainingState, check_writable
from mrcnn.engine.run_folder import checkpoint_template
from mrcnn.engine.training_state import companion_path, restore_training_state, saved_data_seed
from mrcnn.engine.weights import load_weights, read_weights

from .small_models import ArrayBatches, detector, randomise, same, values

RNG = np.random.default_rng(5)
X = RNG.uniform(size=(8, 8, 8, 3)).astype("float32")
Y = RNG.uniform(size=(8, 16)).astype("float32")


def _model(optimizer="sgd", rate=0.01, dropout=0.5, frozen=()):
    model = randomise(detector(dropout=dropout))
    for name in frozen:
        model.get_layer(name).trainable = False
    made = {
        "sgd": lambda: keras.optimizers.SGD(rate, momentum=0.9),
        "adam": lambda: keras.optimizers.Adam(rate),
    }[optimizer]()
    model.compile(made, "mse")
    return model


def _fit(model, folder, first, last, *callbacks, **options):
    template = checkpoint_template(str(folder), "Cells")
    check_writable(template)
    model.fit(ArrayBatches(X, Y, 4), shuffle=False, verbose=0, initial_epoch=first, epochs=last,
              callbacks=[TrainingCheckpoint(template), *callbacks, TrainingState(template, **options)])


def _path(folder, epoch):
    return os.path.join(str(folder), f"mask_rcnn_cells_{epoch:04d}.h5")


class _Jitter(keras.callbacks.Callback):
    """Uses both global random generators as augmentation does; stores what it drew."""

    def __init__(self):
        super().__init__()
        self.drawn = []

    def on_epoch_begin(self, epoch, logs=None):
        self.drawn.append((random.random(), np.random.normal()))


def _optimizer_values(model):
    return [np.asarray(keras.ops.convert_to_numpy(v.value)).tolist() for v in model.optimizer.variables]


@pytest.mark.jax
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_resume_is_exact(tmp_path, optimizer):
    random.seed(1), np.random.seed(1)
    straight, drawn = _model(optimizer), _Jitter()
    _fit(straight, tmp_path / "straight", 0, 3, drawn)

    random.seed(1), np.random.seed(1)
    _fit(_model(optimizer), tmp_path / "parts", 0, 2, _Jitter())
    random.seed(77), np.random.seed(77)
    resumed, again = _model(optimizer), _Jitter()
    path = _path(tmp_path / "parts", 2)
    load_weights(resumed, path)
    assert restore_training_state(resumed, path) is True
    _fit(resumed, tmp_path / "parts", 2, 3, again)

    assert same(values(straight), values(resumed))
    assert _optimizer_values(straight) == _optimizer_values(resumed)
    assert drawn.drawn[2:] == again.drawn


@pytest.mark.jax
def test_every_epoch_is_kept_with_one_state(tmp_path):
    model = _model()
    seen = []
    watch = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(values(model)))
    _fit(model, tmp_path, 0, 3, watch)
    assert sorted(os.listdir(tmp_path)) == [
        "mask_rcnn_cells_0001.h5", "mask_rcnn_cells_0002.h5", "mask_rcnn_cells_0003.h5",
        "state_of_mask_rcnn_cells_0003.npz",
    ]
    for epoch in (1, 2, 3):
        stored = read_weights(_path(tmp_path, epoch))
        for path, value in seen[epoch - 1].items():
            np.testing.assert_array_equal(stored[tuple(path.split("/")[-2:])], value)
    assert not same(seen[0], seen[1])


def test_state_files_of_other_runs_stay(tmp_path):
    other = tmp_path / "state_of_mask_rcnn_cells_big_0001.npz"
    other.write_bytes(b"")
    _fit(_model(), tmp_path, 0, 2)
    assert other.exists()


def test_without_state_it_is_told_what_is_lost(tmp_path, caplog):
    _fit(_model(), tmp_path, 0, 2)
    assert restore_training_state(_model(), _path(tmp_path, 1)) is False
    assert "momentum" in caplog.text and "start afresh" in caplog.text


@pytest.mark.parametrize("content", [b"", b"text", None])
def test_damaged_state_is_told_and_survived(tmp_path, caplog, content):
    _fit(_model(), tmp_path, 0, 1)
    path = companion_path(_path(tmp_path, 1))
    with open(path, "rb") as file:
        whole = file.read()
    with open(path, "wb") as file:
        file.write(whole[:-200] if content is None else content)
    assert restore_training_state(_model(), _path(tmp_path, 1)) is False
    assert "cannot be read" in caplog.text


@pytest.mark.parametrize("change", [{"optimizer": "adam"}, {"frozen": ["conv1", "rpn_model"]}])
def test_other_layers_or_optimizer_start_with_a_fresh_optimizer(tmp_path, caplog, change):
    _fit(_model(), tmp_path, 0, 1)
    model = _model(**change)
    assert restore_training_state(model, _path(tmp_path, 1)) is False
    assert int(model.optimizer.iterations) == 0
    assert "other layers are trained now" in caplog.text


def test_uncompiled_model_is_refused(tmp_path):
    with pytest.raises(ValueError, match="Compile the model"):
        restore_training_state(detector(), _path(tmp_path, 1))


class _HalveRate(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        self.model.optimizer.learning_rate = float(self.model.optimizer.learning_rate) / 2


@pytest.mark.jax
def test_learning_rate_comes_back_unless_the_user_asks_for_another(tmp_path):
    _fit(_model(rate=0.01), tmp_path, 0, 2, _HalveRate())
    path = _path(tmp_path, 2)
    same_wish, other_wish = _model(rate=0.01), _model(rate=0.001)
    assert restore_training_state(same_wish, path) and restore_training_state(other_wish, path)
    assert float(same_wish.optimizer.learning_rate) == pytest.approx(0.0025)
    assert float(other_wish.optimizer.learning_rate) == pytest.approx(0.001)

    _fit(same_wish, tmp_path, 2, 3, _HalveRate(), learning_rate=0.01)
    third = _model(rate=0.01)
    assert restore_training_state(third, _path(tmp_path, 3))
    assert float(third.optimizer.learning_rate) == pytest.approx(0.00125)


def test_learning_rate_schedule_goes_on(tmp_path):
    def scheduled():
        model = detector()
        rate = keras.optimizers.schedules.ExponentialDecay(0.01, 2, 0.5)
        model.compile(keras.optimizers.SGD(rate, momentum=0.9), "mse")
        return model

    _fit(scheduled(), tmp_path, 0, 2)
    model = scheduled()
    assert restore_training_state(model, _path(tmp_path, 2)) is True
    assert int(model.optimizer.iterations) == 4
    assert float(model.optimizer.learning_rate) == pytest.approx(0.0025)


@pytest.mark.jax
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES])
def test_failing_disk_stops_training_and_leaves_the_last_checkpoint(tmp_path, monkeypatch, number):
    class BreakDisk(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                monkeypatch.setattr(atomic_file.os, "replace", self.fail)

        @staticmethod
        def fail(source, target):
            raise OSError(number, os.strerror(number), source)

    model = _model()
    with pytest.raises(CheckpointError, match="mask_rcnn_cells_0002.h5") as caught:
        _fit(model, tmp_path, 0, 5, BreakDisk())
    assert os.strerror(number) in str(caught.value) and "intact" in str(caught.value)
    monkeypatch.undo()
    assert sorted(os.listdir(tmp_path)) == ["mask_rcnn_cells_0001.h5", "state_of_mask_rcnn_cells_0001.npz"]
    resumed = _model()
    load_weights(resumed, _path(tmp_path, 1))
    assert restore_training_state(resumed, _path(tmp_path, 1)) is True


def test_unwritable_folder_is_told(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(CheckpointError, match="choose another model_dir"):
        check_writable(checkpoint_template(str(tmp_path / "file" / "run"), "Cells"))


def test_the_seed_of_the_data_comes_back(tmp_path):
    _fit(_model(), tmp_path, 0, 1, data_seed=7)
    assert saved_data_seed(_path(tmp_path, 1)) == 7
    assert saved_data_seed(_path(tmp_path, 2)) is None


def test_a_state_never_outlives_its_weights(tmp_path, monkeypatch):
    _fit(_model(), tmp_path, 0, 1)

    class BreakState(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            monkeypatch.setattr("mrcnn.engine.checkpoints.save_training_state", self.fail)

        @staticmethod
        def fail(*_):
            raise CheckpointError("no room")

    with pytest.raises(CheckpointError, match="no room"):
        _fit(_model(), tmp_path, 0, 1, BreakState())
    assert os.listdir(tmp_path) == ["mask_rcnn_cells_0001.h5"]


_TWO_REPLICAS = """
import sys
import numpy as np, tensorflow as tf
devices = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(devices[0], [tf.config.LogicalDeviceConfiguration()] * 2)
import keras
from mrcnn.engine.callbacks import NonFiniteLossError, NonFiniteLossGuard
from mrcnn.engine.checkpoints import TrainingCheckpoint, TrainingState
from mrcnn.engine.training_state import restore_training_state
from mrcnn.engine.weights import load_weights
from tests.engine.small_models import detector, randomise, same, values

strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
x, y = np.random.default_rng(0).uniform(size=(8, 8, 8, 3)).astype("float32"), np.zeros((8, 16), "float32")
template = sys.argv[1] + "/mask_rcnn_a_{epoch:04d}.h5"
options = dict(batch_size=4, shuffle=False, verbose=0)

def make():
    with strategy.scope():
        model = randomise(detector())
        model.compile(keras.optimizers.SGD(0.01, momentum=0.9), "mse")
        return model

straight, resumed = make(), make()
callbacks = [NonFiniteLossGuard(), TrainingCheckpoint(template), TrainingState(template)]
straight.fit(x, y, epochs=2, callbacks=callbacks, **options)
load_weights(resumed, template.format(epoch=2))
assert restore_training_state(resumed, template.format(epoch=2)) is True
for model in (straight, resumed):
    model.fit(x, y, initial_epoch=2, epochs=3, **options)
assert same(values(straight), values(resumed))
x[5] = np.nan
try:
    resumed.fit(x, y, callbacks=[NonFiniteLossGuard()], **options)
except NonFiniteLossError:
    assert same(values(straight), values(resumed))
    print("all is well")
"""


@pytest.mark.slow
@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="distribution strategies are TensorFlow's")
def test_two_replicas(tmp_path):
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", _TWO_REPLICAS, str(tmp_path)], cwd=root, capture_output=True, text=True, check=False
    )
    assert "all is well" in done.stdout, done.stderr[-2000:]
