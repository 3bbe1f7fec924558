"""Batches: contents, order over epochs, seeds, threads, failures."""

import logging
import threading

import keras
import numpy as np
import pytest

from mrcnn.data.generator import DataGenerator, EpochCounter
from mrcnn.data.load import load_image_gt

from .toy import ToyConfig, ToyDataset


def noisy(image, masks, rng=None):
    return image + rng.randint(0, 50, image.shape).astype(np.uint8), masks


def pass_over(generator):
    """Image ids in the order of one epoch."""
    return np.concatenate([generator[index][0][1][:, 0] for index in range(len(generator))]).astype(int)


class Failing(ToyDataset):
    broken = ()

    def load_image(self, image_id):
        if image_id in self.broken:
            raise ValueError(f"cannot open {image_id}")
        return super().load_image(image_id)


class TestContents:
    def test_inputs(self):
        generator = DataGenerator(ToyDataset(), ToyConfig(), shuffle=False)
        (inputs,) = generator[1]
        images, metas, class_ids, boxes, masks = inputs
        assert [(part.shape, part.dtype.name) for part in inputs] == [
            ((2, 64, 64, 3), "float32"),
            ((2, 15), "float32"),
            ((2, 4), "int32"),
            ((2, 4, 4), "float32"),
            ((2, 14, 14, 4), "bool"),
        ]
        image, meta, ids, box, mask = load_image_gt(ToyDataset(), ToyConfig(), 2, use_mini_mask=True)
        np.testing.assert_allclose(images[0], image - ToyConfig.MEAN_PIXEL, atol=1e-4)
        np.testing.assert_allclose(metas[0], meta, rtol=1e-6)
        np.testing.assert_array_equal(class_ids[0], [*ids, 0])
        np.testing.assert_array_equal(boxes[0, :3], box)
        np.testing.assert_array_equal(masks[0, :, :, :3], mask)
        assert not boxes[0, 3:].any() and not masks[0, :, :, 3:].any()

    def test_whole_masks(self):
        config = ToyConfig()
        config.USE_MINI_MASK = False
        assert DataGenerator(ToyDataset(), config)[0][0][4].shape == (2, 64, 64, 4)

    def test_random_rois(self):
        (inputs,) = DataGenerator(ToyDataset(), ToyConfig(), random_rois=20)[0]
        assert inputs[5].shape == (2, 20, 4) and inputs[5].dtype == np.int32

    def test_detection_targets(self):
        inputs, outputs = DataGenerator(ToyDataset(), ToyConfig(), random_rois=40, detection_targets=True)[0]
        assert inputs[6].shape == (2, 12, 4)
        assert [part.shape for part in outputs] == [(2, 12, 1), (2, 12, 3, 4), (2, 12, 28, 28, 3)]

    def test_more_objects_than_slots(self):
        class_ids = DataGenerator(ToyDataset((9, 9)), ToyConfig())[0][0][2]
        assert (class_ids > 0).all()

    def test_pad64_images_of_one_size_batch(self):
        config = ToyConfig()
        config.IMAGE_RESIZE_MODE = "pad64"
        assert DataGenerator(ToyDataset(size=(70, 130)), config)[0][0][0].shape == (2, 128, 192, 3)


