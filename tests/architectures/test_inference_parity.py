"""The inference graph gives Matterport's numbers, stage by stage."""

import keras
import numpy as np
import pytest

from mrcnn.architectures.mask_rcnn import MaskRCNN
from mrcnn.engine.inference import mold_inputs, unmold_detections
from tests.golden_case import Case, assign, sample

pytestmark = pytest.mark.jax
SLOW = ["infer_a2", "infer_b", "infer_c0"]
CASES = ["infer_a", "infer_c", *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)]
LAYERS = {
    "C2": "res2c_out", "C3": "res3d_out", "C5": "res5c_out",
    "P2": "fpn_p2", "P3": "fpn_p3", "P4": "fpn_p4", "P5": "fpn_p5", "P6": "fpn_p6",
    "roi_align_classifier": "roi_align_classifier",
}  # fmt: skip


@pytest.fixture(scope="module", params=CASES)
def run(request, golden, tmp_path_factory):
    """A case, its model, and what the model's layers and outputs gave."""
    case = Case(golden, request.param)
    model = MaskRCNN("inference", case.config, tmp_path_factory.mktemp("logs"))
    assign(model.keras_model, case.weights())
    names = {key: model.keras_model.get_layer(name).output for key, name in LAYERS.items()}
    names["mrcnn_class_logits"] = model.keras_model.get_layer("mrcnn_class").input
    order = ["detections", "mrcnn_class", "mrcnn_bbox", "mrcnn_mask", "proposals", "rpn_class", "rpn_bbox"]
    outputs = dict(zip(order, model.keras_model.outputs, strict=True)) | names
    probe = keras.Model(model.keras_model.inputs, outputs)
    metas = case["image_metas"].astype("float32")
    values = probe.predict_on_batch([case["molded_images"], metas])
    return case, model, {key: keras.ops.convert_to_numpy(value) for key, value in values.items()}


@pytest.mark.parametrize("feature", LAYERS)
def test_features(run, feature):
    case, _, values = run
    key = f"feat/{feature}"
    assert values[feature].shape == tuple(case[f"{key}/shape"])
    error = np.abs(sample(values[feature], case, key) - case[f"{key}/sample"])
    if feature == "roi_align_classifier":
        whole = np.broadcast_to(_comparable_rows(case, values)[..., None, None, None], values[feature].shape)
        error = error[sample(whole, case, key)]
        assert error.size > 1000
    assert error.max() <= 1e-4 * float(case[f"{key}/std"])


@pytest.mark.parametrize("key", ["rpn_class", "rpn_bbox", "mrcnn_class_logits"])
def test_probabilities_deltas_and_logits(run, key):
    case, _, values = run
    rows = slice(None) if key.startswith("rpn") else _comparable_rows(case, values)
    np.testing.assert_allclose(values[key][rows], case[key][rows], atol=1e-3)


def _comparable_rows(case, values):
    """`[B, P]` bool: the same proposal, to the last bit but one, in the same row, and not at the far edge of the image.

    There the last sample lies at `h - 1` up to rounding: one bit more and it counts as outside and reads 0.
    """
    same = np.abs(values["proposals"] - case["proposals"]).max(axis=-1) <= 1.2e-7
    return same & (case["proposals"][..., 2:].max(axis=-1) < 1)


def test_stable_proposals_as_a_set(run):
    case, _, values = run
    for image, proposals in enumerate(values["proposals"]):
        stable = case["proposals"][image][case[f"proposals_stable/{image}"]]
        nearest = np.abs(stable[:, None] - proposals[None]).max(-1).min(1)
        assert len(stable) and nearest.max() <= 1e-4


def test_stable_detections_as_a_set(run):
    case, _, values = run
    for image, detections in enumerate(values["detections"]):
        stable = case["detections"][image][case[f"detections_stable/{image}"]]
        nearest = np.abs(stable[:, None] - detections[None]).max(-1).min(1)
        assert nearest.max(initial=0) <= 1e-3


def test_selected_masks(run):
    case, _, values = run
    for image, detections in enumerate(values["detections"]):
        expected = case[f"mrcnn_mask_selected/{image}"]
        same = np.abs(detections - case["detections"][image]).max(-1)[: len(expected)] <= 1e-4
        class_ids = detections[: len(expected), 4].astype(int)
        masks = values["mrcnn_mask"][image, np.arange(len(expected)), :, :, class_ids]
        np.testing.assert_allclose(masks[same], expected[same], atol=1e-3)
        assert len(expected) == 0 or same.mean() > 0.9


def test_molded_images(run):
    """Within one grey level: resizing differs by as much between versions of scikit-image."""
    case, model, _ = run
    molded, metas, windows = mold_inputs(list(case["images"]), model.config)
    np.testing.assert_allclose(np.stack(molded), case["molded_images"], atol=1.001)
    np.testing.assert_allclose(np.stack(metas), case["image_metas"], rtol=1e-6)
    np.testing.assert_array_equal(np.stack(windows), case["windows"])


def test_results_in_pixels(run):
    """Boxes within a pixel, the same classes, scores within 1e-3, masks with IoU above 0.99."""
    case, _, values = run
    for image, original in enumerate(case["images"]):
        rois, class_ids, scores, masks = unmold_detections(
            values["detections"][image],
            values["mrcnn_mask"][image],
            original.shape,
            case["molded_images"][image].shape,
            case["windows"][image],
        )
        expected = {key: case[f"result/{image}/{key}"] for key in ("rois", "class_ids", "scores")}
        expected_masks = _decode_masks(case, image)
        assert len(rois) == len(expected["rois"]) and masks.shape == expected_masks.shape and masks.dtype == bool
        np.testing.assert_allclose(rois, expected["rois"], atol=1)
        np.testing.assert_array_equal(class_ids, expected["class_ids"])
        np.testing.assert_allclose(scores, expected["scores"], atol=1e-3)
        both, either = (masks & expected_masks).sum((0, 1)), (masks | expected_masks).sum((0, 1))
        assert np.all(both > 0.99 * either)


def _decode_masks(case, image):
    height, width, count = case[f"result/{image}/mask_shape"]
    counts, offsets = case[f"result/{image}/rle_counts"], case[f"result/{image}/rle_offsets"]
    masks = np.zeros((height, width, count), bool)
    for i in range(count):
        runs = counts[offsets[i] : offsets[i + 1]]
        values = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
        masks[..., i] = values.reshape(width, height).T
    return masks
