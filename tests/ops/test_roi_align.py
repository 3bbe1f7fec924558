"""Level choice and both samplings: native = generic = oracle = the peer."""

import keras
import numpy as np
import pytest
from keras import ops

from mrcnn.ops import roi_align as roi_ops
from mrcnn.ops.backend import generic, generic_kernels
from tests.harness import gradient_at
from tests.oracle import roi_align as oracle

pytestmark = pytest.mark.jax


@pytest.fixture(params=["native", "generic"])
def implementation(request, monkeypatch):
    if request.param == "generic":
        monkeypatch.setattr(roi_ops, "kernel", lambda name: getattr(generic, name))
    return request.param


@pytest.fixture(scope="module")
def pure(golden):
    return np.load(golden / "pure.npz")


def _pyramid(batch=2, channels=3):
    generator = np.random.default_rng(0)
    sides = [(16, 24), (8, 12), (4, 6), (2, 3)]
    return [generator.normal(size=(batch, *side, channels)).astype("float32") for side in sides]


BOXES = np.array(
    [
        [[0.1, 0.2, 0.5, 0.9], [0, 0, 1, 1], [-0.2, -0.3, 0.4, 0.6], [0.5, 0.5, 1.3, 1.2], [0, 0, 0, 0]],
        [[0.3, 0.1, 0.35, 0.12], [0.9, 0.9, 1, 1], [0.6, 0.7, 0.2, 0.1], [1, 1, 1, 1], [2, 2, 3, 3]],
    ],
    "float32",
)
LEVELS = np.array([[0, 1, 2, 3, 0], [0, 0, 1, 2, 3]])


def _numpy(tensor):
    return ops.convert_to_numpy(tensor)


def test_levels_like_the_peer(pure):
    meta = pure["roialign/image_meta"]
    levels = roi_ops.assign_levels(pure["roialign/boxes"], meta[:, 4] * meta[:, 5])
    np.testing.assert_array_equal(_numpy(levels), pure["roialign/level"])
    assert _numpy(levels).dtype == np.int32


@pytest.mark.parametrize("side_px, level", [(0, 2), (-5, 2), (56, 2), (112, 3), (224, 4), (448, 5), (900, 5)])
def test_level_of_a_size(side_px, level):
    box = np.array([[[0, 0, side_px / 1024, side_px / 1024]]])
    # Two negative sides have a positive product; such a box is padding and belongs to the lowest level too.
    assert _numpy(roi_ops.assign_levels(box, 1024 * 1024)) == level


def test_every_box_has_a_level():
    boxes = np.array([[[np.nan, 0, 1, 1], [0, 0, np.inf, 1], [0, 0, 0, 0]]], "float32")
    np.testing.assert_array_equal(_numpy(roi_ops.assign_levels(boxes, 1024 * 1024)), [[2, 5, 2]])



@pytest.mark.parametrize("name", ["7x7", "3x2", "1x1"])
def test_crop_like_the_peer(pure, implementation, name):
    shape = tuple(int(side) for side in name.split("x"))
    boxes = np.stack([pure["crop/boxes"]] * 2)
    crops = _numpy(roi_ops.crop_and_resize([pure["crop/feature"]], boxes, np.zeros((2, 7), int), shape))
    np.testing.assert_allclose(crops[pure["crop/ix"], np.arange(7)], pure[f"crop/out_{name}"], atol=1e-6)


@pytest.mark.parametrize("shape", [(7, 7), (1, 3), (2, 1)])
def test_crop_like_the_oracle(implementation, shape):
    pyramid = _pyramid()
    crops = _numpy(roi_ops.crop_and_resize(pyramid, BOXES, LEVELS, shape))
    assert crops.shape == (2, 5, *shape, 3)
    for b, r in np.ndindex(LEVELS.shape):
        expected = oracle.crop_and_resize(pyramid[LEVELS[b, r]][b], BOXES[b, r], shape)
        np.testing.assert_allclose(crops[b, r], expected, atol=1e-5)


@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("shape, samples", [((7, 7), 2), ((2, 3), 1), ((1, 1), 3)])
def test_roi_align_like_the_oracle(implementation, shape, samples, aligned):
    pyramid, strides = _pyramid(), (4, 8, 16, 32)
    boxes_px = BOXES * np.array([64, 96, 64, 96], "float32")
    pooled = _numpy(roi_ops.roi_align(pyramid, boxes_px, LEVELS, strides, shape, samples, aligned))
    for b, r in np.ndindex(LEVELS.shape):
        level = LEVELS[b, r]
        expected = oracle.roi_align(pyramid[level][b], boxes_px[b, r], strides[level], shape, samples, aligned)
        np.testing.assert_allclose(pooled[b, r], expected, atol=2e-5)


def test_aligned_reads_a_plane_exactly(implementation):
    """On a linear picture the mean over a cell inside the map is the value at its centre."""
    y, x = np.mgrid[:16, :16].astype("float32") + 0.5
    plane = (2 * y + 3 * x)[None, ..., None]
    box_px = np.array([[[12, 16, 40, 44]]], "float32")
    pooled = _numpy(roi_ops.roi_align([plane], box_px, np.zeros((1, 1), int), (4,), (7, 7)))[0, 0, ..., 0]
    y, x = (3 + np.arange(7) + 0.5)[:, None], (4 + np.arange(7) + 0.5)[None]
    np.testing.assert_allclose(pooled, 2 * y + 3 * x, rtol=1e-5)


