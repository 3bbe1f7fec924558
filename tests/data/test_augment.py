"""Augmentations from imgaug and from plain functions."""

import subprocess
import sys
import threading

import numpy as np
import pytest

from mrcnn.data.augment import augment, is_imgaug
from mrcnn.data.imgaug_compat import install_numpy_aliases

install_numpy_aliases()
iaa = pytest.importorskip("imgaug.augmenters")


@pytest.fixture
def picture():
    masks = np.zeros((64, 64, 7), bool)
    for index in range(7):
        masks[4 + 6 * index : 20 + 6 * index, 8 : 30 + 2 * index, index] = True
    image = np.zeros((64, 64, 3), np.uint8)
    image[masks[..., 2]] = 255
    return image, masks


GEOMETRIC = [
    iaa.Fliplr(1.0),
    iaa.Flipud(1.0),
    iaa.Affine(rotate=(20, 40)),
    iaa.Rot90((1, 3)),
    iaa.Rotate((-45, 45)),
    iaa.ShearX((10, 20)),
    iaa.TranslateX(px=(5, 9)),
    iaa.ScaleY((0.6, 0.8)),
    iaa.PerspectiveTransform(0.1),
    iaa.PiecewiseAffine((0.03, 0.05)),
    iaa.ElasticTransformation(20, 4),
    iaa.CropAndPad(percent=(-0.2, 0.2)),
    iaa.Crop(px=(1, 8)),
    iaa.Pad(px=(1, 8)),
    iaa.KeepSizeByResize(iaa.CropToFixedSize(40, 40)),
    iaa.Sequential([iaa.Fliplr(0.5), iaa.Sometimes(0.5, iaa.Affine(scale=(0.5, 1.5)))]),
    iaa.OneOf([iaa.Flipud(1.0), iaa.Affine(translate_px=8)]),
    iaa.SomeOf((1, 2), [iaa.Rot90(1), iaa.Fliplr(1.0)], random_order=True),
]


@pytest.mark.parametrize("augmenter", GEOMETRIC, ids=lambda a: a.__class__.__name__)
def test_masks_move_with_the_image(picture, augmenter):
    image, masks = picture
    for seed in range(3):
        new_image, new_masks, _ = augment(image, masks, augmenter, np.random.RandomState(seed))
        assert new_masks.dtype == bool and new_masks.shape == masks.shape
        assert ((new_image[..., 0] > 127) == new_masks[..., 2]).mean() > 0.97


COLOUR = [
    iaa.GaussianBlur(3.0),
    iaa.Multiply(0.3),
    iaa.Add(40),
    iaa.AdditiveGaussianNoise(scale=30),
    iaa.Invert(1.0),
    iaa.Grayscale(1.0),
    iaa.Sharpen(1.0),
    iaa.Dropout(0.3),
    iaa.Cutout(nb_iterations=3),
    iaa.LinearContrast(2.0),
    iaa.AddToHue(20),
    iaa.EdgeDetect(0.5),
    iaa.ContrastNormalization(2.0),
    iaa.AddToHueAndSaturation(20),
]


@pytest.mark.parametrize("augmenter", COLOUR, ids=lambda a: a.__class__.__name__)
def test_colours_leave_masks_alone(picture, augmenter):
    image, masks = picture
    new_image, new_masks, _ = augment(image + 9, masks, iaa.Sequential([augmenter]), np.random.RandomState(0))
    np.testing.assert_array_equal(new_masks, masks)
    assert new_image.shape == image.shape


@pytest.mark.parametrize(
    "augmenter",
    [
        iaa.Affine(translate_px=20, cval=255),
        iaa.Affine(translate_px=20, cval=(0, 255)),
        iaa.Pad(px=9, pad_cval=255),
    ],
    ids=["fixed", "drawn", "pad"],
)
def test_what_moves_in_is_no_object(picture, augmenter):
    image, masks = picture
    new_image, new_masks, _ = augment(image, masks, augmenter, np.random.RandomState(0))
    assert new_image[0].any()
    assert not new_masks[0].any() and not new_masks[:, 0].any()


