"""The functions and layers of `mrcnn.model` beside `MaskRCNN`."""

import inspect
import random

import keras
import numpy as np
import pytest

from mrcnn import model as modellib
from tests.api.helpers import begins_with
from tests.small import SIDE, SmallConfig, SmallDataset

SIGNATURES = {
    "log": "text, array=None",
    "load_image_gt": "dataset, config, image_id, augment=False, augmentation=None, use_mini_mask=False",
    "data_generator": "dataset, config, shuffle=True, augment=False, augmentation=None, random_rois=0, batch_size=1, "
                      "detection_targets=False, no_augmentation_sources=None",
    "DataGenerator": "dataset, config, shuffle=True, augmentation=None, random_rois=0, detection_targets=False",
    "mold_image": "images, config",
    "unmold_image": "normalized_images, config",
    "compose_image_meta": "image_id, original_image_shape, image_shape, window, scale, active_class_ids",
    "parse_image_meta": "meta",
    "parse_image_meta_graph": "meta",
    "compute_backbone_shapes": "config, image_shape",
    "build_rpn_targets": "image_shape, anchors, gt_class_ids, gt_boxes, config",
    "build_detection_targets": "rpn_rois, gt_class_ids, gt_boxes, gt_masks, config",
    "generate_random_rois": "image_shape, count, gt_class_ids, gt_boxes",
    "resnet_graph": "input_image, architecture, stage5=False, train_bn=True",
    "identity_block": "input_tensor, kernel_size, filters, stage, block, use_bias=True, train_bn=True",
    "conv_block": "input_tensor, kernel_size, filters, stage, block, strides=(2, 2), use_bias=True, train_bn=True",
    "build_rpn_model": "anchor_stride, anchors_per_location, depth",
    "fpn_classifier_graph": "rois, feature_maps, image_meta, pool_size, num_classes, train_bn=True, "
                            "fc_layers_size=1024",
    "build_fpn_mask_graph": "rois, feature_maps, image_meta, pool_size, num_classes, train_bn=True",
    "refine_detections_graph": "rois, probs, deltas, window, config",
    "overlaps_graph": "boxes1, boxes2",
    "norm_boxes_graph": "boxes, shape",
    "denorm_boxes_graph": "boxes, shape",
    "clip_boxes_graph": "boxes, window",
    "apply_box_deltas_graph": "boxes, deltas",
    "smooth_l1_loss": "y_true, y_pred",
    "rpn_class_loss_graph": "rpn_match, rpn_class_logits",
    "rpn_bbox_loss_graph": "config, target_bbox, rpn_match, rpn_bbox",
    "mrcnn_class_loss_graph": "target_class_ids, pred_class_logits, active_class_ids",
    "mrcnn_bbox_loss_graph": "target_bbox, target_class_ids, pred_bbox",
    "mrcnn_mask_loss_graph": "target_masks, target_class_ids, pred_masks",
}  # fmt: skip
LAYERS = ["BatchNorm", "DetectionLayer", "DetectionTargetLayer", "ProposalLayer", "PyramidROIAlign"]


@pytest.mark.parametrize("name", SIGNATURES)
def test_signature(name):
    begins_with(getattr(modellib, name), SIGNATURES[name])


def test_every_name_is_public():
    assert {*SIGNATURES, *LAYERS, "MaskRCNN"} <= set(modellib.__all__)


@pytest.mark.parametrize("name", LAYERS)
def test_layer_is_a_keras_layer_for_custom_objects(name):
    assert issubclass(getattr(modellib, name), keras.layers.Layer)


class TestLog:
    def test_text_alone(self, capsys):
        modellib.log("AP 0.5")
        assert capsys.readouterr().out == "AP 0.5\n"

    def test_shape_range_and_dtype(self, capsys):
        modellib.log("image", np.array([[-1.5, 2.0]]))
        assert capsys.readouterr().out == (
            "image                    shape: (1, 2)                min:   -1.50000  max:    2.00000  float64\n"
        )

    def test_bool_and_empty_arrays(self, capsys):
        modellib.log("gt_mask", np.array([True, False]))
        modellib.log("rois", np.zeros((0, 4), np.int32))
        lines = capsys.readouterr().out.splitlines()
        assert lines[0].endswith("min:    0.00000  max:    1.00000  bool")
        assert lines[1] == f"rois                     shape: (0, 4)                min: {' ' * 12}max: {' ' * 12}int32"


