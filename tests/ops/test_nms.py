"""Native = generic = oracle for non-maximum suppression."""

from functools import cache

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from mrcnn.ops import nms
from mrcnn.ops.backend import generic
from tests.oracle import nms as oracle

pytestmark = pytest.mark.jax

# Most tests share these sizes, so that few graphs are compiled; wide enough for two tiles of 16.
IMAGES, BOXES, OUTPUTS = 2, 24, 10
IMPLEMENTATIONS = ("native", "tiled") if nms.kernel("nms") is generic.nms else ("native", "generic", "tiled")


@keras.saving.register_keras_serializable("tests")
class _Suppress(keras.layers.Layer):
    """The function in a graph, as loops outside of one are slow on every backend."""

    def __init__(self, implementation, threshold, outputs):
        super().__init__()
        self.implementation, self.threshold, self.outputs = implementation, threshold, outputs

    def call(self, inputs):
        with pytest.MonkeyPatch.context() as patch:
            if self.implementation != "native":
                patch.setattr(nms, "kernel", lambda name: getattr(generic, name))
            if self.implementation == "tiled":
                patch.setattr(generic, "NMS_TILE", 16)
            return nms.non_max_suppression(inputs[0], inputs[1], self.threshold, self.outputs, *inputs[2:])

    def compute_output_spec(self, inputs):
        shape = (inputs[0].shape[0], self.outputs)
        return keras.KerasTensor(shape, dtype="int32"), keras.KerasTensor(shape, dtype="bool")


@cache
def _model(implementation, threshold, outputs, count, grouped):
    inputs = [keras.Input((count, 4)), keras.Input((count,))]
    inputs += [keras.Input((count,), dtype="int32")] if grouped else []
    model = keras.Model(inputs, _Suppress(implementation, threshold, outputs)(inputs))
    model.compile(jit_compile=keras.backend.backend() == "jax")
    return model


def _select(implementation, boxes, scores, threshold=0.5, outputs=OUTPUTS, groups=None):
    """The boxes taken, a list for each image."""
    model = _model(implementation, threshold, outputs, boxes.shape[1], groups is not None)
    inputs = [boxes, scores] + ([] if groups is None else [groups.astype("int32")])
    indices, valid = (ops.convert_to_numpy(output) for output in model.predict_on_batch(inputs))
    assert indices.dtype == np.int32 and valid.dtype == bool
    assert indices.shape == valid.shape == (len(boxes), outputs)
    assert not indices[~valid].any()
    assert (np.sort(~valid, axis=1) == ~valid).all()
    return [list(row[real]) for row, real in zip(indices, valid, strict=True)]


def _oracle(boxes, scores, threshold=0.5, outputs=OUTPUTS, groups=None):
    groups = [None] * len(boxes) if groups is None else groups
    return [
        oracle.non_max_suppression(*image, threshold, outputs, group)
        for *image, group in zip(boxes, scores, groups, strict=True)
    ]


def _check(*arguments, **keywords):
    expected = _oracle(*arguments, **keywords)
    for implementation in IMPLEMENTATIONS:
        assert _select(implementation, *arguments, **keywords) == expected, implementation
    return expected


def _random(count=BOXES, spread=1.0):
    generator = np.random.default_rng(0)
    centers = generator.uniform(0, spread, (IMAGES, count, 2))
    sizes = generator.uniform(0.05, 0.4, (IMAGES, count, 2))
    boxes = np.concatenate([centers - sizes / 2, centers + sizes / 2], axis=-1).astype("float32")
    return boxes, generator.uniform(0, 1, (IMAGES, count)).astype("float32")


def _groups(count=BOXES):
    return np.tile(np.arange(count) % 3, (IMAGES, 1))


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("name", ["0.3", "0.5", "0.7"])
def test_like_the_peer(golden, implementation, name):
    pure = np.load(golden / "pure.npz")
    boxes, scores = pure["iou/boxes1"][None].astype("float32"), pure["nms/scores"][None]
    assert _select(implementation, boxes, scores, float(name), 20) == [list(pure[f"nms/keep_{name}"])]


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("name", ["0.3", "0.5", "0.7"])
def test_like_torchvision(golden_torchvision, implementation, name):
    case = np.load(golden_torchvision / "ops_boxes.npz")
    boxes, scores, classes = (case[f"nms_{key}"][None] for key in ("boxes", "scores", "classes"))
    boxes, count = boxes[..., [1, 0, 3, 2]], boxes.shape[1]
    assert _select(implementation, boxes, scores, float(name), count) == [list(case[f"nms_{name}"])]
    found = _select(implementation, boxes, scores, float(name), count, classes)
    assert found == [list(case[f"batched_nms_{name}"])]


