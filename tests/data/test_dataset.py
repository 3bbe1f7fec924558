"""The base class of datasets and the reading of image files."""

import copy
import logging
import pickle

import numpy as np
import pytest
from PIL import Image

from mrcnn.data.dataset import Dataset
from tests.file_server import dead_address, serving

from .toy import ToyDataset


def dataset_of(path):
    dataset = Dataset()
    dataset.add_class("files", 1, "thing")
    dataset.add_image("files", "a name", path)
    dataset.prepare()
    return dataset


class TestClassesAndImages:
    def test_before_prepare(self):
        dataset = Dataset()
        assert len(dataset.image_ids) == 0 and dataset.image_info == []
        assert dataset.class_info == [{"source": "", "id": 0, "name": "BG"}]

    def test_prepare(self):
        dataset = Dataset()
        dataset.add_image("b", 5, None, anything=[1, 2])
        dataset.add_class("a", 44, "bottle, of glass")
        dataset.add_class("b", 1, "cup")
        dataset.add_class("a", 44, "again")
        for _ in range(2):
            dataset.prepare()
        assert dataset.num_classes == 3 and dataset.num_images == 1
        assert dataset.class_names == ["BG", "bottle", "cup"]
        np.testing.assert_array_equal(dataset.class_ids, [0, 1, 2])
        np.testing.assert_array_equal(dataset.image_ids, [0])
        assert dataset.image_ids.copy().dtype.kind == "i"
        assert dataset.class_from_source_map == {".0": 0, "a.44": 1, "b.1": 2}
        assert dataset.image_from_source_map == {"b.5": 0}
        assert dataset.sources == ["", "a", "b"]
        assert dataset.source_class_ids == {"": [0], "a": [0, 1], "b": [0, 2]}
        assert dataset.map_source_class_id("a.44") == 1
        assert dataset.get_source_class_id(1, "a") == 44
        assert dataset.image_info[0] == {"id": 5, "source": "b", "path": None, "anything": [1, 2]}
        assert dataset.source_image_link(0) is None and dataset.image_reference(0) == ""

    def test_append_data(self):
        dataset = Dataset()
        dataset.append_data([{"source": "x", "id": 3, "name": "n"}], [{"source": "x", "id": 0, "path": "p"}])
        dataset.prepare()
        assert (dataset.num_classes, dataset.num_images) == (2, 1)

    def test_wrong_source(self):
        dataset = ToyDataset()
        with pytest.raises(ValueError, match="not 'else'"):
            dataset.get_source_class_id(1, "else")
        with pytest.raises(KeyError, match="toy.1"):
            dataset.map_source_class_id("toy.9")
        with pytest.raises(ValueError, match="dot"):
            dataset.add_class("a.b", 1, "x")

    @pytest.mark.parametrize("name", ["num_classes", "class_names", "source_class_ids", "num_images"])
    def test_forgotten_prepare_is_named(self, name):
        dataset = ToyDataset(prepare=False)
        assert not hasattr(dataset, name)
        with pytest.raises(AttributeError, match=r"call prepare\(\)"):
            getattr(dataset, name)

    def test_other_missing_attributes_are_ordinary(self):
        with pytest.raises(AttributeError, match="'ToyDataset' object has no attribute 'polygons'"):
            _ = ToyDataset().polygons

    def test_copies(self):
        dataset = ToyDataset()
        assert copy.deepcopy(dataset).num_images == 5
        assert pickle.loads(pickle.dumps(dataset)).class_names == dataset.class_names

    def test_duplicates_are_reported_in_one_line_and_kept(self, caplog):
        dataset = ToyDataset()
        dataset.add_image("toy", "n1", None, count=2)
        with caplog.at_level(logging.WARNING):
            dataset.prepare()
        assert len(caplog.records) == 1 and 'toy "n1"' in caplog.text
        assert dataset.num_images == 6

    def test_the_default_mask_is_empty_and_said_once(self, caplog):
        dataset = dataset_of(None)
        for _ in range(2):
            mask, class_ids = dataset.load_mask(0)
        assert mask.shape == (0, 0, 0) and class_ids.shape == (0,) and class_ids.dtype == np.int32
        assert len(caplog.records) == 1 and "load_mask()" in caplog.text

    def test_users_way_of_calling_super(self):
        class Old(Dataset):
            def load_mask(self, image_id):
                return super(self.__class__, self).load_mask(image_id)

        dataset = Old()
        dataset.add_image("x", 1, None)
        dataset.prepare()
        assert dataset.load_mask(0)[0].size == 0

    def test_an_image_that_does_not_exist(self):
        with pytest.raises(IndexError, match="no image 7: Dataset has 1"):
            dataset_of(None).load_image(7)