def test_refuses_a_negative_number_of_samples():
    with pytest.raises(ValueError, match="sampling_ratio"):
        roi_ops.roi_align(_pyramid(), BOXES, LEVELS, (4, 8, 16, 32), (7, 7), sampling_ratio=-1)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_low_precision_features_keep_their_dtype(implementation, dtype):
    pyramid = [ops.cast(level, dtype) for level in _pyramid()]
    crops = roi_ops.crop_and_resize(pyramid, BOXES, LEVELS, (3, 3))
    pooled = roi_ops.roi_align(pyramid, BOXES * 64, LEVELS, (4, 8, 16, 32), (3, 3))
    full = roi_ops.crop_and_resize([ops.cast(level, "float32") for level in pyramid], BOXES, LEVELS, (3, 3))
    for result in (crops, pooled):
        assert keras.backend.standardize_dtype(result.dtype) == dtype
    crops, full = (_numpy(ops.cast(ops.cast(result, dtype), "float32")) for result in (crops, full))
    np.testing.assert_array_equal(crops, full)


def test_no_boxes_on_most_levels(implementation):
    pyramid = _pyramid()
    crops = _numpy(roi_ops.crop_and_resize(pyramid, BOXES, np.full((2, 5), 2), (2, 2)))
    only = _numpy(roi_ops.crop_and_resize(pyramid[2:3], BOXES, np.zeros((2, 5), int), (2, 2)))
    np.testing.assert_array_equal(crops, only)


@pytest.mark.parametrize("cells", [7, 14])
@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("samples", [0, 2])
def test_like_torchvisions_operator(golden_torchvision, implementation, cells, aligned, samples):
    case = np.load(golden_torchvision / "ops_roi_align.npz")
    features = case["x"].transpose(0, 2, 3, 1)
    rois = case["rois"]
    expected = case[f"{cells}_{'aligned' if aligned else 'legacy'}_sr{samples}"].transpose(0, 2, 3, 1)
    # One row of boxes for each picture: those of the other are computed and not looked at.
    boxes = np.stack([rois[:, [2, 1, 4, 3]]] * 2)
    levels, stride = np.zeros(boxes.shape[:2], int), 1 / float(case["spatial_scale"])
    pooled = _numpy(roi_ops.roi_align([features], boxes, levels, (stride,), (cells, cells), samples, aligned))
    pooled = pooled[rois[:, 0].astype(int), np.arange(len(rois))]
    np.testing.assert_allclose(pooled, expected, atol=1e-5)


def test_paper_levels_like_torchvision_and_detectron2(golden_torchvision):
    case = np.load(golden_torchvision / "ops_roi_align.npz")
    levels = _numpy(roi_ops.assign_levels_px(case["level_boxes"]))
    np.testing.assert_array_equal(levels, case["levels"])
    np.testing.assert_array_equal(levels, np.load(golden_torchvision / "d2_ops.npz")["levels"])


@pytest.mark.parametrize("samples", [0, 2])
@pytest.mark.parametrize("aligned", [True, False])
def test_gradient_like_torchvisions(golden_torchvision, implementation, aligned, samples):
    case = np.load(golden_torchvision / "ops_roi_align.npz")
    kind = f"7_{'aligned' if aligned else 'legacy'}_sr{samples}"
    rois, stride = case["rois"], 1 / float(case["spatial_scale"])
    features = case["x"].transpose(0, 2, 3, 1)
    boxes = np.stack([rois[:, [2, 1, 4, 3]]] * 2)
    levels = np.zeros(boxes.shape[:2], int)
    upstream = case["upstream"].transpose(0, 2, 3, 1)
    # Only a box of a picture itself pulls at it.
    pull = np.stack([upstream * (rois[:, 0] == image)[:, None, None, None] for image in range(2)])
    gradient = gradient_at(
        features,
        lambda values: ops.sum(
            pull * roi_ops.roi_align([values], boxes, levels, (stride,), (7, 7), samples, aligned)
        ),
    )
    np.testing.assert_allclose(gradient.transpose(0, 3, 1, 2), case[f"{kind}_grad"], atol=1e-4)


@pytest.mark.parametrize("cells", [1, 7])
@pytest.mark.parametrize("kind", ["crop", "samples"])
def test_gradient_of_boxes_upon_each_other(kind, cells):
    """Nothing is lost where many boxes pull at the same cells, and the generic kernel finds the same."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(2, 64, 48, 64)).astype("float32")
    boxes = np.sort(rng.uniform(-0.1, 1.1, (2, 300, 2, 2)), axis=2).reshape(2, 300, 4).astype("float32")
    pull = rng.normal(size=(2, 300, cells, cells, 64)).astype("float32")
    levels = np.zeros((2, 300), int)

    def pulled(values):
        if kind == "crop":
            return ops.sum(pull * roi_ops.crop_and_resize([values], boxes, levels, (cells, cells)))
        return ops.sum(pull * roi_ops.roi_align([values], boxes * 256, levels, (4,), (cells, cells)))

    found = gradient_at(features, pulled)
    np.testing.assert_array_equal(gradient_at(features, pulled), found)
    with generic_kernels():
        expected = gradient_at(features, pulled)
    assert np.abs(found - expected).max() < 1e-4 * np.abs(expected).max()