class TestOrder:
    def test_length_and_full_last_batch(self):
        generator = DataGenerator(ToyDataset(), ToyConfig(), shuffle=False)
        assert len(generator) == 3
        np.testing.assert_array_equal(pass_over(generator), [0, 1, 2, 3, 4, 0])
        with pytest.raises(IndexError, match="an epoch has 3"):
            generator[3]

    def test_iteration_ends(self):
        assert len(list(DataGenerator(ToyDataset(), ToyConfig()))) == 3

    def test_each_epoch_has_all_images_in_a_new_order(self):
        generator = DataGenerator(ToyDataset((1,) * 20), ToyConfig(), seed=1)
        epochs = []
        for _ in range(3):
            epochs.append(pass_over(generator).tolist())
            generator.on_epoch_end()
        assert all(sorted(epoch) == list(range(20)) for epoch in epochs)
        assert epochs[0] != epochs[1] != epochs[2]

    def test_validation_is_the_same_every_epoch(self):
        config = ToyConfig()
        config.IMAGE_RESIZE_MODE, config.MAX_GT_INSTANCES = "crop", 1
        generator = DataGenerator(ToyDataset((3,) * 4, (66, 70)), config, shuffle=False, seed=1)
        first = generator[0][0]
        pass_over(generator)
        generator.on_epoch_end()
        assert generator.epoch == 1
        for before, after in zip(first, generator[0][0], strict=True):
            np.testing.assert_array_equal(before, after)

    @pytest.mark.parametrize("steps", [1, 2, 7])
    def test_steps_run_over_an_endless_stream(self, steps):
        generator = DataGenerator(ToyDataset(), ToyConfig(), seed=3, steps=steps)
        assert len(generator) == steps
        stream = []
        for epoch in range(10):
            assert generator.epoch == epoch
            ids = pass_over(generator)
            planned = np.concatenate([generator.image_ids_of(index) for index in range(steps)])
            np.testing.assert_array_equal(ids, planned)
            stream += ids.tolist()
            generator.on_epoch_end()
        passes = [stream[start : start + 5] for start in range(0, len(stream) - 4, 5)]
        assert all(sorted(one) == [0, 1, 2, 3, 4] for one in passes)
        assert len({tuple(one) for one in passes}) > 1

    def test_resuming_goes_on_with_the_stream(self):
        first = DataGenerator(ToyDataset(), ToyConfig(), seed=3, steps=2)
        for _ in range(3):
            pass_over(first)
            first.on_epoch_end()
        resumed = DataGenerator(ToyDataset(), ToyConfig(), seed=3, steps=2)
        resumed.epoch = 3
        np.testing.assert_array_equal(pass_over(first), pass_over(resumed))

    def test_keras_early_end_of_epoch_is_ignored(self):
        generator = DataGenerator(ToyDataset(), ToyConfig())
        generator[0]
        generator.on_epoch_end()
        assert generator.epoch == 0
        generator.on_epoch_begin()
        generator.on_epoch_end()
        generator.on_epoch_end()
        assert generator.epoch == 1


class TestSeeds:
    def batches(self, **kwargs):
        generator = DataGenerator(ToyDataset((1,) * 8), ToyConfig(), augmentation=noisy, **kwargs)
        return [generator[index][0][0] for index in range(len(generator))]

    def test_one_seed_one_result(self):
        np.testing.assert_array_equal(self.batches(seed=5), self.batches(seed=5))
        assert not np.array_equal(self.batches(seed=5), self.batches(seed=6))

    def test_without_a_seed_keras_seed_rules(self):
        results = []
        for _ in range(2):
            keras.utils.set_random_seed(11)
            results.append(self.batches())
        np.testing.assert_array_equal(*results)
        assert not np.array_equal(results[0], self.batches())

    def test_augmentation_changes_from_epoch_to_epoch(self):
        generator = DataGenerator(ToyDataset((1,)), ToyConfig(), augmentation=noisy, shuffle=False, seed=0)
        first = generator[0][0][0]
        assert not np.array_equal(first[0], first[1]), "two places with the same image differ"
        generator.on_epoch_end()
        assert not np.array_equal(first, generator[0][0][0])

    def test_threads_do_not_matter(self):
        iaa = pytest.importorskip("imgaug.augmenters")
        aug = iaa.Sequential([iaa.Fliplr(0.5), iaa.Affine(rotate=(-40, 40)), iaa.Add((-30, 30))])
        generators = [
            DataGenerator(ToyDataset((2,) * 8), ToyConfig(), augmentation=aug, seed=2) for _ in range(2)
        ]
        alone = {index: generators[0][index][0] for index in range(4)}
        together = {}

        def work(indices):
            for index in indices:
                together[index] = generators[1][index][0]

        threads = [threading.Thread(target=work, args=(part,)) for part in ((3, 0), (2, 1))]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        for index in range(4):
            for one, other in zip(alone[index], together[index], strict=True):
                np.testing.assert_array_equal(one, other)

    def test_sources_without_augmentation(self):
        dataset = ToyDataset((1,))
        dataset.add_class("real", 1, "box")
        dataset.add_image("real", "r", None, count=1)
        dataset.prepare()
        config = ToyConfig()
        config.NUM_CLASSES = 4
        kwargs = {"shuffle": False, "seed": 0}
        plain = DataGenerator(dataset, config, **kwargs)[0][0][0]
        augmented = DataGenerator(
            dataset, config, augmentation=noisy, no_augmentation_sources=["real"], **kwargs
        )[0][0][0]
        assert not np.array_equal(plain[0], augmented[0])
        np.testing.assert_array_equal(plain[1], augmented[1])


