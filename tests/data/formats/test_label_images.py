"""Label images: numbers of objects in grey, palette and colour files, classes, and what is wrong with a pair."""

import numpy as np
import pytest
import tifffile
from PIL import Image

from mrcnn.data.formats import LabelImageDataset
from mrcnn.data.formats.label_files import read_labels

from .files import HEIGHT, WIDTH, block, messages, write_image

LABELS = np.zeros((HEIGHT, WIDTH), np.uint8)
LABELS[5:20, 10:30] = 1
LABELS[25:35, 10:30] = 200


def save(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".tif":
        tifffile.imwrite(path, array)
    else:
        Image.fromarray(array).save(path)
    return path


@pytest.fixture
def folder(tmp_path):
    """Two images with the label image `LABELS`, and one with an empty label image."""
    for name in "abc":
        write_image(tmp_path / "images" / f"{name}.jpg")
        save(tmp_path / "labels" / f"{name}.png", LABELS * (name != "c"))
    return tmp_path


def load(folder, *arguments, labels="labels", **options):
    dataset = LabelImageDataset()
    dataset.load_label_images(folder / "images", folder / labels, *arguments, **options)
    dataset.prepare()
    return dataset


class TestReadLabels:
    @pytest.mark.parametrize("name, dtype", [("a.png", np.uint8), ("a.png", np.uint16), ("a.tif", np.uint8),
                                             ("a.tif", np.uint16), ("a.tif", np.int32), ("a.tif", np.float32),
                                             ("a.bmp", np.uint8)])
    def test_numbers_as_stored(self, tmp_path, name, dtype):
        labels = read_labels(save(tmp_path / name, LABELS.astype(dtype)), "it")
        assert np.array_equal(labels, LABELS) and labels.dtype.kind in "iu"

    def test_beyond_8_bits(self, tmp_path):
        wanted = np.array([[0, 300, 65535]], np.uint16)
        assert np.array_equal(read_labels(save(tmp_path / "a.png", wanted), "it"), wanted)

    def test_palette_entries(self, tmp_path):
        image = Image.fromarray(LABELS)
        image.putpalette(np.random.RandomState(0).randint(0, 256, 768, np.uint8).tobytes())
        image.save(tmp_path / "a.png")
        assert image.mode == "P" and np.array_equal(read_labels(tmp_path / "a.png", "it"), LABELS)

    def test_colours(self, tmp_path):
        colours = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
        colours[:, :, 3] = 255
        colours[0, :2] = [[1, 2, 3, 255], [255, 0, 0, 255]]
        labels = read_labels(save(tmp_path / "a.png", colours), "it")
        assert labels[0, :3].tolist() == [0x010203, 0xFF0000, 0]

    def test_grey_in_a_colour_file(self, tmp_path):
        labels = read_labels(save(tmp_path / "a.png", np.stack([LABELS] * 3, axis=2)), "it")
        assert np.array_equal(labels, LABELS)

    def test_black_and_white(self, tmp_path):
        assert read_labels(save(tmp_path / "a.png", LABELS > 0), "it").max() == 1

    def test_errors(self, tmp_path):
        (tmp_path / "text.png").write_text("no image")
        save(tmp_path / "half.tif", np.full((4, 5), 0.5, np.float32))
        save(tmp_path / "stack.tif", np.zeros((2, 20, 30, 5), np.uint8))
        for name, what in (("text.png", "not an image"), ("half.tif", "whole number"), ("stack.tif", "whole number")):
            with pytest.raises(ValueError, match=f"image 7.*{name}.*{what}"):
                read_labels(tmp_path / name, "image 7")
        with pytest.raises(FileNotFoundError, match="image 7.*absent.png"):
            read_labels(tmp_path / "absent.png", "image 7")


class TestDataset:
    def test_each_number_is_an_object(self, folder):
        dataset = load(folder, "cell")
        assert dataset.class_names == ["BG", "cell"] and dataset.num_images == 3
        masks, class_ids = dataset.load_mask(0)
        assert masks.dtype == bool and class_ids.tolist() == [1, 1]
        assert np.array_equal(masks[:, :, 0], block(5, 10, 20, 30))
        assert np.array_equal(masks[:, :, 1], block(25, 10, 35, 30))
        assert dataset.load_image(0).shape == masks.shape[:2] + (3,)

    def test_no_objects(self, folder):
        masks, class_ids = load(folder).load_mask(2)
        assert masks.shape == (HEIGHT, WIDTH, 0) and class_ids.shape == (0,)

    def test_classes_by_number(self, folder):
        dataset = load(folder, {200: "dog", 1: "cat", 7: None})
        assert dataset.class_names == ["BG", "dog", "cat"] and dataset.load_mask(0)[1].tolist() == [2, 1]

    def test_numbers_without_a_class(self, folder):
        masks, class_ids = load(folder, {200: "dog", 1: None}).load_mask(0)
        assert class_ids.tolist() == [1] and np.array_equal(masks[:, :, 0], LABELS == 200)

    def test_class_names_fix_the_order(self, folder):
        dataset = load(folder, {200: "dog", 1: "cat"}, class_names=["BG", "cat", "horse", "dog"])
        assert dataset.class_names == ["BG", "cat", "horse", "dog"] and dataset.load_mask(0)[1].tolist() == [1, 3]

    def test_classes_by_function(self, folder):
        def classes(image, number):
            return None if number < 100 else f"{image}-class"

        dataset = load(folder, classes, class_names=["a-class", "b-class"])
        assert [dataset.load_mask(i)[1].tolist() for i in (0, 1)] == [[1], [2]]

    @pytest.mark.parametrize("where", ["images", "labels"])
    def test_suffix(self, folder, where):
        for path in list((folder / "labels").iterdir()):
            path.rename(folder / where / f"{path.stem}_masks.png")
        dataset = load(folder, label_suffix="_masks", labels=where)
        assert [info["id"] for info in dataset.image_info] == ["a", "b", "c"]
        assert dataset.load_mask(0)[1].tolist() == [1, 1]

    def test_ids(self, folder):
        assert [info["id"] for info in load(folder, image_ids=["c", "a"]).image_info] == ["c", "a"]
        with pytest.raises(FileNotFoundError, match="first 'x'"):
            load(folder, image_ids=["a", "x"])


class TestWhatIsWrong:
    def test_no_label_image(self, folder, caplog):
        (folder / "labels" / "b.png").unlink()
        assert load(folder).num_images == 2
        line, = messages(caplog)
        assert "b.jpg: left out." in line and "no label image 'b'" in line

    def test_sizes_differ(self, folder, caplog):
        save(folder / "labels" / "b.png", LABELS[:20])
        assert load(folder).num_images == 2
        line, = messages(caplog)
        assert "b.jpg: left out. It has 40 x 60 pixels" in line and "b.png has 20 x 60" in line

    @pytest.mark.parametrize("broken", ["images/b.jpg", "labels/b.png"])
    def test_not_an_image(self, folder, caplog, broken):
        (folder / broken).write_text("no image")
        assert load(folder).num_images == 2
        line, = messages(caplog)
        assert "b.jpg: left out." in line and broken in line and "not an image" in line

    def test_a_number_of_no_class(self, folder):
        with pytest.raises(ValueError, match='image 0 .labels "a".*a.png.*number 200.*None if it is no object'):
            load(folder, {1: "cat"}).load_mask(0)

    def test_a_name_that_was_not_announced(self, folder):
        with pytest.raises(ValueError, match='image 0 .labels "a".*class .labels.dog., which was never added.*cat'):
            load(folder, lambda image, number: "dog", class_names=["cat"]).load_mask(0)

    def test_classes_that_cannot_be(self, folder):
        with pytest.raises(ValueError, match="pass them as class_names"):
            load(folder, lambda image, number: "dog")
        with pytest.raises(ValueError, match=r"class_names lacks: \['dog'\]"):
            load(folder, {1: "dog"}, class_names=["cat"])

    def test_nothing_is_left(self, folder):
        for path in (folder / "labels").iterdir():
            path.rename(path.with_name(f"x{path.name}"))
        with pytest.raises(ValueError, match="no image that can be used.*a.jpg"):
            load(folder)
