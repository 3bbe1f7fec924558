"""Data that tests share."""

import os
from pathlib import Path

import hypothesis
import pytest

# Matterport's numbers were recorded without oneDNN, whose convolutions, on by default on newer processors, round up to
# four times as coarsely: too coarsely for some of the comparisons. `tests/engine/test_onednn.py` has it on.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

# How long an example takes tells of the machine and what else runs on it.
hypothesis.settings.register_profile(
    "untimed", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("untimed")

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"


def _folder(variable, default):
    folder = Path(os.environ.get(variable, default))
    if not folder.is_dir():
        pytest.skip(f"{folder} is absent; set {variable} to the folder that holds it")
    return folder


@pytest.fixture(scope="session")
def test_data():
    """Folder with real images (`coco_mini`, the nuclei archive)."""
    return _folder("MRCNN_TEST_DATA", SHARED / "data")


@pytest.fixture(scope="session")
def golden():
    """Folder with inputs and outputs of the peer implementation."""
    return _folder("MRCNN_GOLDEN", SHARED / "golden" / "matterport")


@pytest.fixture(scope="session")
def golden_torchvision():
    """Folder with inputs and outputs of torchvision's and Detectron2's models."""
    return _folder("MRCNN_GOLDEN_TORCHVISION", SHARED / "golden" / "torchvision")
