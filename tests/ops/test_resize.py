"""Resizing inside a graph, beside resizing on the host."""

import numpy as np
import pytest
from keras import ops

from mrcnn.data import resize as host
from mrcnn.ops.resize import linear_weights, plan_resize, resize_and_pad, resize_exactly

SIZES = [(48, 80), (80, 48), (64, 64), (1, 300), (333, 666), (427, 640), (1080, 1920), (1999, 3001), (30, 31)]


@pytest.mark.parametrize("mode", ["square", "pad64", "none"])
@pytest.mark.parametrize("min_dim, max_dim, min_scale", [(832, 1024, 0), (64, 128, 2.0), (None, 512, 0), (256, 256, 0)])
def test_plans_like_the_host(mode, min_dim, max_dim, min_scale):
    for height, width in SIZES:
        expected = host.plan_resize(height, width, min_dim, max_dim, min_scale, mode)
        sides = (ops.convert_to_tensor(side, dtype="int32") for side in (height, width))
        size, padded, scale = plan_resize(*sides, min_dim, max_dim, min_scale, mode)
        assert tuple(int(side) for side in size) == expected.size
        (top, bottom), (left, right), _ = expected.padding
        assert tuple(int(side) for side in padded) == (top + size[0] + bottom, left + size[1] + right)
        assert float(scale) == pytest.approx(expected.scale, rel=1e-6)


def test_weights_mix_the_two_nearest_cells():
    weights, inside = (ops.convert_to_numpy(part) for part in linear_weights(1, 4, 2, 6))
    np.testing.assert_allclose(weights, [[0, 0], [0.75, 0], [0.75, 0.25], [0.25, 0.75], [0, 0.75], [0, 0]])
    np.testing.assert_array_equal(inside, [False, True, True, True, True, False])


def test_nothing_becomes_nothing():
    weights, inside = (ops.convert_to_numpy(part) for part in linear_weights(3, 0, 2, 6))
    assert not weights.any() and not inside.any()


def resized(images, **options):
    plan = host.plan_resize(*images.shape[1:3], **options)
    padded = [side + sum(padding) for side, padding in zip(plan.size, plan.padding, strict=False)]
    return ops.convert_to_numpy(resize_and_pad(images, plan.size, plan.window[:2], padded))


@pytest.mark.parametrize("height, width", [(48, 80), (200, 120), (128, 90), (64, 128), (31, 17)])
@pytest.mark.parametrize("mode", ["square", "pad64"])
def test_like_the_host_up_to_one_grey_level(height, width, mode):
    options = {"min_dim": 64, "max_dim": 128, "mode": mode}
    images = np.random.default_rng(0).integers(0, 256, (2, height, width, 3)).astype(np.uint8)
    found = resized(images, **options)
    expected = np.stack([host.resize_image(image, **options)[0] for image in images])
    difference = np.abs(found - expected)
    assert difference.max() <= 1
    # Only where the exact value is a whole number can the two cut off differently.
    assert np.mean(difference > 0) < 0.01


@pytest.mark.parametrize("height, width", [(48, 80), (200, 120), (64, 90), (500, 31)])
@pytest.mark.parametrize("scale", [0.6, 1.7])
def test_exactly_like_the_host(height, width, scale):
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.uint8)
    size = round(scale * height), round(scale * width)
    found = ops.convert_to_numpy(resize_exactly(image[None], size, "pad32"))[0]
    assert np.abs(found - host.resize_exactly(image, size, "pad32")).max() < 0.05


@pytest.mark.parametrize("height, width", [(48, 80), (200, 120), (64, 90), (31, 500)])
@pytest.mark.parametrize("scale", [0.23, 0.8, 1.7])
def test_smoothed_as_pillow_does_it(height, width, scale):
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.uint8)
    size = round(scale * height), round(scale * width)
    found = ops.convert_to_numpy(resize_exactly(image[None], size, "pad32_smooth"))[0]
    np.testing.assert_array_equal(found, host.resize_exactly(image, size, "pad32_smooth"))


def test_smoothed_in_another_order():
    """Pillow 13 takes the columns of tall pictures first."""
    image = np.random.default_rng(0).integers(0, 256, (500, 31, 3)).astype(np.uint8)
    found = ops.convert_to_numpy(resize_exactly(image[None], (400, 25), "pad32_smooth"))[0]
    assert np.abs(found - host.resize_exactly(image, (400, 25), "pad32_smooth")).max() <= 1


def test_the_darkest_pixel_bounds_the_border():
    image = np.full((1, 20, 30, 3), 200, np.uint8)
    found = resized(image, min_dim=64, max_dim=128, mode="square")
    assert set(np.unique(found)) == {0, 200}


def test_an_image_that_fits_is_left_alone():
    images = np.random.default_rng(1).integers(0, 256, (1, 64, 48, 3)).astype(np.uint8)
    found = resized(images, max_dim=64, mode="square")
    np.testing.assert_array_equal(found[:, :, 8:56], images)
    assert not found[:, :, :8].any() and not found[:, :, 56:].any()
