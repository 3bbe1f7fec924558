"""Drawing tests need no display, and leave no figure behind."""

import matplotlib
import pytest

matplotlib.use("Agg")


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    import matplotlib.pyplot as plt
    plt.close("all")
