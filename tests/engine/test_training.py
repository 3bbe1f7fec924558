"""How training says what it does."""

import keras
import numpy as np
import pytest

from mrcnn.engine import training
from mrcnn.engine.training import rate_text
from mrcnn.ops.backend import has_gradient
from tests.small import SmallConfig


@pytest.mark.parametrize(("rate", "text"), [(0.001, "0.001"), (1, "1"), (np.float32(0.5), "0.5")])
def test_a_number_is_shown_as_it_is(rate, text):
    assert rate_text(rate) == text


def test_a_schedule_is_shown_by_its_kind():
    assert rate_text(keras.optimizers.schedules.CosineDecay(0.1, 10)) == "CosineDecay"


def test_adaptive_roi_align_is_refused_where_it_has_no_gradient(monkeypatch):
    monkeypatch.setattr(training, "has_gradient", lambda name: name != "adaptive_roi_align")
    config = SmallConfig()
    training.check_trainable(config)
    config.ROI_ALIGN, config.ROI_SAMPLING_RATIO = "aligned", 0
    with pytest.raises(ValueError, match="ROI_SAMPLING_RATIO = 2"):
        training.check_trainable(config)


def test_what_has_a_gradient():
    assert has_gradient("roi_align")
    assert has_gradient("adaptive_roi_align") == (keras.backend.backend() != "jax")
