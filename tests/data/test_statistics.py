"""What a data set holds, and anchors for it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mrcnn.data.boxes import compute_overlaps
from mrcnn.data.dataset import Dataset
from mrcnn.data.statistics import best_anchor_overlaps, describe, suggest_anchor_scales

from .toy import ToyConfig


class Boxes(Dataset):
    """Images given as (height, width, objects), an object as (class id, top, left, height, width)."""

    def __init__(self, *images):
        super().__init__()
        self.add_class("boxes", 1, "cat")
        self.add_class("boxes", 2, "dog")
        for number, (height, width, objects) in enumerate(images):
            self.add_image("boxes", number, None, size=(height, width), objects=objects)
        self.prepare()

    def load_image(self, image_id):
        return np.zeros([*self.image_info[image_id]["size"], 3], np.uint8)

    def load_mask(self, image_id):
        objects = self.image_info[image_id]["objects"]
        masks = np.zeros([*self.image_info[image_id]["size"], len(objects)], bool)
        for i, (_, top, left, height, width) in enumerate(objects):
            masks[top:top + height, left:left + width, i] = True
        return masks, np.array([entry[0] for entry in objects], np.int32)


@pytest.fixture
def dataset():
    return Boxes((32, 64, [(1, 0, 0, 8, 16), (1, 4, 4, 10, 10), (-2, 0, 0, 30, 60)]),
                 (128, 96, [(2, 10, 10, 64, 32)]),
                 (50, 50, []))


class TestDescribe:
    def test_counts(self, dataset):
        found = describe(dataset)
        assert found.class_names == ["BG", "cat", "dog"]
        assert found.image_ids.tolist() == [0, 1, 2]
        assert found.class_counts.tolist() == [0, 2, 1]
        assert found.images_per_class.tolist() == [0, 1, 1]
        assert found.objects_per_image.tolist() == [2, 1, 0]
        assert found.class_ids.tolist() == [1, 1, 2]
        assert found.crowds == 1
        assert found.sizes.tolist() == [[8, 16], [10, 10], [64, 32]]
        np.testing.assert_allclose(found.sides, np.sqrt([128, 100, 2048]))
        np.testing.assert_allclose(found.aspect_ratios, [2, 1, 0.5])
        assert found.anchor_scales is found.anchor_overlaps is found.poor_share is found.image_shape is None

    def test_sizes_are_those_of_the_networks_input(self, dataset):
        """ToyConfig makes 64 x 64: the first image keeps its size, the second is halved."""
        found = describe(dataset, ToyConfig())
        np.testing.assert_allclose(found.sizes, [[8, 16], [10, 10], [32, 16]])
        assert found.image_shape == (64, 64)
        config = ToyConfig()
        config.IMAGE_RESIZE_MODE, config.IMAGE_MIN_DIM, config.IMAGE_MIN_SCALE = "pad64", 64, 3
        found = describe(dataset, config)
        np.testing.assert_allclose(found.sizes, [[24, 48], [30, 30], [192, 96]])
        assert found.image_shape is None

    def test_sizes_follow_the_boxes_that_training_sees(self):
        from mrcnn.data.load import load_image_gt
        dataset = Boxes((77, 133, [(1, 5, 9, 30, 61), (2, 40, 20, 33, 22)]), (150, 90, [(2, 3, 3, 120, 66)]))
        config = ToyConfig()
        boxes = np.concatenate([load_image_gt(dataset, config, image_id)[3] for image_id in dataset.image_ids])
        # Training's masks keep whole pixels, first and last on the image's edges.
        np.testing.assert_allclose(describe(dataset, config).sizes, boxes[:, 2:] - boxes[:, :2], atol=1.5)

    def test_share_of_objects_without_a_fitting_anchor(self, dataset):
        config = ToyConfig()
        config.RPN_ANCHOR_SCALES, config.RPN_ANCHOR_RATIOS = (10, 60), [1]
        found = describe(dataset, config)
        # 8 x 16 in 10 x 10: 80 / 148; 10 x 10: 1; 32 x 16 in 10 x 10: 100 / 512.
        np.testing.assert_allclose(found.anchor_overlaps, [80 / 148, 1, 100 / 512])
        assert found.poor_share == pytest.approx(1 / 3)

    def test_limit_spreads_over_the_data_set(self):
        dataset = Boxes(*[(20, 20, [(1, 0, 0, 5, 5 + i)]) for i in range(9)])
        assert describe(dataset, limit=3).image_ids.tolist() == [0, 4, 8]
        assert describe(dataset, limit=3).sizes[:, 1].tolist() == [5, 9, 13]
        assert describe(dataset, limit=1).image_ids.tolist() == [0]
        assert len(describe(dataset, limit=99).image_ids) == 9

    def test_no_objects(self, capsys):
        found = describe(Boxes((20, 20, [])), ToyConfig())
        assert found.sizes.shape == (0, 2) and found.sides.shape == found.anchor_overlaps.shape == (0,)
        assert found.class_counts.tolist() == [0, 0, 0] and found.poor_share is None
        found.display()
        assert "1 images, 1 without objects; 0 objects" in capsys.readouterr().out

    def test_errors(self, dataset):
        with pytest.raises(ValueError, match="Dataset has no images: .*prepare"):
            describe(Dataset())
        with pytest.raises(ValueError, match="limit is 0"):
            describe(dataset, limit=0)
        dataset.load_image = lambda image_id: np.zeros([9, 9, 3], np.uint8)
        with pytest.raises(ValueError, match=r'image 0 \(boxes "0".*load_mask\(\) returned'):
            describe(dataset)


def test_table(dataset, capsys):
    config = ToyConfig()
    config.RPN_ANCHOR_SCALES = (200, 201, 202, 203, 204)
    describe(dataset, config).display()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "3 images, 1 without objects; 3 objects, 1 crowds"
    assert "median 1 " in lines[1] and "(64 x 64)" in lines[2] and "least 0.50" in lines[3]
    assert lines[5].split() == ["CLASS", "OBJECTS", "SHARE", "IMAGES", "MEDIAN", "SIDE", "BELOW", "IOU", "0.5"]
    assert lines[6].split() == ["cat", "2", "66.7%", "1", "11", "100.0%"]
    assert lines[7].split() == ["dog", "1", "33.3%", "1", "23", "100.0%"]
    assert lines[10].split()[0] == "100.0%" and "RPN_ANCHOR_SCALES = (200, 201, 202, 203, 204)" in lines[10]
    assert lines[11].split()[0] == "0.0%" and "suggest_anchor_scales()" in lines[11]
    describe(dataset).display()
    printed = capsys.readouterr().out
    assert "pixels of the images" in printed and "ANCHOR" not in printed


class TestAnchors:
    @settings(max_examples=30, deadline=None)
    @given(st.lists(st.tuples(st.floats(1, 500), st.floats(1, 500)), min_size=1, max_size=5),
           st.lists(st.floats(2, 300), min_size=1, max_size=3), st.lists(st.floats(0.2, 5), min_size=1, max_size=3))
    def test_best_overlap_by_hand(self, sizes, scales, ratios):
        expected = []
        for height, width in sizes:
            best = 0
            for scale in scales:
                for ratio in ratios:
                    anchor_height, anchor_width = scale / ratio ** 0.5, scale * ratio ** 0.5
                    shared = min(height, anchor_height) * min(width, anchor_width)
                    best = max(best, shared / (height * width + scale * scale - shared))
            expected.append(best)
        np.testing.assert_allclose(best_anchor_overlaps(sizes, scales, ratios), expected, rtol=1e-6)

    def test_no_objects(self):
        assert best_anchor_overlaps([], (32,), (1,)).shape == (0,)

    @settings(max_examples=100, deadline=None)
    @given(st.lists(st.floats(0.5, 2000), min_size=1, max_size=60), st.integers(1, 7))
    def test_scales_rise_by_factors_that_leave_no_gap(self, sizes, count):
        scales = suggest_anchor_scales(sizes, count)
        assert len(scales) == count and all(type(scale) is int and scale > 0 for scale in scales)
        for low, high in zip(scales, scales[1:], strict=False):
            # Both are rounded, and small ones are kept one pixel apart.
            assert high == low + 1 or 2 ** 0.5 * (low - 0.5) - 0.5 <= high <= 2 * (low + 0.5) + 0.5
            assert high > low

    def test_clusters_are_found(self):
        rng = np.random.default_rng(0)
        sizes = np.concatenate([center * np.exp(rng.normal(0, 0.02, 200)) for center in (20, 36, 64, 110, 200)])
        np.testing.assert_allclose(suggest_anchor_scales(sizes), (20, 36, 64, 110, 200), atol=1)

    @given(st.floats(4, 1000))
    def test_one_size_is_in_the_middle(self, side):
        scales = suggest_anchor_scales(np.full(10, side))
        assert scales[2] == round(side)
        assert scales[4] == pytest.approx(2 * side, abs=1) and scales[0] == pytest.approx(side / 2, abs=1)

    def test_every_square_between_the_ends_finds_an_anchor(self):
        scales = suggest_anchor_scales(np.geomspace(12, 900, 500))
        sides = np.linspace(scales[0], scales[-1], 1000)
        squares = np.stack([-sides, -sides, sides, sides], axis=1) / 2
        anchors = np.outer(scales, [-1, -1, 1, 1]) / 2
        assert compute_overlaps(squares, anchors).max(axis=1).min() > 0.49

    def test_suggestion_fits_better_than_far_off_scales(self):
        sizes = np.exp(np.random.default_rng(1).normal(np.log(20), 0.6, [400, 2]))
        share = [np.mean(best_anchor_overlaps(sizes, scales, (0.5, 1, 2)) < 0.5)
                 for scales in (suggest_anchor_scales(np.sqrt(sizes.prod(axis=1))), (32, 64, 128, 256, 512))]
        assert share[0] < share[1] / 3

    @pytest.mark.parametrize("sizes", [[], [3, 0], [3, -1], [3, np.nan], [np.inf]])
    def test_wrong_sizes(self, sizes):
        with pytest.raises(ValueError, match="finite and above 0"):
            suggest_anchor_scales(sizes)


def test_real_images(test_data):
    from pycocotools.mask import toBbox

    from samples.coco.coco import CocoDataset
    dataset = CocoDataset()
    dataset.load_coco(str(test_data / "coco_mini"), "val", 2017)
    dataset.prepare()
    found = describe(dataset, limit=10)
    boxes = []
    for image_id, count in zip(found.image_ids, found.objects_per_image, strict=True):
        info = dataset.image_info[image_id]
        objects = [entry for entry in info["annotations"] if not entry["iscrowd"]]
        assert count == len(objects)
        boxes += [toBbox(dataset.annToRLE(entry, info["height"], info["width"])) for entry in objects]
    np.testing.assert_array_equal(found.sizes, np.array(boxes)[:, [3, 2]])
