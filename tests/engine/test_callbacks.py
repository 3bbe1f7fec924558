"""The guard against losses that are not finite, and callbacks that look for the best value."""

import keras
import numpy as np
import pytest

from mrcnn.engine.callbacks import NonFiniteLossError, NonFiniteLossGuard, choose_monitor_modes

from .small_models import ArrayBatches, detector, randomise, values

BATCHES, SIZE = 4, 2


def _batches(bad=None):
    """Good batches, but the one at index `bad` has no number in an image."""
    x = np.random.default_rng(0).uniform(size=(BATCHES * SIZE, 8, 8, 3)).astype("float32")
    if bad is not None:
        x[bad * SIZE, 0, 0, 0] = np.nan
    return ArrayBatches(x, np.zeros((BATCHES * SIZE, 16), "float32"), SIZE)


def _ids(batch):
    return [f"{batch}-{i}.jpg" for i in range(SIZE)]


def _model():
    model = randomise(detector(dropout=0.5))
    model.compile(keras.optimizers.SGD(1e-4, momentum=0.9), "mse", metrics=["mae"])
    return model


def _state(model):
    return [np.array(keras.ops.convert_to_numpy(v.value)) for v in (*model.variables, *model.optimizer.variables)]


@pytest.mark.jax
@pytest.mark.parametrize(("bad", "bad_epoch", "value"), [(0, 0, np.nan), (2, 1, np.inf)])
def test_it_names_the_batch_and_restores_the_epochs_start(bad, bad_epoch, value):
    model, batches, starts = _model(), _batches(), []

    def begin(epoch, logs=None):
        starts.append(_state(model))
        if epoch == bad_epoch:
            batches.x[bad * SIZE, 0, 0, 0] = value

    callbacks = [NonFiniteLossGuard(_ids), keras.callbacks.LambdaCallback(on_epoch_begin=begin)]
    with pytest.raises(NonFiniteLossError) as caught:
        model.fit(batches, epochs=3, shuffle=False, verbose=0, callbacks=callbacks)
    error = caught.value
    assert (error.epoch, error.batch, error.image_ids) == (bad_epoch + 1, bad, _ids(bad))
    assert all(name in str(error) for name in _ids(bad)) and "learning rate (it is 0.0001)" in str(error)
    assert ("batch before" in str(error)) == (bad > 0)
    assert error.losses == ["mae"]
    assert len(starts) == bad_epoch + 1
    for expected, now in zip(starts[-1], _state(model), strict=True):
        np.testing.assert_array_equal(expected, now)
    assert all(np.isfinite(value).all() for value in values(model).values())


@pytest.mark.jax
def test_training_can_go_on_after_it():
    model = _model()
    with pytest.raises(NonFiniteLossError):
        model.fit(_batches(bad=1), epochs=1, shuffle=False, verbose=0, callbacks=[NonFiniteLossGuard(_ids)])
    history = model.fit(_batches(), epochs=1, shuffle=False, verbose=0, callbacks=[NonFiniteLossGuard(_ids)])
    assert np.isfinite(history.history["loss"]).all()


@pytest.mark.jax
def test_good_training_is_the_same_with_and_without_it():
    guarded, plain = _model(), _model()
    guarded.fit(_batches(), epochs=2, shuffle=False, verbose=0, callbacks=[NonFiniteLossGuard(_ids)])
    plain.fit(_batches(), epochs=2, shuffle=False, verbose=0)
    for a, b in zip(_state(guarded), _state(plain), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_loss_that_is_the_only_one_is_named():
    model = randomise(detector())
    model.compile("sgd", "mse")
    with pytest.raises(NonFiniteLossError, match="^loss not finite in epoch 1, batch 1"):
        model.fit(_batches(bad=1), shuffle=False, verbose=0, callbacks=[NonFiniteLossGuard(_ids)])


def test_failing_look_up_does_not_hide_the_loss():
    def fail(batch):
        raise IndexError("no such batch")

    with pytest.raises(NonFiniteLossError, match="ids unknown: no such batch"):
        _model().fit(_batches(bad=0), shuffle=False, verbose=0, callbacks=[NonFiniteLossGuard(fail)])
    with pytest.raises(NonFiniteLossError, match="images unknown"):
        _model().fit(_batches(bad=0), shuffle=False, verbose=0, callbacks=[NonFiniteLossGuard()])


@pytest.mark.jax
def test_several_batches_in_one_execution_are_all_named():
    model = randomise(detector())
    model.compile("sgd", "mse", steps_per_execution=2)
    with pytest.raises(NonFiniteLossError) as caught:
        model.fit(_batches(bad=2), shuffle=False, verbose=0, callbacks=[NonFiniteLossGuard(_ids)])
    assert caught.value.image_ids == [*_ids(2), *_ids(3)]


def test_learning_rate_schedules_are_understood():
    model = randomise(detector())
    model.compile(keras.optimizers.SGD(keras.optimizers.schedules.ExponentialDecay(0.5, 1, 0.1)), "mse")
    with pytest.raises(NonFiniteLossError, match="learning rate"):
        model.fit(_batches(bad=0), shuffle=False, verbose=0, callbacks=[NonFiniteLossGuard(_ids)])


@pytest.mark.jax
def test_validation_is_watched_too():
    model = _model()
    guard = NonFiniteLossGuard(_ids, lambda batch: [f"val {name}" for name in _ids(batch)])
    with pytest.raises(NonFiniteLossError) as caught:
        model.fit(_batches(), validation_data=_batches(bad=2), shuffle=False, verbose=0, callbacks=[guard])
    assert caught.value.losses == ["val_mae"] and caught.value.image_ids == [f"val {name}" for name in _ids(2)]
    assert "batch before" not in str(caught.value)


class Logs(keras.callbacks.Callback):
    """Puts one value an epoch into the logs under a name."""

    def __init__(self, name, values):
        super().__init__()
        self.name, self.values = name, values

    def on_epoch_end(self, epoch, logs=None):
        logs[self.name] = self.values[epoch]


@pytest.mark.jax
@pytest.mark.parametrize("name", ["mrcnn_mask_loss", "val_rpn_class_loss", "val_mAP", "val_mAP50"])
def test_best_values_of_losses_and_of_map(name, tmp_path):
    better = 1 if "mAP" in name else -1
    stop = keras.callbacks.EarlyStopping(monitor=name, patience=2)
    slower = keras.callbacks.ReduceLROnPlateau(monitor=name, patience=1, factor=0.5)
    path = str(tmp_path / "{epoch}.weights.h5")
    best = keras.callbacks.ModelCheckpoint(path, name, 0, save_best_only=True, save_weights_only=True)
    callbacks = [Logs(name, [0.5, 0.5 + better * 0.2, 0.5, 0.5, 0.5]), stop, slower, best]
    choose_monitor_modes(callbacks)
    model = _model()
    model.fit(_batches(), epochs=5, shuffle=False, verbose=0, callbacks=callbacks)
    assert stop.stopped_epoch == 3
    assert {file.name for file in tmp_path.iterdir()} == {"1.weights.h5", "2.weights.h5"}
    np.testing.assert_allclose(model.optimizer.learning_rate, 1e-4 / 4)


def test_modes_that_are_given_and_callbacks_that_look_for_nothing():
    given = keras.callbacks.EarlyStopping(monitor="val_mrcnn_mask_loss", mode="max")
    unknown = keras.callbacks.EarlyStopping(monitor="val_accuracy")
    choose_monitor_modes([given, unknown, NonFiniteLossGuard()])
    assert (given.mode, unknown.mode) == ("max", "auto")