@pytest.fixture
def dataset():
    return SmallDataset(6)


@pytest.fixture
def config():
    return SmallConfig()


class TestLoadImageGt:
    def test_full_size_masks_unless_asked(self, dataset, config):
        image, meta, class_ids, bbox, mask = modellib.load_image_gt(dataset, config, 1)
        assert image.shape == (SIDE, SIDE, 3) and image.dtype == np.uint8 and meta.shape == (15,)
        assert class_ids.dtype == np.int32 and class_ids.tolist() == [1, 2]
        assert bbox.dtype == np.int32 and bbox.shape == (2, 4)
        assert mask.shape == (SIDE, SIDE, 2) and mask.dtype == bool

    def test_mini_masks_on_request(self, dataset, config):
        mask = modellib.load_image_gt(dataset, config, image_id=1, use_mini_mask=True)[4]
        assert mask.shape == (28, 28, 2) and mask.dtype == bool

    def test_use_mini_mask_false_by_keyword(self, dataset, config):
        assert modellib.load_image_gt(dataset, config, 1, use_mini_mask=False)[4].shape == (SIDE, SIDE, 2)

    def test_augment_flips_every_second_image_with_a_warning(self, dataset, config, caplog):
        random.seed(0)
        images = [modellib.load_image_gt(dataset, config, 1, augment=True)[0] for _ in range(8)]
        straight = modellib.load_image_gt(dataset, config, 1)[0]
        same = [np.array_equal(image, straight) for image in images]
        flipped = [np.array_equal(image, straight[:, ::-1]) for image in images]
        assert any(same) and any(flipped) and all(a or b for a, b in zip(same, flipped, strict=True))
        assert "deprecated" in caplog.text

    @pytest.mark.parametrize("place", ["fourth", "fifth", "keyword"])
    def test_augmentation_in_every_generations_place(self, dataset, config, place):
        from imgaug import augmenters as iaa

        always = iaa.Fliplr(1.0)
        more = {"fourth": ((always,), {}), "fifth": ((False, always), {}), "keyword": ((), {"augmentation": always})}
        arguments, keywords = more[place]
        image = modellib.load_image_gt(dataset, config, 1, *arguments, **keywords)[0]
        np.testing.assert_array_equal(image, modellib.load_image_gt(dataset, config, 1)[0][:, ::-1])

    def test_empty_masks_are_dropped(self, dataset, config, monkeypatch):
        masks = np.zeros((SIDE, SIDE, 3), bool)
        masks[5:20, 5:20, 1] = True
        monkeypatch.setattr(dataset, "load_mask", lambda image_id: (masks, np.array([1, 2, 1])))
        class_ids, bbox, mask = modellib.load_image_gt(dataset, config, 0)[2:]
        assert class_ids.tolist() == [2] and bbox.tolist() == [[5, 5, 20, 20]] and mask.shape == (SIDE, SIDE, 1)

    @pytest.mark.parametrize("dtype", [bool, np.uint8, np.float64, np.int64])
    @pytest.mark.parametrize("ids", [np.int32, np.int64, np.float64, list])
    def test_dtypes_that_load_mask_returns(self, dataset, config, monkeypatch, dtype, ids):
        masks = np.zeros((SIDE, SIDE, 2), dtype)
        masks[5:20, 5:20] = 1
        class_ids = [1, 2] if ids is list else np.array([1, 2], ids)
        monkeypatch.setattr(dataset, "load_mask", lambda image_id: (masks, class_ids))
        _, _, found, _, mask = modellib.load_image_gt(dataset, config, 0)
        assert found.tolist() == [1, 2] and found.dtype == np.int32 and mask.dtype == bool

    def test_no_objects_at_all(self, dataset, config, monkeypatch):
        monkeypatch.setattr(dataset, "load_mask", lambda image_id: (np.empty([0, 0, 0]), np.empty([0], np.int32)))
        _, _, class_ids, bbox, mask = modellib.load_image_gt(dataset, config, 0)
        assert class_ids.shape == (0,) and bbox.shape == (0, 4) and mask.shape == (SIDE, SIDE, 0)


