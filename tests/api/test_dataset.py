"""`mrcnn.utils.Dataset` as projects subclass it; `tests/data/test_dataset.py` holds its other behaviour."""

import logging
import random

import numpy as np
import pytest
from skimage.io import imsave

from mrcnn import utils
from tests.api.helpers import begins_with

SIGNATURES = {
    "__init__": "class_map=None",
    "add_class": "source, class_id, class_name",
    "add_image": "source, image_id, path, **kwargs",
    "append_data": "class_info, image_info",
    "prepare": "class_map=None",
    "map_source_class_id": "source_class_id",
    "get_source_class_id": "class_id, source",
    "source_image_link": "image_id",
    "load_image": "image_id",
    "load_mask": "image_id",
    "image_reference": "image_id",
}


@pytest.mark.parametrize("name", SIGNATURES)
def test_signature(name):
    if name == "add_image":
        names = utils.Dataset.add_image.__code__.co_varnames[:5]
        assert names == ("self", "source", "image_id", "path", "kwargs")
    else:
        begins_with(getattr(utils.Dataset, name), SIGNATURES[name])


class BalloonDataset(utils.Dataset):
    """As in the projects: `super(self.__class__, self)`, another source falls through to the base class."""

    def load_balloon(self, count):
        self.add_class("balloon", 1, "balloon")
        for number in range(count):
            self.add_image("balloon", image_id=f"{number}.jpg", path=f"/data/{number}.jpg", width=8, height=6,
                           polygons=[{"name": "polygon"}], annotation=None)

    def load_mask(self, image_id):
        if self.image_info[image_id]["source"] != "balloon":
            return super(self.__class__, self).load_mask(image_id)
        return np.ones([6, 8, 1], dtype=np.uint8), np.ones([1], dtype=np.int32)

    def image_reference(self, image_id):
        info = self.image_info[image_id]
        if info["source"] == "balloon":
            return info["path"]
        super(self.__class__, self).image_reference(image_id)


@pytest.fixture
def dataset():
    dataset = BalloonDataset()
    dataset.load_balloon(3)
    dataset.add_image("other", image_id=7, path=None)
    dataset.add_class("other", 44, "bottle, of glass")
    dataset.prepare()
    return dataset


def test_add_class_ignores_a_repeated_id(dataset):
    dataset.add_class("balloon", 1, "again")
    dataset.prepare()
    assert dataset.class_names == ["BG", "balloon", "bottle"]


def test_add_class_refuses_a_dot():
    with pytest.raises(ValueError, match="dot"):
        utils.Dataset().add_class("a.b", 1, "c")


def test_class_ids_of_a_source_need_not_follow_each_other(dataset):
    assert dataset.map_source_class_id("other.44") == 2
    assert dataset.get_source_class_id(2, "other") == 44


def test_add_image_keeps_everything(dataset):
    info = dataset.image_info[0]
    assert info == {"id": "0.jpg", "source": "balloon", "path": "/data/0.jpg", "width": 8, "height": 6,
                    "polygons": [{"name": "polygon"}], "annotation": None}  # fmt: skip
    assert dataset.image_info[3] == {"id": 7, "source": "other", "path": None}


def test_prepare_sets_numbers_names_and_maps(dataset):
    assert (dataset.num_classes, dataset.num_images) == (3, 4)
    assert dataset.class_ids.tolist() == [0, 1, 2] and dataset._image_ids.tolist() == [0, 1, 2, 3]
    assert dataset.class_from_source_map == {".0": 0, "balloon.1": 1, "other.44": 2}
    assert dataset.image_from_source_map["other.7"] == 3 and dataset.image_from_source_map["balloon.1.jpg"] == 1
    assert dataset.source_class_ids == {"": [0], "balloon": [0, 1], "other": [0, 2]}
    assert set(dataset.sources) == {"", "balloon", "other"}
    assert dataset.class_info[0] == {"source": "", "id": 0, "name": "BG"}


def test_prepare_may_be_repeated(dataset):
    before = dict(vars(dataset))
    dataset.prepare()
    np.testing.assert_equal(dict(vars(dataset)), before)


def test_forgotten_prepare_is_said():
    with pytest.raises(AttributeError, match=r"call prepare\(\)"):
        _ = BalloonDataset().class_names


def test_image_ids_before_prepare():
    dataset = BalloonDataset()
    assert dataset.image_ids == [] and len(dataset.image_ids) == 0
    dataset.load_balloon(2)
    assert len(dataset.image_ids) == 0


def test_image_ids_in_users_ways(dataset):
    ids = dataset.image_ids
    assert isinstance(ids, np.ndarray) and random.choice(ids) in range(4) and len(np.random.choice(ids, 4)) == 4
    assert ids.copy().tolist() == list(ids) == [0, 1, 2, 3]


def test_image_ids_may_be_set():
    dataset = BalloonDataset()
    dataset._image_ids = [4, 5]
    assert dataset.image_ids == [4, 5]


def test_class_names_is_a_list(dataset):
    assert dataset.class_names.index("balloon") == 1 and dataset.class_names[0] == "BG"


def test_load_image_gives_three_channels_of_uint8(tmp_path):
    dataset = utils.Dataset()
    pictures = {"grey": (5, 4), "colour": (5, 4, 3), "alpha": (5, 4, 4)}
    for name, shape in pictures.items():
        imsave(tmp_path / f"{name}.png", np.full(shape, 9, np.uint8), check_contrast=False)
        dataset.add_image("s", name, str(tmp_path / f"{name}.png"))
    for image_id in range(3):
        image = dataset.load_image(image_id)
        assert image.shape == (5, 4, 3) and image.dtype == np.uint8 and (image == 9).all()


def test_load_image_may_be_overridden_with_more_arguments():
    class Deep(BalloonDataset):
        def load_image(self, image_id, channels=4, verbose=False):
            return np.full([6, 8, channels], 40000, np.uint16)

    dataset = Deep()
    dataset.load_balloon(1)
    dataset.prepare()
    assert dataset.load_image(0, channels=2).shape == (6, 8, 2)


def test_load_mask_of_another_source_is_empty(dataset, caplog):
    with caplog.at_level(logging.WARNING):
        masks, class_ids = dataset.load_mask(3)
    assert masks.shape == (0, 0, 0) and class_ids.shape == (0,) and class_ids.dtype == np.int32
    assert "load_mask" in caplog.text


def test_image_reference_may_be_none(dataset):
    assert dataset.image_reference(0) == "/data/0.jpg" and dataset.image_reference(3) is None
    assert utils.Dataset().image_reference(0) == ""


def test_source_image_link(dataset):
    assert dataset.source_image_link(1) == "/data/1.jpg"


def test_get_source_class_id_of_another_source(dataset):
    with pytest.raises(ValueError, match="bottle"):
        dataset.get_source_class_id(2, "balloon")


def test_image_info_may_be_replaced(dataset):
    dataset.image_info = dataset.image_info[:2]
    dataset.prepare()
    assert dataset.num_images == 2
