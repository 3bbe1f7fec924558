"""Ready configurations."""

import pytest

from mrcnn.configurations import READY
from mrcnn.engine.dialects.recognise import READY_CONFIGURATIONS


def test_every_configuration_that_a_file_may_fit_exists():
    assert set(READY) == set(READY_CONFIGURATIONS)


@pytest.mark.parametrize("mode", ["training", "inference"])
@pytest.mark.parametrize("name", READY)
def test_values_fit_each_other(name, mode):
    READY[name]().validate(mode)


@pytest.mark.parametrize("name", READY)
def test_can_be_subclassed(name):
    mine = type("Mine", (READY[name],), {"NAME": "mine", "NUM_CLASSES": 3})()
    mine.validate("training")
    assert mine.IMAGE_META_SIZE == 15