class TestDataGenerator:
    def test_function_is_an_endless_generator_of_seven_inputs(self, dataset, config):
        generator = modellib.data_generator(dataset, config, shuffle=True, batch_size=2)
        assert inspect.isgenerator(generator)
        for _ in range(5):
            inputs, outputs = next(generator)
        shapes = [array.shape for array in inputs]
        assert shapes == [(2, SIDE, SIDE, 3), (2, 15), (2, 1023, 1), (2, 32, 4), (2, 4), (2, 4, 4), (2, 28, 28, 4)]
        assert inputs[0].dtype == np.float32 and outputs == []

    def test_function_with_random_rois_and_targets_unpacks_as_in_the_notebooks(self, dataset, config):
        generator = modellib.data_generator(dataset, config, shuffle=True, random_rois=40, batch_size=2,
                                            detection_targets=True)
        [normalized_images, image_meta, rpn_match, rpn_bbox, gt_class_ids, gt_boxes, gt_masks, rpn_rois, rois], \
            [mrcnn_class_ids, mrcnn_bbox, mrcnn_mask] = next(generator)
        assert rpn_rois.shape == (2, 40, 4) and rois.shape == (2, 12, 4)
        assert mrcnn_class_ids.shape == (2, 12, 1) and mrcnn_bbox.shape == (2, 12, 3, 4)
        assert mrcnn_mask.shape == (2, 12, 28, 28, 3)

    def test_function_skips_images_without_objects_and_logs_errors(self, dataset, config, monkeypatch, caplog):
        load_mask = dataset.load_mask

        def sometimes(image_id):
            if image_id == 1:
                raise KeyError("polygons")
            return load_mask(image_id) if image_id != 2 else (np.empty([0, 0, 0]), np.empty([0], np.int32))

        monkeypatch.setattr(dataset, "load_mask", sometimes)
        generator = modellib.data_generator(dataset, config, shuffle=False, batch_size=1)
        seen = [int(next(generator)[0][1][0, 0]) for _ in range(5)]
        assert seen == [0, 3, 4, 5, 0] and "picture 1" in caplog.text

    def test_sequence_by_index(self, dataset, config):
        generator = modellib.DataGenerator(dataset, config, shuffle=False)
        assert len(generator) == 3
        inputs, outputs = generator[1]
        shapes = [array.shape for array in inputs]
        assert shapes == [(2, SIDE, SIDE, 3), (2, 15), (2, 1023, 1), (2, 32, 4), (2, 4), (2, 4, 4), (2, 28, 28, 4)]
        assert inputs[1][:, 0].tolist() == [2, 3] and outputs == []
        assert inputs[2].dtype == inputs[4].dtype == inputs[5].dtype == np.int32 and inputs[6].dtype == bool

    def test_sequence_by_next_goes_on_for_ever(self, dataset, config):
        generator = modellib.DataGenerator(dataset, config, shuffle=False)
        seen = [next(generator)[0][1][:, 0].tolist() for _ in range(4)]
        assert seen == [[0, 1], [2, 3], [4, 5], [0, 1]]

    def test_sequence_has_each_image_once_an_epoch_in_a_new_order(self, dataset, config):
        generator = modellib.DataGenerator(dataset, config, shuffle=True)
        epochs = [[i for _ in range(3) for i in next(generator)[0][1][:, 0].tolist()] for _ in range(2)]
        assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(6)) and epochs[0] != epochs[1]

    def test_sequence_with_random_rois_and_targets(self, dataset, config):
        [*_, rpn_rois, rois], [class_ids, bbox, mask] = modellib.DataGenerator(
            dataset, config, random_rois=40, detection_targets=True)[0]
        assert rpn_rois.shape == (2, 40, 4) and rois.shape == (2, 12, 4)
        assert class_ids.shape == (2, 12, 1) and bbox.shape == (2, 12, 3, 4) and mask.shape == (2, 12, 28, 28, 3)


