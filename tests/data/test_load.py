"""Loading one image with its ground truth, and what a dataset may get wrong."""

import random

import numpy as np
import pytest

from mrcnn.data.batch import limit_item, load_item
from mrcnn.data.load import load_image_gt
from mrcnn.data.masks import expand_mask, extract_bboxes, minimize_mask

from .toy import ToyConfig, ToyDataset, returning

HEIGHT, WIDTH = 48, 60


def ones(*shape, dtype=bool):
    return np.ones(shape, dtype)


class TestWhatComesBack:
    def test_shapes_and_dtypes(self):
        image, meta, class_ids, boxes, mask = load_image_gt(ToyDataset(), ToyConfig(), 2)
        assert image.shape == (64, 64, 3) and image.dtype == np.uint8
        assert meta.shape == (15,)
        assert class_ids.dtype == np.int32 and class_ids.tolist() == [1, 2, 1]
        assert boxes.dtype == np.int32 and boxes.shape == (3, 4)
        assert mask.shape == (64, 64, 3) and mask.dtype == bool
        np.testing.assert_array_equal(boxes, extract_bboxes(mask))

    def test_values_that_are_no_grey_levels_are_told_once(self, caplog):
        class Scaled(ToyDataset):
            def load_image(self, image_id):
                return super().load_image(image_id) / 255

        dataset = Scaled()
        for image_id in range(2):
            load_image_gt(dataset, ToyConfig(), image_id)
        record, = caplog.records
        assert 'image 0 (toy "n0"' in record.message and "multiply it by 255" in record.message

    def test_meta_tells_the_story(self):
        meta = load_image_gt(ToyDataset(), ToyConfig(), 2)[1]
        np.testing.assert_allclose(meta, [2, 48, 60, 3, 64, 64, 3, 6, 0, 57, 64, 64 / 60, 1, 1, 1], rtol=1e-6)

    def test_mini_masks_are_those_of_the_whole_mask(self):
        whole = load_image_gt(ToyDataset(), ToyConfig(), 2)
        mini = load_image_gt(ToyDataset(), ToyConfig(), 2, use_mini_mask=True)
        np.testing.assert_array_equal(whole[3], mini[3])
        assert mini[4].shape == (14, 14, 3)
        np.testing.assert_array_equal(minimize_mask(whole[3], whole[4], (14, 14)), mini[4])

    @pytest.mark.parametrize("mode", ["none", "pad64", "crop", "square"])
    def test_mini_masks_in_every_resize_mode(self, mode):
        config = ToyConfig()
        config.IMAGE_RESIZE_MODE = mode
        whole, mini = (
            load_image_gt(
                ToyDataset((3,), (90, 130)), config, 0, use_mini_mask=m, rng=np.random.RandomState(1)
            )
            for m in (False, True)
        )
        np.testing.assert_array_equal(whole[3], mini[3])
        np.testing.assert_array_equal(minimize_mask(whole[3], whole[4], (14, 14)), mini[4])

    def test_only_classes_of_the_source_are_active(self):
        dataset = ToyDataset()
        dataset.add_class("other", 1, "else")
        dataset.prepare()
        config = ToyConfig()
        config.NUM_CLASSES = 5
        np.testing.assert_array_equal(load_image_gt(dataset, config, 0)[1][12:], [1, 1, 1, 0, 0])

    def test_the_deprecated_flip(self, caplog):
        random.seed(1)
        flips = [load_image_gt(ToyDataset(), ToyConfig(), 2, augment=True)[4] for _ in range(12)]
        plain = load_image_gt(ToyDataset(), ToyConfig(), 2)[4]
        same = [np.array_equal(mask, plain) for mask in flips]
        mirrored = [np.array_equal(mask, plain[:, ::-1]) for mask in flips]
        assert any(same) and any(mirrored) and all(a or b for a, b in zip(same, mirrored, strict=True))
        assert "deprecated" in caplog.text

    def test_flipped_mini_masks(self):
        for seed in range(4):
            whole, mini = (
                load_image_gt(
                    ToyDataset(),
                    ToyConfig(),
                    2,
                    augment=True,
                    use_mini_mask=m,
                    rng=np.random.RandomState(seed),
                )
                for m in (False, True)
            )
            np.testing.assert_array_equal(whole[3], mini[3])
            np.testing.assert_array_equal(minimize_mask(whole[3], whole[4], (14, 14)), mini[4])

    def test_a_forks_signature(self):
        def mirror(image, masks):
            return image[:, ::-1], masks[:, ::-1]

        plain = load_image_gt(ToyDataset(), ToyConfig(), 1)
        for result in (
            load_image_gt(ToyDataset(), ToyConfig(), 1, mirror),
            load_image_gt(ToyDataset(), ToyConfig(), 1, augmentation=mirror),
        ):
            np.testing.assert_array_equal(result[4], plain[4][:, ::-1])
            np.testing.assert_array_equal(result[3], extract_bboxes(result[4]))

    def test_objects_that_leave_the_picture_are_dropped(self):
        def wipe_first(image, masks):
            masks = masks.copy()
            masks[:, :, 0] = False
            return image, masks

        _, _, class_ids, boxes, mask = load_image_gt(ToyDataset(), ToyConfig(), 2, augmentation=wipe_first)
        assert class_ids.tolist() == [2, 1] and len(boxes) == 2 and mask.shape[2] == 2

    def test_real_images(self, test_data):
        from mrcnn.data.dataset import Dataset

        class Photos(Dataset):
            def load_mask(self, image_id):
                mask = np.zeros((*self.load_image(image_id).shape[:2], 2), bool)
                mask[100:200, 50:300, 0] = mask[20:25, 30:300, 1] = True
                return mask, np.array([1, 1])

        dataset = Photos()
        dataset.add_class("coco", 1, "thing")
        for path in sorted((test_data / "coco_mini" / "val2017").glob("*.jpg"))[:5]:
            dataset.add_image("coco", path.stem, str(path))
        dataset.prepare()
        config = ToyConfig()
        config.IMAGE_MIN_DIM, config.IMAGE_MAX_DIM = 400, 512
        for image_id in dataset.image_ids:
            image, meta, class_ids, boxes, mini = load_image_gt(dataset, config, image_id, use_mini_mask=True)
            assert image.shape == (512, 512, 3) and len(class_ids) == 2
            mask = expand_mask(boxes, mini, image.shape)
            np.testing.assert_array_equal(extract_bboxes(mask), boxes)


