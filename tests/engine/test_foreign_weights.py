"""Files of torchvision and Detectron2 fill our layers, or are refused with what is wrong and what fits."""

import ast
import re

import numpy as np
import pytest

from mrcnn.engine.coco_classes import COCO_CLASS_NAMES, COCO_NAMES_BY_ID
from mrcnn.engine.dialects.detectron2 import DETECTRON2
from mrcnn.engine.dialects.torchvision import TORCHVISION
from mrcnn.engine.torch_files import encode_state
from mrcnn.engine.weights import load_weights, read_weights

from .torch_states import BLOCKS_101, SMALL, detectron2_state, held, holder, torchvision_state

HEADS = ["mrcnn_class_logits", "mrcnn_bbox_fc", "mrcnn_bbox", "mrcnn_mask"]


def _file(folder, state, suffix=".safetensors"):
    path = folder / f"w{suffix}"
    path.write_bytes(encode_state(state, suffix, wrapped=False))
    return path


def _ours(dialect, state):
    return {row.name: row.ours for row in dialect.read(state, "test")[0]}


@pytest.mark.jax
@pytest.mark.parametrize(
    ("dialect", "state", "suffix", "configuration"),
    [
        (TORCHVISION, torchvision_state(), ".safetensors", "torchvision_maskrcnn_r50_fpn"),
        (TORCHVISION, torchvision_state(task="faster"), ".pth", "torchvision_fasterrcnn_r50_fpn"),
        (DETECTRON2, detectron2_state(), ".pkl", "detectron2_maskrcnn_r50_fpn"),
    ],
)
def test_every_weight_is_loaded(tmp_path, capsys, dialect, state, suffix, configuration):
    if suffix == ".pth":
        pytest.importorskip("torch", reason="torch is not installed")
    path = _file(tmp_path, {**state, "some.other.weight": np.zeros(2, "float32")}, suffix)
    model = holder(dialect, state)
    report = load_weights(model, path)
    assert report.missing == report.excluded == () and report.unused == ("some.other.weight",)
    wanted, found = _ours(dialect, state), held(model)
    assert wanted.keys() == found.keys() and all(np.array_equal(wanted[name], found[name]) for name in wanted)
    assert f'fits the configuration "{configuration}" with NUM_CLASSES = 5' in capsys.readouterr().out


def test_other_number_of_classes_is_refused_and_exclude_helps(tmp_path):
    path, model = _file(tmp_path, torchvision_state(classes=91)), holder(TORCHVISION, torchvision_state(classes=3))
    before = held(model)
    with pytest.raises(ValueError, match="The file has 91 classes, the model 3") as caught:
        load_weights(model, path)
    assert 'fits the configuration "torchvision_maskrcnn_r50_fpn" with NUM_CLASSES = 91' in str(caught.value)
    exclude = re.search(r"exclude=(\[.*?\])", str(caught.value))[1]
    assert all(np.array_equal(before[name], value) for name, value in held(model).items())
    report = load_weights(model, path, exclude=[name.strip("' ") for name in exclude.strip("[]").split(",")])
    assert set(report.excluded) == {f"{h}/{w}" for h in HEADS for w in ("kernel", "bias")} - {
        "mrcnn_bbox/kernel", "mrcnn_bbox/bias"
    }
    assert report.missing == ()


@pytest.mark.parametrize(
    ("dialect", "state", "dog"),
    [(TORCHVISION, torchvision_state(classes=91), 18), (DETECTRON2, detectron2_state(classes=80), 17)],
)
def test_classes_are_taken_by_name(tmp_path, dialect, state, dog):
    path = _file(tmp_path, state)
    small = torchvision_state(classes=3) if dialect is TORCHVISION else detectron2_state(classes=2)
    model = holder(dialect, small)
    report = load_weights(model, path, class_names=["BG", "unicorn", "dog"])
    assert report.classes.kept == ("BG", "dog") and report.classes.new == ("unicorn",)
    theirs, ours = _ours(dialect, state), held(model)
    kernel = theirs["mrcnn_class_logits", "kernel"]
    np.testing.assert_array_equal(ours["mrcnn_class_logits", "kernel"][:, [0, 2]], kernel[:, [0, dog]])
    deltas = theirs["mrcnn_bbox_fc", "kernel"]
    np.testing.assert_array_equal(ours["mrcnn_bbox_fc", "kernel"][:, 8:], deltas[:, 4 * dog : 4 * dog + 4])
    np.testing.assert_array_equal(ours["mrcnn_mask", "bias"][2], theirs["mrcnn_mask", "bias"][dog])