class TestReading:
    PIXELS = np.random.default_rng(0).integers(0, 256, (12, 17, 4)).astype(np.uint8)

    @pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "1", "P", "CMYK"])
    def test_every_kind_becomes_three_channels(self, tmp_path, mode):
        path = tmp_path / ("a.tif" if mode == "CMYK" else "a.png")
        Image.fromarray(self.PIXELS[..., :3]).convert(mode).save(path)
        image = dataset_of(path).load_image(0)
        assert image.shape == (12, 17, 3) and image.dtype == np.uint8
        if mode == "RGB":
            np.testing.assert_array_equal(image, self.PIXELS[..., :3])
        if mode in ("L", "LA", "1"):
            np.testing.assert_array_equal(image[..., 0], image[..., 2])

    def test_alpha_is_dropped_not_blended(self, tmp_path):
        Image.fromarray(self.PIXELS).save(tmp_path / "a.png")
        np.testing.assert_array_equal(dataset_of(str(tmp_path / "a.png")).load_image(0), self.PIXELS[..., :3])

    def test_deep_grey(self, tmp_path):
        deep = self.PIXELS[..., 0].astype(np.uint16) * 257
        Image.fromarray(deep).save(tmp_path / "a.png")
        image = dataset_of(tmp_path / "a.png").load_image(0)
        assert image.dtype == np.uint16
        np.testing.assert_array_equal(image[..., 1], deep)

    def test_deep_colour(self, tmp_path):
        import cv2

        deep = self.PIXELS[..., :3].astype(np.uint16) * 256 + 7
        cv2.imwrite(str(tmp_path / "a.png"), deep[..., ::-1])
        np.testing.assert_array_equal(dataset_of(tmp_path / "a.png").load_image(0), deep)

    @pytest.mark.parametrize("dtype", [np.float32, np.uint16])
    @pytest.mark.parametrize("channels", [1, 3, 6])
    def test_tiff(self, tmp_path, dtype, channels):
        import tifffile

        array = np.random.default_rng(0).random((12, 17, channels)).astype(dtype)
        tifffile.imwrite(tmp_path / "a.tif", array[..., 0] if channels == 1 else array)
        image = dataset_of(tmp_path / "a.tif").load_image(0)
        assert image.dtype == dtype and image.shape == (12, 17, max(channels, 3))

    def test_the_orientation_tag_is_left_alone(self, tmp_path):
        exif = Image.Exif()
        exif[0x0112] = 6
        Image.fromarray(self.PIXELS[..., :3]).save(tmp_path / "a.jpg", exif=exif)
        assert dataset_of(tmp_path / "a.jpg").load_image(0).shape == (12, 17, 3)

    @pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
    def test_an_address(self, tmp_path, suffix):
        path = tmp_path / f"a.{suffix}"
        Image.fromarray(self.PIXELS[..., 0]).save(path)
        with serving() as start:
            address, requests = start(path.read_bytes())
            for end in (f"a.{suffix}", f"a.{suffix}?size=1", "a"):
                image = dataset_of(f"{address}/{end}").load_image(0)
                np.testing.assert_array_equal(image, dataset_of(path).load_image(0))
        assert len(requests) == 3

    def test_an_address_that_gives_no_image(self):
        with serving() as start:
            address, _ = start(b"<html>not found</html>")
            with pytest.raises(ValueError, match=f'image 0 .files "a name".*{address}/a.png.* gives no image'):
                dataset_of(f"{address}/a.png").load_image(0)
        with pytest.raises(ValueError, match="gives no image .*URLError.*browser"):
            dataset_of(f"{dead_address()}/a.png").load_image(0)

    def test_a_missing_file(self, tmp_path):
        with pytest.raises(FileNotFoundError, match=r'image 0 \(files "a name".*gone.png.*add_image'):
            dataset_of(tmp_path / "gone.png").load_image(0)

    def test_a_folder_is_no_file(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="no file"):
            dataset_of(tmp_path).load_image(0)

    def test_no_path(self):
        with pytest.raises(ValueError, match="override load_image"):
            dataset_of(None).load_image(0)

    def test_an_empty_file(self, tmp_path):
        (tmp_path / "a.png").touch()
        with pytest.raises(ValueError, match="image 0 .*0 bytes"):
            dataset_of(tmp_path / "a.png").load_image(0)

    @pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tif"])
    def test_a_file_cut_short(self, tmp_path, name):
        path = tmp_path / name
        Image.fromarray(np.tile(self.PIXELS[..., :3], (10, 10, 1))).save(path)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        with pytest.raises(ValueError, match="image 0 .*cut short or not an image.*again"):
            dataset_of(path).load_image(0)

    @pytest.mark.parametrize("name", ["a.jpg", "a.tif", "a.txt"])
    def test_something_else_under_an_images_name(self, tmp_path, name):
        (tmp_path / name).write_text("<html>not found</html>")
        with pytest.raises(ValueError, match="cut short or not an image"):
            dataset_of(tmp_path / name).load_image(0)
