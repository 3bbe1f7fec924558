"""Resizing of images and masks."""

import json
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mrcnn.data import resize as R


@pytest.fixture(scope="module")
def pure(golden):
    return np.load(golden / "pure.npz")


def test_parity_in_all_modes(pure):
    cases = json.loads(str(pure["info"]))["resize_kwargs"]
    for name, kwargs in cases.items():
        number = name.split("/")[0]
        random.seed(0)
        image, window, scale, padding, crop = R.resize_image(pure[f"resize/image{number}"], **kwargs)
        expected = pure[f"resize/{name}/out"]
        assert image.dtype == np.uint8 and image.shape == expected.shape, name
        assert np.abs(image.astype(int) - expected).max() <= 1, name
        np.testing.assert_array_equal(window, pure[f"resize/{name}/window"], name)
        np.testing.assert_array_equal(padding, pure[f"resize/{name}/padding"], name)
        np.testing.assert_array_equal(crop or [-1] * 4, pure[f"resize/{name}/crop"], name)
        assert scale == pytest.approx(float(pure[f"resize/{name}/scale"]), abs=1e-12), name
        if f"resize/{name}/mask_out" in pure:
            masks = R.resize_mask(pure[f"resize/{number}/masks"], scale, padding, crop)
            np.testing.assert_array_equal(masks, pure[f"resize/{name}/mask_out"], name)


@pytest.mark.parametrize("size", ["28x28", "7x5", "14x9", "1x1", "15x33", "9x14"])
def test_parity_of_the_plain_resize(pure, size):
    height, width = map(int, size.split("x"))
    np.testing.assert_allclose(
        R.resize(pure["skresize/in"], (height, width)), pure[f"skresize/{size}"], atol=1e-9
    )


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 90), st.integers(1, 90), st.integers(-200, 200))
def test_bilinear_is_scikit_images(height, width, new_height, new_width, shift):
    from skimage.transform import resize as skimage_resize

    image = np.random.default_rng(height * width).normal(shift, 50, (height, width))
    size = new_height, new_width
    expected = skimage_resize(
        image, size, order=1, mode="constant", cval=0, preserve_range=True, anti_aliasing=False
    )
    np.testing.assert_allclose(R.bilinear(image, size), expected, atol=5e-3)


def test_without_opencv_the_numbers_stay(monkeypatch):
    image = np.random.default_rng(0).integers(0, 256, (20, 30, 3)).astype(np.uint8)
    fast = R.resize_image(image, 50, 64)[0]
    monkeypatch.setitem(__import__("sys").modules, "cv2", None)
    assert np.abs(R.resize_image(image, 50, 64)[0].astype(int) - fast).max() <= 1


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.int32, np.float32, np.float64, bool])
@pytest.mark.parametrize("channels", [1, 3, 4, 6])
def test_every_dtype_and_channel_count_is_kept(dtype, channels):
    image = np.ones((20, 30, channels), dtype)
    resized = R.resize_image(image, min_dim=40, max_dim=64)[0]
    assert resized.shape == (64, 64, channels) and resized.dtype == dtype


def test_deep_images_do_not_wrap():
    image = np.full((20, 20, 1), 60000, np.uint16)
    resized, (y1, x1, y2, x2), *_ = R.resize_image(image, 64, 64)
    assert (resized[y1:y2, x1:x2] == 60000).all()


def test_the_image_given_is_not_changed_or_shared():
    image = np.zeros((64, 64, 3), np.uint8)
    resized = R.resize_image(image, 64, 64)[0]
    resized[:] = 9
    assert not image.any()


def test_none_leaves_the_image():
    image = np.zeros((10, 20, 3), np.uint8)
    result, window, scale, padding, crop = R.resize_image(image, 800, 1024, 2, mode="none")
    assert result is image or np.array_equal(result, image)
    assert (window, scale, padding, crop) == ((0, 0, 10, 20), 1, [(0, 0)] * 3, None)


def test_square_never_passes_max_dim():
    assert R.resize_image(np.zeros((10, 500, 3), np.uint8), 100, 128)[0].shape == (128, 128, 3)


