"""Pictures made ready inside the graph, beside `mold_inputs` and `unmold_detections`."""

import numpy as np
import pytest
from keras import ops

from mrcnn.engine.inference import mold_inputs, unmold_detections
from mrcnn.layers.mold import MoldImages
from mrcnn.layers.unmold import UnmoldDetections
from tests.harness import as_arrays, check_compiled, check_declaration, check_layer, check_round_trip
from tests.small import SmallConfig

MEAN = (123.7, 116.8, 103.9)
STD = (58.4, 57.1, 57.4)


def pictures(height, width, batch=2):
    return np.random.default_rng(0).integers(0, 256, (batch, height, width, 3)).astype(np.uint8)


def configured(mode):
    config = SmallConfig()
    config.IMAGE_RESIZE_MODE, config.PIXEL_STD = mode, STD
    return config, MoldImages(mode, config.IMAGE_MIN_DIM, config.IMAGE_MAX_DIM, 0, MEAN, STD, config.NUM_CLASSES)


@pytest.mark.parametrize(
    "mode, size",
    [
        ("square", (48, 80)),
        ("pad64", (100, 70)),
        ("none", (64, 128)),
        ("pad32", (90, 70)),
        ("pad32_smooth", (150, 170)),
    ],
)
class TestMoldImages:
    def test_contract(self, mode, size):
        layer, images = configured(mode)[1], pictures(*size)
        eager = as_arrays(layer(images))
        check_round_trip(layer, images, eager)
        check_declaration(layer, images, None, eager)
        # Elsewhere compiled, a value may end on the other side of a whole number.
        check_compiled(layer, images, None, 1.0)

    def test_like_the_host(self, mode, size):
        config, layer = configured(mode)
        images = pictures(*size)
        molded, metas = as_arrays(layer(images))
        expected, expected_metas, _ = mold_inputs(list(images), config)
        np.testing.assert_allclose(metas, expected_metas, rtol=1e-6)
        difference = np.abs(molded - expected)
        assert difference.max() < 1 + 1e-3 and np.mean(difference > 0.5) < 0.01


def test_an_unknown_mode_is_refused():
    with pytest.raises(ValueError, match="IMAGE_RESIZE_MODE.*crop"):
        MoldImages("crop", 64, 64, 0, MEAN, STD, 3)


def found_in_the_graph(batch=2, count=6, classes=4):
    """Detections of an image of 40 x 60 pixels in the middle rows of 64 x 64; the third has no area."""
    generator = np.random.default_rng(1)
    corners = np.sort(generator.uniform([0.2, 0.0], [0.8, 1.0], (batch, count, 2, 2)), axis=2)
    detections = np.zeros((batch, count, 6), "float32")
    detections[..., :4] = corners.reshape(batch, count, 4)
    detections[:, 2, 2:4] = detections[:, 2, :2] - 0.02
    detections[..., 4] = generator.integers(1, classes, (batch, count))
    detections[..., 5] = np.sort(generator.uniform(size=(batch, count)))[:, ::-1]
    detections[0, 4:] = 0
    masks = generator.uniform(size=(batch, count, 8, 8, classes)).astype("float32")
    meta = np.zeros((batch, 12 + classes), "float32")
    meta[:, 1:12] = [40, 60, 3, 64, 64, 3, 11, 0, 53, 64, 1.07]
    return [detections, meta, np.zeros((batch, 40, 60, 3), "uint8"), masks]


WAYS = [(True, "box"), (False, "box"), (True, "padded"), (True, "centers")]


@pytest.mark.parametrize("paste, how", WAYS)
def test_unmold_contract(paste, how):
    check_layer(UnmoldDetections(paste, how), found_in_the_graph())


@pytest.mark.parametrize("paste, how", WAYS)
def test_unmold_like_the_host(paste, how):
    inputs = found_in_the_graph()
    found = {name: ops.convert_to_numpy(value) for name, value in UnmoldDetections(paste, how)(inputs).items()}
    np.testing.assert_array_equal(found["num_detections"], [3, 5])
    for image, count in enumerate(found["num_detections"]):
        boxes, class_ids, scores, masks = unmold_detections(
            inputs[0][image], inputs[3][image], (40, 60, 3), (64, 64, 3), (11, 0, 53, 64), how
        )
        assert found["boxes"].dtype == boxes.dtype
        np.testing.assert_allclose(found["boxes"][image, :count], boxes, atol=0 if how == "box" else 1e-4)
        np.testing.assert_array_equal(found["class_ids"][image, :count], class_ids)
        np.testing.assert_array_equal(found["scores"][image, :count], scores)
        if paste:
            assert np.mean(found["masks"][image, :count] != np.moveaxis(masks, -1, 0)) < 1e-3
        for values in found.values():
            assert not values.ndim > 1 or not values[image, count:].any()


def test_unpasted_masks_are_those_of_the_class():
    inputs = found_in_the_graph()
    found = UnmoldDetections(False)(inputs)
    expected = inputs[3][1, 1, :, :, int(inputs[0][1, 1, 4])]
    np.testing.assert_array_equal(ops.convert_to_numpy(found["masks"])[1, 1], expected)


@pytest.mark.parametrize("how", ["box", "padded"])
def test_a_detector_of_boxes(how):
    inputs = found_in_the_graph()
    without = UnmoldDetections(True, how)(inputs[:3])
    found = UnmoldDetections(True, how)(inputs)
    assert found.keys() - without.keys() == {"masks"}
    for name, values in without.items():
        np.testing.assert_array_equal(ops.convert_to_numpy(values), ops.convert_to_numpy(found[name]))
    check_layer(UnmoldDetections(True, how), inputs[:3])


def test_nothing_found():
    inputs = found_in_the_graph()
    inputs[0][:] = 0
    for values in UnmoldDetections()(inputs).values():
        assert not ops.convert_to_numpy(values).any()