class TestImagesThatCannotServe:
    def test_images_without_objects_are_passed_over(self):
        generator = DataGenerator(ToyDataset((1, 0, 2, 0)), ToyConfig(), shuffle=False)
        np.testing.assert_array_equal(pass_over(generator), [0, 2, 2, 0])
        np.testing.assert_array_equal(generator.image_ids_of(0), [0, 2])

    def test_or_kept(self):
        config = ToyConfig()
        config.KEEP_EMPTY_IMAGES = True
        generator = DataGenerator(ToyDataset((0, 0)), config, random_rois=5)
        (inputs,) = generator[0]
        assert not inputs[2].any() and not inputs[4].any() and inputs[5].shape == (2, 5, 4)

    def test_another_piece_is_cut_where_one_holds_no_object(self):
        config = ToyConfig()
        config.IMAGE_RESIZE_MODE = "crop"
        generator = DataGenerator(ToyDataset((1,), size=(128, 128)), config, shuffle=False)
        for _ in range(3):
            assert (generator[0][0][2] > 0).any(axis=1).all()
        with pytest.raises(ValueError, match="None of the 1 images has an object"):
            DataGenerator(ToyDataset((0,), size=(128, 128)), config)[0]

    def test_a_crowd_alone_is_no_object(self):
        class Crowd(ToyDataset):
            def load_mask(self, image_id):
                masks, class_ids = super().load_mask(image_id)
                return masks, -class_ids if image_id == 0 else class_ids

        generator = DataGenerator(Crowd((1, 1)), ToyConfig(), shuffle=False)
        np.testing.assert_array_equal(pass_over(generator), [1, 1])

    def test_no_objects_at_all(self):
        with pytest.raises(ValueError, match="None of the 3 images has an object.*KEEP_EMPTY_IMAGES"):
            DataGenerator(ToyDataset((0, 0, 0)), ToyConfig())[0]

    def test_a_failing_image_is_named_once_and_replaced(self, caplog):
        dataset = Failing()
        dataset.broken = (1, 2)
        generator = DataGenerator(dataset, ToyConfig(), shuffle=False)
        for _ in range(2):
            np.testing.assert_array_equal(pass_over(generator), [0, 3, 3, 3, 4, 0])
        warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
        assert len(warnings) == 2
        assert 'image 1 (toy "n1"' in caplog.text and "cannot open 1" in caplog.text
        np.testing.assert_array_equal(generator.image_ids_of(0), [0, 3])

    def test_five_failures_in_a_row_stop(self):
        dataset = Failing((1,) * 9)
        dataset.broken = range(9)
        with pytest.raises(RuntimeError) as error:
            DataGenerator(dataset, ToyConfig(), shuffle=False)[0]
        text = str(error.value)
        assert "5 images in a row" in text
        assert all(f"cannot open {number}" in text for number in range(5)) and "cannot open 5" not in text
        assert isinstance(error.value.__cause__, ValueError)

    def test_four_failures_do_not(self):
        dataset = Failing((1,) * 9)
        dataset.broken = (0, 1, 2, 3)
        assert DataGenerator(dataset, ToyConfig(), shuffle=False)[0][0][1][0, 0] == 4

    def test_those_known_to_be_bad_do_not_count(self):
        dataset = Failing((1,) * 12)
        dataset.broken = {0, 1, 2, 3}
        generator = DataGenerator(dataset, ToyConfig(), shuffle=False)
        assert generator[0][0][1][0, 0] == 4
        dataset.broken = set(range(7))
        np.testing.assert_array_equal(generator[0][0][1][:, 0], [7, 7])
        dataset.broken = set(range(11))
        np.testing.assert_array_equal(generator[0][0][1][:, 0], [11, 11])
        dataset.broken = set(range(12))
        with pytest.raises(RuntimeError, match="12 images in a row could not be loaded"):
            generator[0]

    @pytest.mark.parametrize("mode", ["square", "crop"])
    def test_a_small_dataset_that_fails_whole(self, mode):
        dataset, config = Failing((1, 1)), ToyConfig()
        dataset.broken, config.IMAGE_RESIZE_MODE = (0, 1), mode
        generator = DataGenerator(dataset, config)
        for _ in range(2):
            with pytest.raises(RuntimeError, match="2 images in a row"):
                generator[0]

    def test_bad_images_among_images_without_objects(self):
        dataset = Failing((0, 1, 0))
        dataset.broken = (1,)
        with pytest.raises(ValueError, match="None of the 3 images has an object .1 cannot be loaded"):
            DataGenerator(dataset, ToyConfig())[0]

    def test_sizes_that_the_network_cannot_halve(self):
        config = ToyConfig()
        config.IMAGE_RESIZE_MODE = "none"
        with pytest.raises(RuntimeError, match="Image size must be dividable by 2 at least 6 times"):
            DataGenerator(ToyDataset(), config)[0]

    def test_sizes_that_do_not_stack(self):
        class Sizes(ToyDataset):
            def load_image(self, image_id):
                return np.zeros((64, 64 * (1 + image_id), 3), np.uint8)

            def load_mask(self, image_id):
                return np.ones((64, 64 * (1 + image_id), 1), bool), [1]

        config = ToyConfig()
        config.IMAGE_RESIZE_MODE = "none"
        with pytest.raises(ValueError, match="IMAGE_RESIZE_MODE = 'none'.*IMAGES_PER_GPU"):
            DataGenerator(Sizes((1, 1)), config)[0]