def test_mold_image_subtracts_the_mean_and_unmold_image_adds_it(config):
    image = np.random.default_rng(0).integers(0, 255, (4, 5, 3), np.uint8)
    molded = modellib.mold_image(image, config)
    assert molded.dtype == np.float32
    np.testing.assert_allclose(molded, image - config.MEAN_PIXEL, atol=1e-4)
    back = modellib.unmold_image(molded, config)
    assert back.dtype == np.uint8 and (back == image).all()


def test_compose_and_parse_image_meta():
    meta = modellib.compose_image_meta(5, (100, 200, 3), (128, 128, 3), (32, 0, 96, 128), 0.64, np.array([1, 0, 1]))
    assert meta.shape == (15,)
    parsed = modellib.parse_image_meta(meta[None])
    assert set(parsed) == {"image_id", "original_image_shape", "image_shape", "window", "scale", "active_class_ids"}
    assert parsed["window"].tolist() == [[32, 0, 96, 128]] and parsed["scale"].dtype == np.float32
    assert parsed["image_id"].tolist() == [5] and parsed["active_class_ids"].tolist() == [[1, 0, 1]]
    assert set(modellib.parse_image_meta_graph(meta[None])) == set(parsed)


def test_compute_backbone_shapes(config):
    shapes = modellib.compute_backbone_shapes(config, config.IMAGE_SHAPE)
    assert shapes.tolist() == [[16, 16], [8, 8], [4, 4], [2, 2], [1, 1]]


def test_build_rpn_targets(config):
    from mrcnn import utils

    shapes = modellib.compute_backbone_shapes(config, config.IMAGE_SHAPE)
    anchors = utils.generate_pyramid_anchors(config.RPN_ANCHOR_SCALES, config.RPN_ANCHOR_RATIOS, shapes,
                                             config.BACKBONE_STRIDES, config.RPN_ANCHOR_STRIDE)
    boxes = np.array([[10, 10, 30, 30], [30, 30, 60, 60]])
    match, deltas = modellib.build_rpn_targets((SIDE, SIDE, 3), anchors, np.array([1, -1]), boxes, config)
    assert match.dtype == np.int32 and match.shape == (1023,) and set(np.unique(match)) == {-1, 0, 1}
    assert deltas.shape == (32, 4)
    crowd = utils.compute_overlaps(anchors, boxes[1:])[:, 0] > 0.001
    assert (match[crowd] != -1).all()


def test_generate_random_rois_and_build_detection_targets(dataset, config):
    image, _, class_ids, boxes, masks = modellib.load_image_gt(dataset, config, 1, use_mini_mask=True)
    rois = modellib.generate_random_rois(image.shape, 40, class_ids, boxes)
    assert rois.shape == (40, 4) and rois.dtype == np.int32
    sampled, ids, deltas, targets = modellib.build_detection_targets(rois, class_ids, boxes, masks, config)
    assert sampled.shape == (12, 4) and ids.dtype == np.int32
    assert deltas.shape == (12, 3, 4) and targets.shape == (12, 28, 28, 3)


def test_resnet_graph_returns_five_stages():
    image = keras.Input((64, 64, 3))
    stages = modellib.resnet_graph(image, "resnet50", stage5=True)
    assert [tuple(stage.shape[1:]) for stage in stages] == [
        (16, 16, 64), (16, 16, 256), (8, 8, 512), (4, 4, 1024), (2, 2, 2048)]  # fmt: skip


def test_build_rpn_model():
    model = modellib.build_rpn_model(1, 3, 16)
    assert model.name == "rpn_model" and len(model.outputs) == 3
    assert {w.path.split("/")[-2] for w in model.weights} == {"rpn_conv_shared", "rpn_class_raw", "rpn_bbox_pred"}


