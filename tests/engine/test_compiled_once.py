"""A training step is traced and compiled once: what differs between batches does not change the compiled graph."""

import keras
import numpy as np
import pytest

from mrcnn import MaskRCNN
from mrcnn.layers.proposal import ProposalLayer
from tests.small import SmallConfig, SmallDataset

pytestmark = pytest.mark.jax


class MixedDataset(SmallDataset):
    """Pictures of three sizes, with one or two objects."""

    @staticmethod
    def padded(array, image_id, value):
        border = [(0, 20 * (image_id % 3)), (0, 14 * (image_id % 2)), (0, 0)]
        return np.pad(array, border, constant_values=value)

    def load_image(self, image_id):
        return self.padded(super().load_image(image_id), image_id, 128)

    def load_mask(self, image_id):
        masks, class_ids = super().load_mask(image_id)
        return self.padded(masks, image_id, False), class_ids


class Counts(keras.callbacks.Callback):
    """What `count()` was after each batch: a list an epoch, for training and for validation."""

    def __init__(self, count):
        super().__init__()
        self.count, self.training, self.validation = count, [], []

    def parts(self):
        return self.training, self.validation

    def on_epoch_begin(self, epoch, logs=None):
        self.training.append([])
        self.validation.append([])

    def on_train_batch_end(self, batch, logs=None):
        self.training[-1].append(self.count())

    def on_test_batch_end(self, batch, logs=None):
        self.validation[-1].append(self.count())


@pytest.fixture(scope="module")
def counts(tmp_path_factory):
    """How often the graph was traced, and how much JAX had compiled, after each batch of two epochs."""
    config = type("Config", (SmallConfig,), {"STEPS_PER_EPOCH": 4, "VALIDATION_STEPS": 2})()
    traced, compiled, call = [], [], ProposalLayer.call

    def counted(self, *args, **kwargs):
        traced.append(self.name)
        return call(self, *args, **kwargs)

    def listen(event, seconds, **_):
        if event.endswith("backend_compile_duration"):
            compiled.append(event)

    counts = Counts(lambda: (len(traced), len(compiled)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ProposalLayer, "call", counted)
        if keras.backend.backend() == "jax":
            import jax

            jax.monitoring.register_event_duration_secs_listener(listen)
        model = MaskRCNN("training", config, tmp_path_factory.mktemp("logs"))
        model.train(MixedDataset(8), MixedDataset(4), 1e-4, 2, "all", custom_callbacks=[counts], verbose=0)
    return counts


def test_the_graph_is_traced_in_the_first_step_only(counts):
    training, validation = ([[traced for traced, _ in epoch] for epoch in part] for part in counts.parts())
    # Validation has a graph of its own, traced in its first step.
    assert all(len(set(epoch)) == 1 for epoch in [*training, *validation])
    assert training[1][0] == validation[0][0] == validation[1][0]


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="counts what JAX compiles")
def test_nothing_is_compiled_after_the_first_step(counts):
    training, validation = ([[compiled for _, compiled in epoch] for epoch in part] for part in counts.parts())
    assert training[0][0] > 0
    # The second step also compiles the few operations that look at the first one's result.
    assert len(set(training[0][1:])) == 1
    assert len(set(training[1])) == len(set(validation[1])) == 1
