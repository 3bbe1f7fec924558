"""The image's row of facts, and the mean pixel."""

import numpy as np
import pytest

from mrcnn.data import image_meta as I

from .toy import ToyConfig


@pytest.fixture(scope="module")
def pure(golden):
    return np.load(golden / "pure.npz")


def test_parity(pure):
    meta = I.compose_image_meta(7, (480, 640, 3), (512, 512, 3), (64, 0, 448, 512), 0.8, [1, 0, 1, 1])
    np.testing.assert_allclose(meta, pure["meta/composed"])
    for name, value in I.parse_image_meta(meta[None]).items():
        expected = pure[f"meta/parsed/{name}"]
        assert value.dtype == expected.dtype, name
        np.testing.assert_array_equal(value, expected)


def test_parity_of_molding(pure):
    molded = I.mold_image(pure["mold/in"], ToyConfig())
    assert molded.dtype == np.float32
    np.testing.assert_allclose(molded, pure["mold/mold_image"], atol=2e-5)
    np.testing.assert_array_equal(I.unmold_image(molded, ToyConfig()), pure["mold/unmold_image"])


@pytest.mark.parametrize("mean", [0, 5.44, np.array([5.44]), [1.0, 2.0, 3.0]])
def test_any_mean_pixel(mean):
    config = ToyConfig()
    config.MEAN_PIXEL = mean
    image = np.random.default_rng(0).integers(0, 256, (2, 5, 6, 3)).astype(np.uint8)
    molded = I.mold_image(image, config)
    assert molded.shape == image.shape
    np.testing.assert_array_equal(I.unmold_image(molded, config), image)


def test_unmolding_does_not_wrap():
    config = ToyConfig()
    config.MEAN_PIXEL = 0
    np.testing.assert_array_equal(I.unmold_image(np.array([-5.0, 3.6, 300.0]), config), [0, 4, 255])


def test_deep_images_are_molded():
    config = ToyConfig()
    config.MEAN_PIXEL = 1000
    assert I.mold_image(np.array([[[60000]]], np.uint16), config)[0, 0, 0] == 59000