class TestImagesOfOtherKinds:
    @pytest.mark.parametrize("shape", [(HEIGHT, WIDTH), (HEIGHT, WIDTH, 1), (HEIGHT, WIDTH, 4)])
    @pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
    def test_three_channels_are_made(self, shape, dtype):
        image = load_image_gt(returning(image=ones(*shape, dtype=dtype)), ToyConfig(), 0)[0]
        assert image.shape == (64, 64, 3) and image.dtype == dtype

    def test_more_channels_are_kept_where_asked_for(self):
        config = ToyConfig()
        config.IMAGE_CHANNEL_COUNT, config.MEAN_PIXEL = 6, 0
        assert (
            load_image_gt(returning(image=ones(HEIGHT, WIDTH, 6, dtype=np.uint8)), config, 0)[0].shape[2] == 6
        )

    def test_one_channel_stays_one_where_asked_for(self):
        config = ToyConfig()
        config.IMAGE_CHANNEL_COUNT, config.MEAN_PIXEL = 1, 0
        image = load_image_gt(returning(image=ones(HEIGHT, WIDTH, dtype=np.uint8)), config, 0)[0]
        assert image.shape == (64, 64, 1)

    @pytest.mark.parametrize(
        "image, text",
        [
            (ones(HEIGHT, WIDTH, 5), "5 channels, but IMAGE_CHANNEL_COUNT = 3"),
            (ones(2, HEIGHT, WIDTH, 3), "shape"),
            (np.zeros((0, WIDTH, 3)), "shape"),
            (np.array([["a"]]), "numbers"),
        ],
    )
    def test_what_is_no_image(self, image, text):
        with pytest.raises(ValueError, match=f'image 0 .toy "n0".*load_image.*{text}'):
            load_image_gt(returning(image=image), ToyConfig(), 0)


