"""How training says what it does."""

import keras
import numpy as np
import pytest

from mrcnn.engine.training import rate_text


@pytest.mark.parametrize(("rate", "text"), [(0.001, "0.001"), (1, "1"), (np.float32(0.5), "0.5")])
def test_a_number_is_shown_as_it_is(rate, text):
    assert rate_text(rate) == text


def test_a_schedule_is_shown_by_its_kind():
    assert rate_text(keras.optimizers.schedules.CosineDecay(0.1, 10)) == "CosineDecay"