class TestDatasetsThatCannotServe:
    def test_forgotten_prepare(self):
        with pytest.raises(ValueError, match=r"ToyDataset is not prepared: call prepare\(\)"):
            DataGenerator(ToyDataset(prepare=False), ToyConfig())

    def test_no_images(self):
        with pytest.raises(ValueError, match=r"no images. Add images with add_image\(\)"):
            DataGenerator(ToyDataset(()), ToyConfig())

    def test_images_added_after_prepare(self):
        dataset = ToyDataset(())
        dataset.add_image("toy", 1, None, count=1)
        with pytest.raises(ValueError, match=r"Call prepare\(\) again"):
            DataGenerator(dataset, ToyConfig())

    def test_too_many_classes(self):
        config = ToyConfig()
        config.NUM_CLASSES = 2
        with pytest.raises(ValueError, match="Set NUM_CLASSES = 3"):
            DataGenerator(ToyDataset(), config)

    @pytest.mark.parametrize("wrong", [3, "flip", [noisy], object()])
    def test_what_is_no_augmentation(self, wrong):
        with pytest.raises(TypeError, match=f"augmentation is a {type(wrong).__name__}; it must be an imgaug"):
            DataGenerator(ToyDataset(), ToyConfig(), augmentation=wrong)

    def test_no_steps(self):
        with pytest.raises(ValueError, match="steps = 0"):
            DataGenerator(ToyDataset(), ToyConfig(), steps=0)


@pytest.mark.parametrize("workers", [0, 1, 3])
@pytest.mark.parametrize("steps, first", [(2, 0), (7, 0), (7, 5)])
def test_keras_reads_the_planned_batches(workers, steps, first):
    """Through `fit`, with threads: every epoch's batches are those of the index, none twice, none lost."""
    config = ToyConfig()
    config.WORKERS = workers
    train = DataGenerator(ToyDataset((1,) * 9), config, seed=4, steps=steps)
    validation = DataGenerator(ToyDataset((1,) * 3), config, shuffle=False)
    seen = {"train": [], "test": []}

    class Spy(keras.Model):
        def train_step(self, *data):
            return self.note("train", data[-1])

        def test_step(self, *data):
            return self.note("test", data[-1])

        def note(self, kind, data):
            seen[kind].append(np.asarray(data[0][1])[:, 0].astype(int).tolist())
            return {"loss": 0.0}

    if keras.backend.backend() != "tensorflow":
        pytest.skip("train_step is spelled for TensorFlow")
    inputs = [keras.Input(shape[1:]) for shape in (part.shape for part in train[0][0])]
    model = Spy(inputs, inputs[0])
    model.compile("sgd", run_eagerly=True)
    model.fit(
        train,
        initial_epoch=first,
        epochs=first + 3,
        validation_data=validation,
        callbacks=[EpochCounter(train)],
        shuffle=False,
        verbose=0,
    )

    check = DataGenerator(ToyDataset((1,) * 9), config, seed=4, steps=steps)
    expected = []
    for epoch in range(first, first + 3):
        check.epoch = epoch
        expected += [check.image_ids_of(index).tolist() for index in range(steps)]
    assert seen["train"] == expected
    assert seen["test"] == [[0, 1], [2, 0]] * 3
    assert train.epoch == first + 3
