"""A folder an image, a mask file an object."""

import numpy as np
import pytest
from PIL import Image

from mrcnn.data.formats import MaskFolderDataset

from .files import HEIGHT, WIDTH, block, messages, write_image

FIRST, SECOND = block(5, 10, 20, 30), block(25, 10, 35, 30)


@pytest.fixture
def make(tmp_path):
    """Writes the folder of one image with the masks {file name: bool [H, W]}."""

    def write(name, masks):
        write_image(tmp_path / name / "images" / f"{name}.png")
        (tmp_path / name / "masks").mkdir()
        for file, mask in masks.items():
            Image.fromarray(mask.astype(np.uint8) * 255).save(tmp_path / name / "masks" / file)
        return tmp_path

    return write


def load(folder, **options):
    dataset = MaskFolderDataset()
    dataset.load_mask_folders(folder, **options)
    dataset.prepare()
    return dataset


class TestDataset:
    def test_each_file_is_an_object(self, make):
        make("b", {})
        dataset = load(make("a", {"1.png": FIRST, "2.tif": SECOND}), class_name="nucleus")
        assert dataset.class_names == ["BG", "nucleus"]
        assert [info["id"] for info in dataset.image_info] == ["a", "b"]
        masks, class_ids = dataset.load_mask(0)
        assert masks.dtype == bool and class_ids.tolist() == [1, 1] and class_ids.dtype == np.int32
        assert np.array_equal(masks, np.stack([FIRST, SECOND], axis=2))
        assert dataset.load_mask(1)[0].shape == (HEIGHT, WIDTH, 0)

    def test_class_in_the_name(self, make, caplog):
        make("a", {"dog_1.png": FIRST, "cat_1.png": SECOND, "17.png": FIRST})
        dataset = load(make("b", {"cat_2.png": FIRST}), class_pattern="^([a-z]+)_")
        assert dataset.class_names == ["BG", "cat", "dog"]
        masks, class_ids = dataset.load_mask(0)
        assert class_ids.tolist() == [1, 2] and np.array_equal(masks[:, :, 0], SECOND)
        line, = messages(caplog)
        assert "masks: left out 1 of its annotations: 17.png: class_pattern finds no class" in line

    def test_class_names(self, make, caplog):
        folder = make("a", {"dog_1.png": FIRST, "cat_1.png": SECOND})
        dataset = load(folder, class_pattern="^([a-z]+)_", class_names=["dog", "horse"])
        assert dataset.class_names == ["BG", "dog", "horse"] and dataset.load_mask(0)[1].tolist() == [1]
        assert messages(caplog) == ["Left out the objects of classes that class_names does not have: cat (1)."]

    def test_ids(self, make):
        make("a", {})
        folder = make("b", {})
        assert [info["id"] for info in load(folder, image_ids=["b"]).image_info] == ["b"]
        with pytest.raises(FileNotFoundError, match="first 'x'"):
            load(folder, image_ids=["x"])


class TestWhatIsWrong:
    def test_folders_are_left_out_with_one_line_each(self, make, tmp_path, caplog):
        make("good", {"1.png": FIRST})
        make("jpeg", {"1.jpg": FIRST})
        make("two", {})
        write_image(tmp_path / "two" / "images" / "second.png")
        write_image(tmp_path / "no_masks" / "images" / "a.png")
        (tmp_path / "no_images" / "masks").mkdir(parents=True)
        make("broken", {})
        (tmp_path / "broken" / "images" / "broken.png").write_text("no image")
        assert [info["id"] for info in load(tmp_path).image_info] == ["good"]
        lines = dict(line.split(": left out. ") for line in messages(caplog))
        reasons = {path.rsplit("/", 1)[1]: text for path, text in lines.items()}
        assert set(reasons) == {"jpeg", "two", "no_masks", "no_images", "broken"}
        for name, what in {"jpeg": "1.jpg is a JPEG", "two": "2 image files", "no_masks": "no folder 'masks'",
                           "no_images": "0 image files", "broken": "not an image"}.items():
            assert what in reasons[name]

    def test_mask_of_another_size(self, make):
        dataset = load(make("a", {"1.png": FIRST[:20]}))
        with pytest.raises(ValueError, match=r'image 0 .masks "a".*\(40, 60\).*1.png. \(20, 60\)'):
            dataset.load_mask(0)

    def test_broken_mask(self, make, tmp_path):
        dataset = load(make("a", {"1.png": FIRST}))
        (tmp_path / "a" / "masks" / "1.png").write_text("no image")
        with pytest.raises(ValueError, match="image 0.*1.png.*not an image"):
            dataset.load_mask(0)

    @pytest.mark.parametrize("pattern, what", [("(", "no regular expression"), ("^[a-z]+", "in parentheses")])
    def test_pattern(self, make, pattern, what):
        with pytest.raises(ValueError, match=f"class_pattern.*{what}"):
            load(make("a", {}), class_pattern=pattern)

    def test_nothing_is_left(self, tmp_path):
        with pytest.raises(ValueError, match="no image that can be used"):
            load(tmp_path)
