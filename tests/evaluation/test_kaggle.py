"""The nuclei competition's score."""

import numpy as np
import pytest

from mrcnn.evaluation import kaggle_score

from .fakes import square

A, B = square(40, 40, 0, 0, 10), square(40, 40, 20, 20, 10)
HALF = A.copy()
HALF[6:] = False  # IoU 0.6 with A
NOTHING = np.zeros([40, 40, 0], bool)


def stack(*masks):
    return np.stack(masks, axis=-1)


@pytest.mark.parametrize(("truth", "found", "expected"), [
    (stack(A, B), stack(B, A), 1.0),
    (stack(A, B), NOTHING, 0.0),
    (NOTHING, stack(A), 0.0),
    (NOTHING, NOTHING, 1.0),
    (stack(A, B), stack(A), 0.5),
    (stack(A), stack(A, B), 0.5),
    (stack(A), stack(A, A), 0.5),
    (stack(A), stack(HALF), 0.2),  # above .50 and .55; equal to .60 does not count
])
def test_one_image(truth, found, expected):
    assert kaggle_score(truth, found) == pytest.approx(expected)


def test_mean_over_images():
    assert kaggle_score([stack(A, B), stack(A)], [stack(A), stack(A)]) == pytest.approx(0.75)


def test_errors():
    with pytest.raises(ValueError, match="gt_masks holds 2 images, pred_masks 1"):
        kaggle_score([stack(A), stack(A)], [stack(A)])
    with pytest.raises(ValueError, match="Image 0: ground-truth masks are"):
        kaggle_score([stack(A)], [np.ones([56, 56, 1], bool)])