def test_heads_as_graph_functions(config):
    rois, meta = keras.Input((6, 4)), keras.Input((15,))
    maps = [keras.Input((side, side, 16)) for side in (16, 8, 4, 2)]
    logits, probs, deltas = modellib.fpn_classifier_graph(rois, maps, meta, 7, 3, fc_layers_size=8)
    assert [tuple(t.shape[1:]) for t in (logits, probs, deltas)] == [(6, 3), (6, 3), (6, 3, 4)]
    masks = modellib.build_fpn_mask_graph(rois, maps, meta, 14, 3)
    assert tuple(masks.shape[1:]) == (6, 28, 28, 3)


def test_refine_detections_graph(config):
    rois = np.array([[0.1, 0.1, 0.5, 0.5], [0.4, 0.4, 0.9, 0.9]], np.float32)
    probs = np.array([[0.1, 0.2, 0.7], [0.9, 0.05, 0.05]], np.float32)
    found = np.asarray(modellib.refine_detections_graph(
        rois, probs, np.zeros((2, 3, 4), np.float32), np.array([0, 0, 1, 1], np.float32), config))
    assert found.shape == (10, 6)
    np.testing.assert_allclose(found[0], [0.1, 0.1, 0.5, 0.5, 2, 0.7], rtol=1e-6)
    assert not found[1:].any()


def test_box_graph_functions():
    boxes = np.array([[0, 0, 50, 100], [10, 10, 30, 30]], np.float32)
    normalised = np.asarray(modellib.norm_boxes_graph(boxes, (50, 100)))
    np.testing.assert_allclose(normalised[0], [0, 0, 1, 1])
    back = np.asarray(modellib.denorm_boxes_graph(normalised, (50, 100)))
    assert back.dtype == np.int32 and (back == boxes).all()
    assert np.asarray(modellib.overlaps_graph(boxes, boxes)).shape == (2, 2)
    clipped = np.asarray(modellib.clip_boxes_graph(boxes, np.array([0, 0, 20, 20], np.float32)))
    assert clipped.max() == 20
    np.testing.assert_allclose(np.asarray(modellib.apply_box_deltas_graph(boxes, np.zeros((2, 4), np.float32))), boxes)


def test_loss_graphs_are_scalars():
    match = np.array([[[1], [-1], [0]]], np.int32)
    logits = np.array([[[0.0, 2.0], [2.0, 0.0], [9.0, 9.0]]], np.float32)
    assert float(modellib.rpn_class_loss_graph(match, logits)) == pytest.approx(np.log1p(np.exp(-2)), rel=1e-5)
    deltas = np.zeros((1, 3, 4), np.float32)
    assert float(modellib.rpn_bbox_loss_graph(None, np.full((1, 2, 4), 2.0, np.float32), match, deltas)) == 1.5
    ids = np.array([[1, 0]])
    class_logits = np.array([[[0.0, 2.0], [2.0, 0.0]]], np.float32)
    found = modellib.mrcnn_class_loss_graph(ids, class_logits, np.ones((1, 2), np.float32))
    assert float(found) == pytest.approx(np.log1p(np.exp(-2)), rel=1e-5)
    box_deltas = np.zeros((1, 2, 2, 4), np.float32)
    assert float(modellib.mrcnn_bbox_loss_graph(np.full((1, 2, 4), 2.0, np.float32), ids, box_deltas)) == 1.5
    masks = np.full((1, 2, 4, 4, 2), 0.5, np.float32)
    found = modellib.mrcnn_mask_loss_graph(np.ones((1, 2, 4, 4), np.float32), ids, masks)
    assert float(found) == pytest.approx(np.log(2), rel=1e-5)
    np.testing.assert_allclose(np.asarray(modellib.smooth_l1_loss(np.array([0.0, 3.0]), np.array([0.5, 0.0]))),
                               [0.125, 2.5])


def test_parallel_model_is_importable():
    from mrcnn.parallel_model import ParallelModel

    assert ParallelModel is not None
