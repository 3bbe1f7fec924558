"""Mean average precision in the logs of a training run."""

import keras
import numpy as np
import pytest

from mrcnn.evaluation import MeanAPCallback
from mrcnn.evaluation.confusion import evaluate_confusion

from .fakes import ArrayDataset, FakeModel, empty_result, square, truth_as_result


@pytest.fixture
def dataset():
    return ArrayDataset([[(1, square(64, 80, 2, 2, 20))], [(2, square(64, 80, 8, 8, 30))]])


class Improving(FakeModel):
    """In training mode; finds nothing in the first epoch that it is asked, everything later."""

    mode = "training"

    def __init__(self, dataset):
        super().__init__(lambda image_id: truth_as_result(dataset, image_id))
        self.twins = 0

    def inference_twin(self):
        self.twins += 1
        return FakeModel(self.answer if self.twins > 1 else lambda image_id: empty_result())


def fit(callbacks, epochs):
    model = keras.Sequential([keras.Input([1]), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model.fit(np.ones([4, 1]), np.ones([4, 1]), epochs=epochs, verbose=0, callbacks=callbacks)


@pytest.mark.jax
def test_history_and_later_callbacks_see_the_values(dataset, capsys):
    seen = []
    spy = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(logs["val_mAP"]))
    model = Improving(dataset)
    history = fit([MeanAPCallback(model, dataset), spy], epochs=2).history
    assert history["val_mAP"] == seen == [0.0, pytest.approx(1.0)]
    assert history["val_mAP50"] == [0.0, pytest.approx(1.0)]
    assert model.twins == 2
    assert capsys.readouterr().out == ""


def test_every_and_limit(dataset):
    model = FakeModel(lambda image_id: truth_as_result(dataset, image_id), batch_size=1)
    history = fit([MeanAPCallback(model, dataset, limit=1, every=2)], epochs=5).history
    assert history["val_mAP"] == [pytest.approx(1.0)] * 2
    assert model.batches == [[0], [0]]


def test_every_must_be_positive(dataset):
    with pytest.raises(ValueError, match="every is 0"):
        MeanAPCallback(None, dataset, every=0)


def test_an_evaluation_that_fails_does_not_end_training(dataset, caplog):
    def broken(image_id):
        raise OSError("00012.jpg is truncated")

    history = fit([MeanAPCallback(FakeModel(broken), dataset)], epochs=2).history
    assert len(history["loss"]) == 2 and "val_mAP" not in history
    assert "val_mAP is left out of epoch 2. OSError: 00012.jpg is truncated" in caplog.text


def test_a_detector_without_masks_is_measured_by_its_boxes(dataset):
    def boxes_of(image_id):
        return {name: value for name, value in truth_as_result(dataset, image_id).items() if name != "masks"}

    model = FakeModel(boxes_of)
    history = fit([MeanAPCallback(model, dataset)], epochs=1).history
    assert [*history["val_mAP"], *history["val_mAP50"]] == pytest.approx([1.0, 1.0])
    with pytest.raises(ValueError, match='overlap="box"'):
        evaluate_confusion(model, dataset)
    assert np.trace(evaluate_confusion(model, dataset, overlap="box")) == 2