class TestMasks:
    @pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float64, bool])
    def test_any_dtype_becomes_bool(self, dtype):
        mask = np.zeros((HEIGHT, WIDTH, 1), dtype)
        mask[3:9, 4:8] = 1
        result = load_image_gt(returning(mask=(mask, [1])), ToyConfig(), 0)
        assert result[4].dtype == bool and len(result[2]) == 1

    @pytest.mark.parametrize("class_ids", [[2], np.array([2]), np.array([[2]]), np.array([2.0]), (2,), 2])
    def test_any_list_of_class_ids(self, class_ids):
        result = load_image_gt(returning(mask=(ones(HEIGHT, WIDTH, 1), class_ids)), ToyConfig(), 0)
        assert result[2].tolist() == [2] and result[2].dtype == np.int32

    def test_one_flat_mask(self):
        assert load_image_gt(returning(mask=(ones(HEIGHT, WIDTH), [1])), ToyConfig(), 0)[4].shape == (
            64,
            64,
            1,
        )

    def test_crowds_keep_their_sign(self):
        result = load_image_gt(returning(mask=(ones(HEIGHT, WIDTH, 2), [-1, 2])), ToyConfig(), 0)
        assert result[2].tolist() == [-1, 2]

    @pytest.mark.parametrize("mask", [np.empty((0, 0, 0)), np.zeros((HEIGHT, WIDTH, 0)), []])
    @pytest.mark.parametrize("use_mini_mask", [False, True])
    def test_no_objects(self, mask, use_mini_mask):
        result = load_image_gt(returning(mask=(mask, [])), ToyConfig(), 0, use_mini_mask=use_mini_mask)
        side = 14 if use_mini_mask else 64
        assert result[3].shape == (0, 4) and result[4].shape == (side, side, 0)

    def test_empty_masks_are_left_out_with_one_line(self, caplog):
        mask = ones(HEIGHT, WIDTH, 3)
        mask[:, :, 1] = False
        dataset = returning(mask=(mask, [1, 2, 0]))
        for _ in range(2):
            assert load_image_gt(dataset, ToyConfig(), 0)[2].tolist() == [1]
        assert len(caplog.records) == 1
        assert "image 0" in caplog.text and "1 objects with an empty mask and 1 of class 0" in caplog.text

    @pytest.mark.parametrize(
        "returned, text",
        [
            ((ones(60, 48, 1), [1]), r"\(60, 48\) but the image is \(48, 60\)"),
            ((ones(1, HEIGHT, WIDTH), [1]), "last axis"),
            ((ones(HEIGHT, WIDTH, 2), [1]), "2 masks and 1 class ids"),
            ((ones(HEIGHT, WIDTH, 1), [1, 2]), "1 masks and 2 class ids"),
            ((np.zeros((HEIGHT, WIDTH, 0)), [1]), "0 masks and 1 class ids"),
            ((ones(HEIGHT, WIDTH, 1), [3]), "class id 3, but NUM_CLASSES = 3 allows 1 to 2"),
            ((ones(HEIGHT, WIDTH, 1), [-4]), "class id -4"),
            ((ones(HEIGHT, WIDTH, 1), ["cat"]), "whole numbers"),
            ((ones(HEIGHT, WIDTH, 1), [1.5]), "whole numbers"),
            ((ones(HEIGHT), [1]), r"\[height, width, count\]"),
            ((np.array([[["x"]]]), [1]), "array of numbers"),
            (([ones(3, 3), ones(4, 4)], [1, 2]), "different sizes"),
            (None, "pair"),
            (ones(HEIGHT, WIDTH, 1), "pair"),
            ((ones(HEIGHT, WIDTH, 1), [1], 3), "pair"),
        ],
    )
    def test_what_cannot_be_names_image_and_cure(self, returned, text):
        class Wrong(ToyDataset):
            def load_image(self, image_id):
                return ones(HEIGHT, WIDTH, 3, dtype=np.uint8)

            def load_mask(self, image_id):
                return returned

        with pytest.raises(ValueError, match=f'image 0 .toy "n0".*{text}'):
            load_image_gt(Wrong((1,)), ToyConfig(), 0)


class TestDatasetAndConfigTogether:
    def test_forgotten_prepare(self):
        with pytest.raises(AttributeError, match=r"prepare\(\)"):
            load_image_gt(ToyDataset(prepare=False), ToyConfig(), 0)

    def test_more_classes_than_the_config_has(self):
        config = ToyConfig()
        config.NUM_CLASSES = 2
        with pytest.raises(ValueError, match="Set NUM_CLASSES = 3"):
            load_image_gt(ToyDataset(), config, 0)

    def test_a_source_without_classes(self):
        dataset = ToyDataset()
        dataset.add_image("toys", "x", None, count=1)
        dataset.prepare()
        with pytest.raises(ValueError, match=r"no class was added for source 'toys'.*\['toy'\]"):
            load_image_gt(dataset, ToyConfig(), 5)

    def test_an_image_that_does_not_exist(self):
        with pytest.raises(IndexError, match="no image 99"):
            load_image_gt(ToyDataset(), ToyConfig(), 99)


def test_more_objects_than_slots_keep_a_random_part(caplog):
    dataset, config = ToyDataset((6,)), ToyConfig()
    config.USE_MINI_MASK = False
    item = load_item(dataset, config, 0, limit=False)
    assert len(item.class_ids) == 6, "loading keeps all objects, for evaluation"
    first, second, again = (
        (kept.class_ids, kept.boxes, kept.masks)
        for kept in (limit_item(dataset, config, item, np.random.RandomState(seed)) for seed in (0, 1, 0))
    )
    class_ids, boxes, mask = first
    assert len(class_ids) == 4 and len(set(map(tuple, boxes))) == 4
    np.testing.assert_array_equal(boxes, extract_bboxes(mask))
    np.testing.assert_array_equal(boxes, again[1])
    assert not np.array_equal(boxes, second[1])
    assert len(caplog.records) == 1 and "6 objects" in caplog.text and "MAX_GT_INSTANCES" in caplog.text


@pytest.mark.parametrize("axes", [(0,), (1,), (0, 1)])
@pytest.mark.parametrize("mini", [True, False])
def test_mirrored_views_load_as_mirrored_copies(axes, mini):
    def flip(copy):
        flipped = lambda array: copy(np.flip(array, axes))  # noqa: E731
        loaded = load_image_gt(
            ToyDataset(), ToyConfig(), 2, augmentation=lambda image, masks: (flipped(image), flipped(masks)),
            use_mini_mask=mini,
        )  # fmt: skip
        return [np.asarray(part) for part in loaded]

    for view, copied in zip(flip(lambda array: array), flip(np.ascontiguousarray), strict=True):
        np.testing.assert_array_equal(view, copied)
