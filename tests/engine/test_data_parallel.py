"""One batch on several devices. Two devices are two parts of one CPU, in a process of their own."""

import importlib.util
import os
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import keras
import numpy as np
import pytest

from mrcnn import MaskRCNN
from mrcnn.engine import data_parallel
from mrcnn.engine.data_parallel import BatchSharing, share_batches
from mrcnn.parallel_model import ParallelModel
from tests.engine.small_models import detector
from tests.engine.two_devices import LOSSES, with_devices
from tests.small import SmallConfig, SmallDataset

ROOT = Path(__file__).resolve().parents[2]


def _needs(backend, *marks):
    missing = importlib.util.find_spec(backend) is None
    return pytest.param(backend, marks=[pytest.mark.skipif(missing, reason=f"{backend} is not installed"), *marks])


BACKENDS = [_needs("tensorflow"), _needs("jax", pytest.mark.longest)]


def _with_two_devices(backend, task, path):
    flags = "--xla_force_host_platform_device_count=2"
    done = subprocess.run(
        [sys.executable, "-m", "tests.engine.two_devices", task, str(path)],
        cwd=ROOT,
        env={**os.environ, "KERAS_BACKEND": backend, "XLA_FLAGS": flags},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0 and "all is well" in done.stdout, done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module", params=BACKENDS)
def first_step(request, tmp_path_factory):
    """The backend's name, and losses and weights of one step by number of devices."""
    path = tmp_path_factory.mktemp(request.param) / "step.npz"
    _with_two_devices(request.param, "first_step", path)
    return request.param, dict(np.load(path))


@pytest.mark.jax
@pytest.mark.slow
class TestFirstStep:
    def expected(self, first_step, part):
        backend, found = first_step
        if backend == "jax":
            return found[f"whole_{part}"]
        return (found[f"half_0_{part}"] + found[f"half_1_{part}"]) / 2

    def test_every_loss_and_image_tells(self, first_step):
        """What the other tests compare is neither 0 nor the same for both images."""
        _, found = first_step
        assert np.all(found["two_losses"] > 0.01)
        assert np.all(np.abs(found["half_0_losses"] - found["half_1_losses"]) > 1e-3)
        assert np.abs(found["two_weights"] - found["start"]).max() > 1e-3

    def test_losses(self, first_step):
        np.testing.assert_allclose(first_step[1]["two_losses"], self.expected(first_step, "losses"), rtol=1e-5)

    def test_weights(self, first_step):
        expected = self.expected(first_step, "weights")
        np.testing.assert_allclose(first_step[1]["two_weights"], expected, rtol=1e-5, atol=1e-6)

    def test_what_does_not_count_positives_is_the_number_of_one_device(self, first_step):
        _, found = first_step
        two, whole = (dict(zip(LOSSES, found[f"{name}_losses"], strict=True)) for name in ("two", "whole"))
        for losses in (two, whole):
            losses["decay"] = losses["loss"] - sum(losses[name] for name in LOSSES[1:])
        for name in ("mrcnn_class_loss", "decay"):
            np.testing.assert_allclose(two[name], whole[name], rtol=1e-5)


@pytest.mark.jax
@pytest.mark.slow
@pytest.mark.longest
@pytest.mark.parametrize("backend", BACKENDS)
def test_train_resume_and_detect(backend, tmp_path):
    printed = _with_two_devices(backend, "whole_run", tmp_path)
    assert "Starting at epoch 1" in printed and "GPU_COUNT" not in printed


@pytest.fixture
def devices(monkeypatch):
    """Lets as many devices exist as it is told; returns those that were asked to share batches."""
    asked = []

    def share(names):
        asked.extend(names)
        return nullcontext, nullcontext

    def exist(count):
        kernels = {"sharing_devices": lambda: [f"device {i}" for i in range(count)], "share_batches": share}
        monkeypatch.setattr(data_parallel, "kernel", kernels.get)
        return asked

    return exist


@pytest.mark.jax
class TestChoiceOfDevices:
    @pytest.mark.parametrize(
        ("gpu_count", "images_per_gpu", "here", "line"),
        [
            (8, 2, 1, "GPU_COUNT=8, but 1 device is here: the batch of 16 runs on it."),
            (8, 2, 2, "GPU_COUNT=8, but 2 devices are here: the batch of 16 runs on 2 devices, 8 images on each."),
            (3, 1, 2, "GPU_COUNT=3, but 2 devices are here and 3 images do not divide by 2: the batch of 3 runs on 1 "
             "device, 3 images on each."),
            (5, 3, 4, "GPU_COUNT=5, but 4 devices are here and 15 images do not divide by 4: the batch of 15 runs on 3 "
             "devices, 5 images on each."),
        ],
    )  # fmt: skip
    def test_fewer_than_wanted_are_told(self, devices, capsys, gpu_count, images_per_gpu, here, line):
        asked = devices(here)
        sharing = share_batches(with_devices(SmallConfig, gpu_count, images_per_gpu))
        assert capsys.readouterr().out == line + "\n"
        assert gpu_count * images_per_gpu % sharing.device_count == 0 and sharing.device_count <= here
        assert len(asked) == (sharing.device_count if sharing.device_count > 1 else 0)

    @pytest.mark.parametrize(("gpu_count", "here", "used"), [(1, 4, 1), (2, 4, 2), (4, 4, 4)])
    def test_as_many_as_wanted_need_no_words(self, devices, capsys, gpu_count, here, used):
        asked = devices(here)
        assert share_batches(with_devices(SmallConfig, gpu_count, 2)).device_count == used
        assert asked == [f"device {i}" for i in range(used if used > 1 else 0)]
        assert capsys.readouterr().out == ""

    def test_a_batch_that_was_assigned_may_divide_by_less(self, devices, capsys):
        devices(4)
        config = with_devices(SmallConfig, 4, 2)
        config.BATCH_SIZE = 6
        assert share_batches(config).device_count == 3
        assert "6 images do not divide by 4" in capsys.readouterr().out

    def test_a_backend_that_trains_on_one_device_is_named(self, devices, capsys):
        devices(0)
        assert share_batches(with_devices(SmallConfig, 2, 2)).device_count == 1
        line = f"GPU_COUNT=2, but {keras.backend.backend()} trains on 1 device: the batch of 4 runs on it.\n"
        assert capsys.readouterr().out == line

    def test_a_batch_changed_later_must_still_divide(self):
        BatchSharing(2).check(4)
        with pytest.raises(ValueError, match="BATCH_SIZE = 3.*2 devices.*before the model is made"):
            BatchSharing(2).check(3)


@pytest.mark.jax
@pytest.mark.slow
def test_one_device_trains_the_whole_batch(devices, tmp_path, capsys):
    devices(1)
    config = with_devices(SmallConfig, 4, 1)
    config.STEPS_PER_EPOCH = 1
    model = MaskRCNN("training", config, tmp_path)
    assert "GPU_COUNT=4, but 1 device is here: the batch of 4 runs on it." in capsys.readouterr().out
    seen = []
    watch = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(logs["loss"]))
    model.train(SmallDataset(), None, 1e-3, 1, "heads", custom_callbacks=[watch], verbose=0)
    assert len(seen) == 1 and np.isfinite(seen[0])


def test_detection_asks_for_no_devices(devices, tmp_path, capsys):
    asked = devices(2)
    MaskRCNN("inference", with_devices(SmallConfig, 2, 1), tmp_path)
    assert asked == [] and capsys.readouterr().out == ""


@pytest.mark.jax
def test_matterports_wrapper_explains_and_gives_the_model_back():
    model = detector()
    with pytest.warns(UserWarning, match="GPU_COUNT = 2 in the configuration"):
        wrapped = ParallelModel(model, 2)
    assert wrapped is model and wrapped.inner_model is model
    assert wrapped.inner_model.get_layer("conv1") is model.get_layer("conv1")
    wrapped.compile("sgd", "mse")
    wrapped.fit(np.zeros((2, 8, 8, 3)), np.zeros((2, 16)), verbose=0)
    assert len(wrapped.get_weights()) == len(wrapped.weights)