def test_cocos_names_stand_at_their_ids():
    assert len(COCO_NAMES_BY_ID) == 91 and len(set(COCO_NAMES_BY_ID)) == 91
    assert [COCO_NAMES_BY_ID[i] for i in (0, 1, 11, 13, 44, 67, 90)] == [
        "BG", "person", "fire hydrant", "stop sign", "bottle", "dining table", "toothbrush"
    ]
    assert [name for name in COCO_NAMES_BY_ID if not name.startswith("unused id")] == list(COCO_CLASS_NAMES)


@pytest.mark.parametrize(
    ("file", "model", "reason"),
    [
        (
            {**torchvision_state(), "roi_heads.mask_head.0.1.weight": np.ones(4, "float32")}, torchvision_state(),
            r"the model lacks: mrcnn_mask_bn1/gamma",
        ),
        (torchvision_state(blocks=BLOCKS_101), torchvision_state(), r"the model lacks: res4g_branch2a/kernel"),
        (torchvision_state(), torchvision_state(blocks=BLOCKS_101), r"The file lacks: res4g_branch2a/kernel"),
        (torchvision_state(task="faster"), torchvision_state(), r"The file lacks: mrcnn_mask_conv1/kernel"),
        (
            {k: v for k, v in torchvision_state().items() if "fc7.bias" not in k}, torchvision_state(),
            r"The file lacks: mrcnn_class_conv2/bias",
        ),
    ],
)
def test_another_network_is_refused(tmp_path, file, model, reason):
    target = holder(TORCHVISION, model)
    before = held(target)
    with pytest.raises(ValueError, match=f"another network.*nothing was loaded.*{reason}.*exclude=.*configuration"):
        load_weights(target, _file(tmp_path, file))
    assert all(np.array_equal(before[name], value) for name, value in held(target).items())


def test_a_network_for_masks_fills_one_for_boxes_and_the_reverse_with_exclude(tmp_path):
    boxes, masks = torchvision_state(task="faster"), torchvision_state()
    report = load_weights(holder(TORCHVISION, boxes), _file(tmp_path, masks))
    assert report.missing == () and all(name.startswith("mrcnn_mask") for name in report.unused)
    mask_layers = [f"mrcnn_mask_conv{number}" for number in (1, 2, 3, 4)] + ["mrcnn_mask_deconv", "mrcnn_mask"]
    report = load_weights(holder(TORCHVISION, masks), _file(tmp_path, boxes), exclude=mask_layers)
    assert report.missing == () and report.unused == ()


def test_other_channels_name_the_configuration_that_fits(tmp_path):
    state = torchvision_state()
    other = {**state, "backbone.body.conv1.weight": np.zeros((64, 1, 7, 7), "float32")}
    with pytest.raises(ValueError, match="The file has 3 input channels, the model 1.*torchvision_maskrcnn_r50_fpn"):
        load_weights(holder(TORCHVISION, other), _file(tmp_path, state))


def test_weights_are_read_by_our_names(tmp_path):
    state = detectron2_state()
    assert read_weights(_file(tmp_path, state, ".pkl")).keys() == _ours(DETECTRON2, state).keys()


def test_a_file_with_convolutions_in_its_heads_is_refused_with_all_that_differs(tmp_path):
    state = torchvision_state()
    head = "roi_heads.box_head"
    new = {key: value for key, value in state.items() if not key.startswith(head)}
    new |= {f"{head}.{number}.0.weight": np.ones((SMALL, SMALL, 3, 3), "float32") for number in range(4)}
    new |= {f"{head}.5.weight": np.ones((6, 196), "float32"), f"{head}.5.bias": np.ones(6, "float32")}
    target = holder(TORCHVISION, state)
    with pytest.raises(ValueError, match="Only one of the two has") as caught:
        load_weights(target, _file(tmp_path, new))
    exclude = re.search(r"exclude=(\[.*?\])", str(caught.value))[1]
    assert load_weights(target, tmp_path / "w.safetensors", ast.literal_eval(exclude)).missing == ()


def test_other_keypoints_name_the_setting(tmp_path):
    state = torchvision_state(task="keypoint")
    key = "roi_heads.keypoint_predictor.kps_score_lowres"
    other = {**state, f"{key}.weight": np.zeros((SMALL, 5, 4, 4)), f"{key}.bias": np.zeros(5)}
    other = {key: value.astype("float32") for key, value in other.items()}
    with pytest.raises(ValueError, match=r"The file has 17 keypoints, the model 5 \(NUM_KEYPOINTS\)"):
        load_weights(holder(TORCHVISION, other), _file(tmp_path, state))
