"""The pyramid between its convolutions: how a level is enlarged, and how the last is thinned."""

import numpy as np
import pytest
from keras import ops

from mrcnn.necks.fpn import FPN

pytestmark = pytest.mark.jax


def test_levels_are_enlarged_and_thinned_like_torchvisions(golden_torchvision):
    case, fpn = np.load(golden_torchvision / "ops_losses_layers.npz"), FPN(8)
    x = case["x"].transpose(0, 2, 3, 1)
    for layer, name in ((fpn.upsample[5], "nearest_up_18x14"), (fpn.subsample, "pool_k1_s2")):
        np.testing.assert_array_equal(ops.convert_to_numpy(layer(x)).transpose(0, 3, 1, 2), case[name])