def test_no_masks(picture):
    assert augment(picture[0], np.zeros((64, 64, 0), bool), iaa.Fliplr(1.0))[1].shape == (64, 64, 0)


def test_one_state_one_result_in_any_thread(picture):
    image, masks = picture
    augmenter = iaa.Sequential([iaa.Affine(rotate=(-90, 90)), iaa.AdditiveGaussianNoise(scale=20)])
    results = {}

    def work(name):
        results[name] = [
            augment(image, masks, augmenter, np.random.RandomState(seed))[0] for seed in range(6)
        ]

    threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    for name in range(1, 4):
        np.testing.assert_array_equal(results[0], results[name])
    assert not np.array_equal(results[0][0], results[0][1])


def test_without_a_state_imgaugs_own_is_used(picture):
    image, masks = picture
    first = augment(image, masks, iaa.Affine(rotate=(-90, 90), seed=3))
    again = augment(image, masks, iaa.Affine(rotate=(-90, 90), seed=3))
    np.testing.assert_array_equal(first[1], again[1])


def test_any_function(picture):
    new_image, new_masks, _ = augment(*picture, lambda image, masks: (image[::-1], masks[::-1].astype(np.uint8)))
    np.testing.assert_array_equal(new_masks, picture[1][::-1])
    assert new_masks.dtype == bool
    np.testing.assert_array_equal(new_image, picture[0][::-1])


def test_a_function_may_ask_for_the_state(picture):
    def noise(image, masks, rng=None):
        return image + rng.randint(0, 50, image.shape).astype(np.uint8), masks

    first, again = (augment(*picture, noise, np.random.RandomState(4))[0] for _ in range(2))
    np.testing.assert_array_equal(first, again)


@pytest.mark.parametrize(
    "function",
    [
        lambda image, masks: (image[1:], masks),
        lambda image, masks: (image, masks[:, 1:]),
        lambda image, masks: (image, masks[:, :, 1:]),
        iaa.Resize(32),
        iaa.Crop(px=5, keep_size=False),
    ],
)
def test_sizes_must_stay(picture, function):
    with pytest.raises(ValueError, match="must keep their shape"):
        augment(*picture, function)


def test_a_function_must_return_a_pair(picture):
    with pytest.raises(ValueError, match="pair"):
        augment(*picture, lambda image, masks: image)


@pytest.mark.parametrize("wrong", [[iaa.Fliplr(0.5)], "flip", 5])
def test_what_is_no_augmentation(picture, wrong):
    with pytest.raises(TypeError, match="iaa.Sequential"):
        augment(*picture, wrong)


def test_asking_does_not_import_imgaug():
    code = (
        "import sys; from mrcnn.data.augment import is_imgaug; "
        "print(is_imgaug(print), 'imgaug' in sys.modules)"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.split()[-2:] == ["False", "False"]
    assert is_imgaug(iaa.Fliplr(1.0)) and not is_imgaug(len)


LOAD_COMPAT = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("compat", {path!r})
compat = importlib.util.module_from_spec(spec); spec.loader.exec_module(compat)
"""


@pytest.mark.parametrize(
    "steps",
    [
        "compat.install_numpy_aliases(); assert 'numpy' not in sys.modules; import imgaug",
        "import numpy; compat.install_numpy_aliases(); import imgaug.augmenters",
        "compat.install_numpy_aliases(); import numpy; import imgaug.augmenters",
    ],
)
def test_imgaug_imports_whoever_comes_first(steps):
    from mrcnn.data import imgaug_compat

    code = LOAD_COMPAT.format(path=imgaug_compat.__file__) + steps
    subprocess.run([sys.executable, "-S", "-c", "import site; site.main()\n" + code], check=True)
