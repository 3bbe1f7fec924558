"""Every weight of torchvision and Detectron2 has one place here and comes back as it was."""

import importlib.util
import json

import numpy as np
import pytest

from mrcnn.engine.dialects import transforms as t
from mrcnn.engine.dialects.detectron2 import DETECTRON2
from mrcnn.engine.dialects.recognise import find_dialect, ready_configuration, recognise
from mrcnn.engine.dialects.torchvision import TORCHVISION

from .torch_states import BLOCKS_101, detectron2_state, torchvision_state

LAYOUTS = {
    "maskrcnn_resnet50_fpn": "torchvision_maskrcnn_r50_fpn",
    "maskrcnn_resnet50_fpn_v2": "torchvision_maskrcnn_r50_fpn_v2",
    "fasterrcnn_resnet50_fpn": "torchvision_fasterrcnn_r50_fpn",
    "keypointrcnn_resnet50_fpn": "torchvision_keypointrcnn_r50_fpn",
    "d2_mask_rcnn_R_50_FPN_3x": "detectron2_maskrcnn_r50_fpn",
    "d2_keypoint_rcnn_R_50_FPN_3x": "detectron2_keypointrcnn_r50_fpn",
}
NARROWER = 16


def _numbers(*shape):
    """Whole numbers, so that sums in any order are equal."""
    return np.random.default_rng(3).integers(-9, 10, shape).astype("float32")


class TestMeaning:
    def test_convolution(self):
        kernel, window = _numbers(5, 3, 2, 4), _numbers(3, 2, 4)
        ours = np.einsum("hwio,hwi->o", t.CONVOLUTION.read(kernel), window.transpose(1, 2, 0))
        np.testing.assert_array_equal(ours, (kernel * window).sum(axis=(1, 2, 3)))

    def test_transposed_convolution(self):
        kernel, pixel = _numbers(3, 5, 2, 4), _numbers(3)
        ours = np.einsum("hwoi,i->hwo", t.TRANSPOSED_CONVOLUTION.read(kernel), pixel)
        np.testing.assert_array_equal(ours.transpose(2, 0, 1), (kernel * pixel[:, None, None, None]).sum(axis=0))

    def test_fully_connected_layers_over_a_region(self):
        kernel, region = _numbers(5, 3 * 49), _numbers(3, 7, 7)
        theirs, ours = kernel @ region.ravel(), region.transpose(1, 2, 0)
        np.testing.assert_array_equal(np.einsum("hwco,hwc->o", t.FLAT_AS_CONVOLUTION.read(kernel), ours), theirs)
        np.testing.assert_array_equal(ours.ravel() @ t.FLAT_AS_DENSE.read(kernel), theirs)

    def test_fully_connected_layers_over_features(self):
        kernel, features = _numbers(5, 3), _numbers(3)
        np.testing.assert_array_equal(features @ t.DENSE.read(kernel), kernel @ features)
        np.testing.assert_array_equal(features @ t.DENSE_AS_CONVOLUTION.read(kernel)[0, 0], kernel @ features)

    def test_deltas_of_each_anchor_or_class(self):
        names = np.array(["dx1", "dy1", "dw1", "dh1", "dx2", "dy2", "dw2", "dh2"])
        assert list(t.DELTAS.read(names)) == ["dy1", "dx1", "dh1", "dw1", "dy2", "dx2", "dh2", "dw2"]

    def test_background_comes_first(self):
        assert list(t.BACKGROUND_LAST.read(np.array(["cat", "dog", "BG"]))) == ["BG", "cat", "dog"]
        assert t.no_background(2).read(np.array([1.0, 2.0, 3.0, 4.0])).tolist() == [0, 0, 1, 2, 3, 4]
        assert t.no_background(2).write(np.array([0.0, 0.0, 3.0, 4.0])).tolist() == [3, 4]

    def test_channels_of_the_image(self):
        kernel, image = _numbers(5, 3, 7, 7), _numbers(3, 7, 7)
        ours, reversed_image = t.BGR.read(kernel), image[::-1]
        np.testing.assert_array_equal((ours * reversed_image).sum((1, 2, 3)), (kernel * image).sum((1, 2, 3)))