@pytest.mark.parametrize("spread", [1.0, 0.1], ids=["sparse", "crowded"])
@pytest.mark.parametrize("groups", [None, _groups(100)], ids=["one group", "groups"])
def test_random(spread, groups):
    _check(*_random(100, spread), outputs=30, groups=groups)


def _grid_boxes(draw):
    values = draw(st.lists(st.integers(0, 4), min_size=IMAGES * BOXES * 4, max_size=IMAGES * BOXES * 4))
    boxes = np.sort(np.array(values, "float32").reshape(IMAGES, BOXES, 2, 2), axis=2)
    return boxes.reshape(IMAGES, BOXES, 4)


@pytest.mark.parametrize("threshold", [0.25, 0.5])
@pytest.mark.parametrize("groups", [None, _groups()], ids=["one group", "groups"])
@given(data=st.data())
@settings(max_examples=20, deadline=None)
def test_ties_and_padding(threshold, groups, data):
    """Boxes on a coarse grid, few scores: equal boxes and scores, overlaps on the threshold, padding."""
    few = st.sampled_from([-1.0, 0.0, 0.25, 1.0])
    scores = data.draw(st.lists(few, min_size=IMAGES * BOXES, max_size=IMAGES * BOXES))
    scores = np.array(scores, "float32").reshape(IMAGES, BOXES)
    _check(_grid_boxes(data.draw), scores, threshold, groups=groups)


@pytest.mark.parametrize("threshold", [0.0, 1.0])
def test_thresholds_at_the_ends(threshold):
    _check(*_random(), threshold)


@pytest.mark.parametrize("groups", [None, _groups()], ids=["one group", "groups"])
def test_nothing_but_padding(groups):
    scores = np.full((IMAGES, BOXES), -1, "float32")
    scores[1, :] = np.nan
    assert _check(_random()[0], scores, groups=groups) == [[], []]


def test_one_empty_image_beside_a_full_one():
    boxes, scores = _random()
    scores[0] = -1
    assert _check(boxes, scores)[0] == []


def test_fewer_boxes_than_outputs():
    _check(*_random(3))


def test_corners_in_any_order():
    boxes, scores = _random()
    expected = _oracle(boxes, scores)
    for implementation in IMPLEMENTATIONS:
        assert _select(implementation, boxes[..., [2, 1, 0, 3]], scores) == expected


def test_equal_boxes_leave_the_first():
    boxes = np.tile(np.array([0.2, 0.2, 0.6, 0.6], "float32"), (IMAGES, BOXES, 1))
    scores = np.ones((IMAGES, BOXES), "float32")
    assert _check(boxes, scores) == [[0], [0]]
    assert _check(boxes, scores, groups=_groups()) == [[0, 1, 2]] * 2


def test_a_long_chain_of_boxes_hiding_each_other():
    start = np.arange(60, dtype="float32")
    boxes = np.stack([start, 0 * start, start + 3, 0 * start + 1], axis=-1)[None]
    taken = _check(boxes, np.linspace(1, 0, 60, dtype="float32")[None], threshold=0.3, outputs=60)
    assert taken == [list(range(0, 60, 2))]


def test_a_score_of_zero_counts():
    _check(_random()[0], np.zeros((IMAGES, BOXES), "float32"))


def test_half_precision_inputs():
    boxes, scores = (array.astype("float16") for array in _random())
    indices, valid = nms.non_max_suppression(boxes, scores, 0.5, OUTPUTS)
    taken = [list(ops.convert_to_numpy(indices)[i][ops.convert_to_numpy(valid)[i]]) for i in range(IMAGES)]
    assert taken == _oracle(boxes.astype("float32"), scores.astype("float32"))


@pytest.mark.parametrize("arguments, named", [((-0.1, 5), "iou_threshold"), ((0.5, 0), "max_outputs")])
def test_wrong_numbers_are_named(arguments, named):
    with pytest.raises(ValueError, match=named):
        nms.non_max_suppression(*_random(), *arguments)