@pytest.mark.parametrize("height", [1, 2])
@pytest.mark.parametrize("mode", ["square", "pad32", "pad32_smooth"])
def test_a_hair_thin_image_keeps_its_pixels(height, mode):
    thin = np.full((height, 3000, 3), 7, np.uint8)
    image, (y1, x1, y2, x2), scale, padding, crop = R.resize_image(thin, 64, 128, mode=mode)
    assert (image[y1:y2, x1:x2] == 7).all() and y2 - y1 == (2 if mode == "square" else 1)
    if mode == "square":
        assert R.resize_mask(thin != 0, scale, padding, crop)[y1:y2, x1:x2].all()


def test_crop_repeats_with_a_state():
    image = np.arange(100 * 120, dtype=np.int32).reshape(100, 120, 1)
    first, second = (R.resize_image(image, 64, mode="crop", rng=np.random.RandomState(5)) for _ in range(2))
    assert first[4] == second[4]
    np.testing.assert_array_equal(first[0], second[0])


@pytest.mark.parametrize(
    "kwargs, text",
    [
        ({"mode": "stretch"}, "IMAGE_RESIZE_MODE"),
        ({"mode": "square"}, "IMAGE_MAX_DIM"),
        ({"mode": "crop"}, "IMAGE_MIN_DIM"),
        ({"mode": "pad64", "min_dim": 100}, "multiple of 64"),
    ],
)
def test_impossible_requests(kwargs, text):
    with pytest.raises(ValueError, match=text):
        R.resize_image(np.zeros((10, 10, 3), np.uint8), **kwargs)


def test_masks_follow_their_image():
    mask = np.zeros((30, 50, 1), bool)
    mask[10:20, 15:40] = True
    image = np.where(mask, 200, 0).astype(np.uint8)
    resized, _, scale, padding, crop = R.resize_image(image, 64, 128)
    follows = R.resize_mask(mask, scale, padding, crop)
    assert follows.shape == (128, 128, 1) and follows.dtype == bool
    assert (follows[..., 0] == (resized[..., 0] > 100)).mean() > 0.99


def test_masks_of_an_image_that_is_left_as_it_is():
    _, _, scale, padding, crop = R.resize_image(np.zeros((1, 64, 3), np.uint8), mode="none")
    assert R.resize_mask(np.ones((1, 64, 2), bool), scale, padding, crop).shape == (1, 64, 2)


def test_no_masks_stay_none():
    assert R.resize_mask(np.zeros((30, 50, 0), bool), 2, [(0, 0)] * 3).shape == (60, 100, 0)


def test_resize_gives_fractions_unless_told():
    image = np.full((4, 4), 255, np.uint8)
    assert R.resize(image, (4, 4)).max() == pytest.approx(1)
    assert R.resize(image, (4, 4), preserve_range=True).max() == 255
    assert R.resize(image, (8, 8), order=0).max() == pytest.approx(1)
    assert R.resize(np.eye(8, dtype=bool), (2, 2), anti_aliasing=True).shape == (2, 2)


@pytest.mark.parametrize("name", ["up", "down", "capped"])
def test_pad32_like_torchvision(golden_torchvision, name):
    """Shorter and longer side, and the picture within a 40th of a grey level: positions are single precision there."""
    case = np.load(golden_torchvision / "ops_masks_keypoints.npz")
    min_dim, max_dim = (int(side) for side in case[f"resize_{name}_arg"])
    expected = case[f"resize_{name}"].transpose(1, 2, 0)
    image, window, _, padding, _ = R.resize_image(case["resize_in"], min_dim, max_dim, mode="pad32")
    height, width = expected.shape[:2]
    assert window == (0, 0, height, width) and padding == [(0, -height % 32), (0, -width % 32), (0, 0)]
    assert image.dtype == np.float32 and not image[height:].any() and not image[:, width:].any()
    np.testing.assert_allclose(image[:height, :width] / 255, expected, atol=1e-4)