def _layout(folder, name):
    """{key: shape}, and {key: key that the published file has}."""
    rows = json.loads((folder / f"layout_{name}.json").read_text())["keys"]
    published = {row["key"]: row.get("checkpoint_key", row["key"]) for row in rows}
    return {row["key"]: tuple(row["shape"]) for row in rows}, published


def _weights(shapes, divide):
    """Arrays in which every number is another one; the wide axes are `divide` times narrower."""
    narrow = {
        key: tuple(side // divide if side >= 64 and side % 64 == 0 else side for side in shape)
        for key, shape in shapes.items()
    }
    return {key: np.arange(np.prod(shape), dtype="float32").reshape(shape) for key, shape in narrow.items()}


@pytest.mark.parametrize("name", LAYOUTS)
class TestLayouts:
    @pytest.mark.parametrize("published", [False, True])
    def test_every_key_has_one_place_and_comes_back(self, golden_torchvision, name, published):
        shapes, published_keys = _layout(golden_torchvision, name)
        state = _weights(shapes, NARROWER)
        read = {published_keys[key] if published else key: value for key, value in state.items()}
        dialect = find_dialect(read, name)
        moved, unknown = dialect.read(read, name)
        assert unknown == []
        weights = {row.name: row.ours for row in moved}
        wanted = {key: value for key, value in state.items() if not key.endswith("num_batches_tracked")}
        assert len(weights) == len(moved) == len(wanted)
        written = {row.entry.key: row.theirs for row in dialect.write(weights, name)}
        assert written.keys() == wanted.keys()
        for key, value in wanted.items():
            assert written[key].dtype == value.dtype and np.array_equal(written[key], value), key

    def test_real_shapes_tell_the_configuration(self, golden_torchvision, name):
        shapes, _ = _layout(golden_torchvision, name)
        assert recognise({key: np.broadcast_to(np.float32(1), shape) for key, shape in shapes.items()}) == LAYOUTS[name]

    def test_weights_of_real_shapes_come_back(self, golden_torchvision, name):
        spec = importlib.util.spec_from_file_location("weights_tv", golden_torchvision / "weights_tv.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        shapes, _ = _layout(golden_torchvision, name)
        state = {key: module.tensor(key, shape) for key, shape in shapes.items() if np.prod(shape) <= 20000}
        moved, _ = find_dialect(state, name).read(state, name)
        assert len(moved) > 200
        for row in moved:
            assert np.array_equal(row.entry.write(row.ours), state[row.entry.key]), row.entry.key


def test_places_that_the_contract_names(golden_torchvision):
    shapes, _ = _layout(golden_torchvision, "maskrcnn_resnet50_fpn_v2")
    state = {key: np.broadcast_to(np.float32(1), shape) for key, shape in shapes.items() if "layer" not in key}
    ours = {"/".join(row.name): row.ours.shape for row in TORCHVISION.read(state, "v2")[0]}
    assert ours["conv1/kernel"] == (7, 7, 3, 64) and ours["bn_conv1/moving_variance"] == (64,)
    assert ours["fpn_c2p2_bn/gamma"] == (256,) and "fpn_c2p2/bias" not in ours
    assert ours["rpn_conv_shared2/kernel"] == (3, 3, 256, 256)
    assert ours["rpn_class_raw/kernel"] == (1, 1, 256, 3) and ours["rpn_bbox_pred/kernel"] == (1, 1, 256, 12)
    assert ours["mrcnn_class_conv4/kernel"] == (3, 3, 256, 256) and ours["mrcnn_class_bn4/beta"] == (256,)
    assert ours["mrcnn_class_fc/kernel"] == (12544, 1024) and ours["mrcnn_mask_bn1/gamma"] == (256,)
    assert ours["mrcnn_class_logits/kernel"] == (1024, 91) and ours["mrcnn_bbox_fc/kernel"] == (1024, 364)
    assert ours["mrcnn_mask_deconv/kernel"] == (2, 2, 256, 256) and ours["mrcnn_mask/kernel"] == (1, 1, 256, 91)


def test_blocks_have_letters():
    moved, _ = DETECTRON2.read(detectron2_state(blocks=BLOCKS_101), "r101")
    names = {row.entry.key: row.entry.layer for row in moved}
    assert names["backbone.bottom_up.res4.22.conv2.weight"] == "res4w_branch2b"
    assert names["backbone.bottom_up.res2.0.shortcut.norm.bias"] == "bn2a_branch1"


@pytest.mark.parametrize(
    ("state", "configuration"),
    [
        (torchvision_state(task="faster"), "torchvision_fasterrcnn_r50_fpn"),
        (torchvision_state(blocks=BLOCKS_101), None),
        (detectron2_state(), "detectron2_maskrcnn_r50_fpn"),
        (detectron2_state(blocks=BLOCKS_101), "detectron2_maskrcnn_r101_fpn"),
        (detectron2_state(blocks=BLOCKS_101, groups=32), "detectron2_maskrcnn_x101_fpn"),
        (detectron2_state(blocks=(3, 8, 36, 3)), None),
    ],
)
def test_depth_groups_and_heads_tell_the_configuration(state, configuration):
    assert recognise(state) == configuration


def test_a_detector_without_proposals_is_none_of_ours():
    state = {key: value for key, value in torchvision_state().items() if not key.startswith(("rpn", "roi_heads"))}
    moved, unknown = TORCHVISION.read({**state, "head.regression_head.conv.0.0.weight": np.zeros(3)}, "retinanet")
    assert unknown == ["head.regression_head.conv.0.0.weight"]
    assert ready_configuration("torchvision", {row.name: row.ours.shape for row in moved}) is None


def test_entries_that_are_no_weights_are_passed_over():
    others = (
        "pixel_mean", "pixel_std", "proposal_generator.anchor_generator.cell_anchors.0",
        "backbone.bottom_up.stem.conv1.norm.num_batches_tracked",
    )
    state = detectron2_state()
    moved, unknown = DETECTRON2.read({**state, **{key: np.zeros(3) for key in others}}, "f")
    assert unknown == [] and len(moved) == len(state)


def test_keys_of_no_dialect_or_of_two():
    with pytest.raises(ValueError, match=r"f\.pth holds 1 arrays \(layer1\.0\.conv1\.weight.*neither.*state dict of"):
        find_dialect({"layer1.0.conv1.weight": np.zeros(3)}, "f.pth")
    with pytest.raises(ValueError, match="both torchvision's and Detectron2's"):
        find_dialect({**torchvision_state(), **detectron2_state()}, "f.pth")


def test_two_names_of_one_weight():
    state = torchvision_state()
    state["rpn.head.conv.weight"] = state["rpn.head.conv.0.0.weight"]
    with pytest.raises(ValueError, match="rpn.head.conv.0.0.weight and rpn.head.conv.weight, two names of one"):
        TORCHVISION.read(state, "f.pth")


@pytest.mark.parametrize(
    ("key", "array", "reason"),
    [
        ("backbone.body.conv1.weight", np.zeros((3, 4), "float32"), r"shape \(3, 4\).*conv1/kernel \(OIHW to HWIO\)"),
        ("roi_heads.box_head.fc6.weight", np.zeros((6, 100), "float32"), r"shape \(6, 100\).*another network"),
        ("rpn.head.bbox_pred.bias", np.zeros(7, "float32"), r"rpn_bbox_pred/bias"),
        ("rpn.head.conv.0.0.bias", np.zeros(4, "int8"), "holds int8, expected floats"),
    ],
)
def test_arrays_of_another_shape_or_type(key, array, reason):
    with pytest.raises(ValueError, match=f"f.pth.*{key}.*{reason}"):
        TORCHVISION.read({**torchvision_state(), key: array}, "f.pth")


def test_weights_that_the_other_program_has_no_place_for():
    with pytest.raises(ValueError, match=r"f\.h5 has weights that no detector of detectron2 has, conv1/bias"):
        DETECTRON2.write({("conv1", "kernel"): np.zeros((7, 7, 3, 4)), ("conv1", "bias"): np.zeros(4)}, "f.h5")
