"""VIA's annotations: both versions, every shape, every kind of attribute, and what is wrong with a file."""

import json

import numpy as np
import pytest
import skimage.draw
from PIL import Image

from mrcnn.data.formats import ViaDataset

from .files import messages

HEIGHT, WIDTH = 40, 60
SQUARE = {"name": "polygon", "all_points_x": [10, 20, 20, 10], "all_points_y": [5, 5, 15, 15]}


def region(shape=SQUARE, **attributes):
    return {"shape_attributes": shape, "region_attributes": attributes}


def image_entry(name, regions):
    return {"filename": name, "size": 1234, "regions": regions, "file_attributes": {}}


@pytest.fixture
def make(tmp_path):
    """Writes images and a file with the regions {image name: regions}; returns its path."""

    def write(images, project=False):
        for name in images:
            Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / name)
        content = {f"{name}1234": image_entry(name, regions) for name, regions in images.items()}
        if project:
            content = {"_via_settings": {"core": {}}, "_via_img_metadata": content, "_via_attributes": {}}
        path = tmp_path / "via.json"
        path.write_text(json.dumps(content))
        return path

    return write


def load(path, **options):
    dataset = ViaDataset()
    dataset.load_via(path, **options)
    dataset.prepare()
    return dataset


def classes(dataset, image_id=0):
    return [dataset.class_names[i] for i in dataset.load_mask(image_id)[1]]


def numbered(regions):
    """Regions as VIA 1 has them."""
    return {str(number): entry for number, entry in enumerate(regions)}


class TestVersions:
    @pytest.mark.parametrize("form", [list, numbered])
    @pytest.mark.parametrize("project", [False, True])
    def test_regions_and_classes(self, make, form, project):
        path = make({"a.png": form([region(name="dog"), region(name="cat")]), "b.png": form([region(name="cat")])},
                    project)
        dataset = load(path)
        assert dataset.class_names == ["BG", "cat", "dog"] and dataset.num_images == 2
        masks, class_ids = dataset.load_mask(0)
        assert masks.shape == (HEIGHT, WIDTH, 2) and masks.dtype == bool
        assert class_ids.tolist() == [2, 1] and class_ids.dtype == np.int32
        assert dataset.image_reference(1).endswith("b.png") and dataset.load_image(1).shape == (HEIGHT, WIDTH, 3)
        assert {key: dataset.image_info[1][key] for key in ("id", "source", "height", "width")} == {
            "id": "b.png", "source": "via", "height": HEIGHT, "width": WIDTH}

    def test_pixels_are_those_of_skimage(self, make):
        shape = {"name": "polygon", "all_points_x": [3, 30.5, 41, 12], "all_points_y": [2, 8.25, 33, 20]}
        masks, _ = load(make({"a.png": [region(shape)]})).load_mask(0)
        rows, columns = skimage.draw.polygon(shape["all_points_y"], shape["all_points_x"], (HEIGHT, WIDTH))
        expected = np.zeros((HEIGHT, WIDTH), bool)
        expected[rows, columns] = True
        assert np.array_equal(masks[:, :, 0], expected)

    @pytest.mark.parametrize("keep_empty, ids", [(False, ["b.png"]), (True, ["a.png", "b.png", "c.png"])])
    def test_images_without_regions(self, make, keep_empty, ids):
        dataset = load(make({"a.png": [], "b.png": [region()], "c.png": {}}), keep_empty=keep_empty)
        assert [info["id"] for info in dataset.image_info] == ids
        if keep_empty:
            masks, class_ids = dataset.load_mask(0)
            assert masks.shape == (HEIGHT, WIDTH, 0) and class_ids.shape == (0,)

    def test_no_region_at_all(self, make):
        with pytest.raises(ValueError, match="via.json has no image with a region"):
            load(make({"a.png": []}))

    def test_images_elsewhere_and_in_folders_of_another_machine(self, make, tmp_path):
        path = make({"a.png": [region()]})
        (tmp_path / "pictures").mkdir()
        (tmp_path / "a.png").rename(tmp_path / "pictures" / "a.png")
        path.write_text(json.dumps({"a": image_entry("C:\\data\\a.png", [region()])}))
        assert load(path, images_dir=tmp_path / "pictures").load_image(0).shape == (HEIGHT, WIDTH, 3)

    def test_other_sources_go_to_the_base_class(self, make):
        dataset = load(make({"a.png": [region()]}))
        dataset.add_image("other", 1, None)
        assert dataset.load_mask(1)[0].shape[-1] == 0 and dataset.annotated_boxes(1) is None

    def test_byte_order_mark(self, make):
        path = make({"a.png": [region()]})
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
        assert load(path).num_images == 1


SHAPES = {
    "rect": ({"x": 10, "y": 5, "width": 20, "height": 8}, 160, (5, 10, 13, 30)),
    "circle": ({"cx": 30, "cy": 20, "r": 10}, 305, (10, 20, 30, 40)),
    "ellipse": ({"cx": 30, "cy": 20, "rx": 15.5, "ry": 5.5}, 269, (14.5, 14.5, 25.5, 45.5)),
    "turned": ({"cx": 30, "cy": 20, "rx": 15.5, "ry": 5.5, "theta": np.pi / 2}, 269, (4.5, 24.5, 35.5, 35.5)),
    "polyline": ({"all_points_x": [5, 25], "all_points_y": [7, 7]}, 21, (7, 5, 7, 25)),
    "polygon": ({"all_points_x": [5, 25, 25], "all_points_y": [7, 7, 17]}, 121, (7, 5, 17, 25)),
    "point": ({"cx": 12, "cy": 34}, 1, (34, 12, 34, 12)),
}


class TestShapes:
    @pytest.mark.parametrize("name", SHAPES)
    def test_area_and_box(self, make, name):
        numbers, area, box = SHAPES[name]
        shape = {"name": "ellipse" if name == "turned" else name, **numbers}
        dataset = load(make({"a.png": [region(shape)]}))
        mask = dataset.load_mask(0)[0][:, :, 0]
        assert mask.sum() == area
        np.testing.assert_allclose(dataset.annotated_boxes(0), [box], atol=1e-9)
        rows, columns = np.nonzero(mask)
        assert box[0] <= rows.min() <= rows.max() <= box[2] and box[1] <= columns.min() <= columns.max() <= box[3]

    def test_a_turn_is_clockwise_on_the_screen(self, make):
        shape = {"name": "ellipse", "cx": 30, "cy": 20, "rx": 15, "ry": 2, "theta": 0.5}
        mask = load(make({"a.png": [region(shape)]})).load_mask(0)[0][:, :, 0]
        rows, columns = np.nonzero(mask)
        assert np.corrcoef(rows, columns)[0, 1] > 0.9

    def test_outside_the_image_is_cut_off(self, make):
        half = {"name": "polygon", "all_points_x": [-50, 9, 9, -50], "all_points_y": [-50, -50, 90, 90]}
        away = {"name": "circle", "cx": 500, "cy": 500, "r": 20}
        dataset = load(make({"a.png": [region(half), region(away)]}))
        masks, class_ids = dataset.load_mask(0)
        assert masks[:, :10, 0].all() and not masks[:, 10:, 0].any() and not masks[:, :, 1].any()
        assert len(class_ids) == 2
        assert dataset.annotated_boxes(0).tolist() == [[-50, -50, 90, 9], [480, 480, 520, 520]]

    def test_numbers_and_attributes_as_text(self, make):
        shape = json.dumps({"name": "rect", "x": "10", "y": 5, "width": "20", "height": 8})
        entry = {"shape_attributes": shape, "region_attributes": '{"name": "cat"}'}
        dataset = load(make({"a.png": [entry]}))
        assert dataset.load_mask(0)[0].sum() == 160 and classes(dataset) == ["cat"]


class TestClasses:
    def test_without_attributes(self, make):
        path = make({"a.png": [region(), region(name=""), region(name={"cat": False})]})
        assert classes(load(path)) == ["object"] * 3
        assert classes(load(path, default_class="balloon")) == ["balloon"] * 3

    @pytest.mark.parametrize("value, name", [("cat", "cat"), (" cat ", "cat"), ({"cat": True, "dog": False}, "cat"),
                                             ({"cat": True}, "cat"), (7, "7")])
    def test_kinds_of_attributes(self, make, value, name):
        assert classes(load(make({"a.png": [region(kind=value)]}))) == [name]

    def test_several_attributes(self, make):
        path = make({"a.png": [region(name="cat", color="red"), region(name="dog", color="")]})
        assert classes(load(path, class_attribute="name")) == ["cat", "dog"]
        assert load(path, class_attribute=False).class_names == ["BG", "object"]
        with pytest.raises(ValueError, match="via.json: class_attribute is None.*color, name.*Name the one"):
            load(path)

    def test_unknown_attribute(self, make):
        with pytest.raises(ValueError, match="via.json: class_attribute is 'nmae'.*attributes name"):
            load(make({"a.png": [region(name="cat")]}), class_attribute="nmae")

    def test_given_order_of_classes(self, make):
        path = make({"a.png": [region(name="cat")]})
        dataset = load(path, class_names=["BG", "zebra", "cat"])
        assert dataset.class_names == ["BG", "zebra", "cat"] and dataset.load_mask(0)[1].tolist() == [2]

    def test_unknown_class(self, make):
        path = make({"a.png": [region(name="cat"), region(name="dgo")]})
        with pytest.raises(ValueError, match='via.json: .*region 1 of "a.png".*\'dgo\' is not one of cat, dog'):
            load(path, class_names=["cat", "dog"])

    @pytest.mark.parametrize("value, what", [("", "'name' is not set"), ({"cat": False}, "'name' is not set"),
                                             ({"cat": True, "dog": True}, "cat and dog ticked"),
                                             (["cat"], "expected a text")])
    def test_a_region_without_one_class(self, make, value, what):
        path = make({"a.png": [region(name="cat")], "b.png": {"3": region(name=value)}})
        with pytest.raises(ValueError, match=f'via.json: 1 regions cannot be used: region 3 of "b.png".*{what}'):
            load(path)

    def test_all_problems_are_counted_and_the_first_named(self, make):
        path = make({"a.png": [region(name="cat"), *[region()] * 8]})
        with pytest.raises(ValueError, match="8 regions cannot be used: region 1 .*; region 5 of .*; \\.\\.\\."):
            load(path)


class TestBadFiles:
    def test_no_file(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="via.json does not exist"):
            load(tmp_path / "via.json")

    @pytest.mark.parametrize("text, what", [
        ("{", "cannot be read as JSON"), ("", "cannot be read as JSON"), ("[]", "it holds a list"),
        ('{"a": 1}', "'a' is a int"), ('{"a": {"filename": "a.png"}}', "'a' lacks regions"),
        ('{"a": {}}', "'a' lacks filename and regions"), ('{"_via_img_metadata": [1]}', "it holds a list"),
        ('{"a": {"filename": "a.png", "regions": 3}}', "regions of 'a' are a int"),
        ('{"project": {}, "metadata": {}}', "VIA 3 has another format"), ("{}", "no image with a region")])
    def test_malformed_file(self, tmp_path, text, what):
        path = tmp_path / "via.json"
        path.write_text(text)
        with pytest.raises(ValueError, match=f"via.json.*{what}"):
            load(path)

    @pytest.mark.parametrize("entry, what", [
        ({}, "no shape_attributes"), (None, "no shape_attributes"), (region({}), "its shape is None, expected one of"),
        (region({"name": "star"}), "its shape is 'star'.*polygon, polyline, rect"),
        (region({"name": ["rect"]}), "its shape is \\['rect'\\]"),
        (region({"name": "polygon", "x": 1}), "its polygon lacks all_points_x, all_points_y; it has name, x"),
        (region({"name": "rect", "x": 1, "y": 2, "width": 3}), "its rect lacks height"),
        (region({"name": "point", "cx": None, "cy": 2}), "its point has .*None.*expected numbers"),
        (region({"name": "point", "cx": 1e300, "cy": 2}), "finite numbers of pixels"),
        (region({**SQUARE, "all_points_x": [1, 2, 3]}), "3 x and 4 y"),
        (region({**SQUARE, "all_points_x": [1, 2, "a", 3]}), "no numbers"),
        (region({**SQUARE, "all_points_x": [1, 2, None, 3]}), "finite numbers of pixels"),
        (region({**SQUARE, "all_points_x": 5}), "needs a list of x"),
        (region({**SQUARE, "all_points_x": [], "all_points_y": []}), "needs a list of x"),
        (region("polygon"), "its shape_attributes is the text 'polygon'"),
        (region(None), "its shape_attributes is None"),
        ({"shape_attributes": SQUARE, "region_attributes": [1]}, "its region_attributes is \\[1\\]")])
    def test_bad_region(self, make, entry, what):
        path = make({"good.png": [region()], "bad.png": [region(), entry]})
        with pytest.raises(ValueError, match=f'via.json: 1 regions cannot be used: region 1 of "bad.png": .*{what}'):
            load(path)

    def test_missing_image(self, make, tmp_path):
        path = make({"a.png": [region()], "b.png": [region()]})
        (tmp_path / "b.png").unlink()
        with pytest.raises(FileNotFoundError, match="1 of the 2 images in .*via.json.*first b.png"):
            load(path)

    def test_missing_folder(self, make, tmp_path):
        with pytest.raises(FileNotFoundError, match="nowhere does not exist"):
            load(make({"a.png": [region()]}), images_dir=tmp_path / "nowhere")

    def test_unreadable_image(self, make, tmp_path):
        path = make({"a.png": [region()]})
        (tmp_path / "a.png").write_text("no image")
        with pytest.raises(ValueError, match="via.json: a.png.*not an image"):
            load(path)

    def test_what_is_cut_off_is_named_in_one_line(self, make, tmp_path, caplog):
        circle, away = {"name": "circle", "cx": 2, "cy": 20, "r": 9}, {"name": "point", "cx": 99, "cy": 3}
        dataset = load(make({"a.png": [region()], "b.png": [region(), region(circle), region(away)]}))
        (line,) = messages(caplog)
        assert "via.json: 2 objects reach out of their image, first object 1 of image 1 (via \"b.png\"" in line
        assert dataset.load_mask(1)[0].any(axis=(0, 1)).tolist() == [True, True, False]

    def test_orientation_tags_are_pointed_out(self, make, tmp_path, caplog):
        path = make({"a.jpg": [region()], "b.jpg": [region()]})
        exif = Image.Exif()
        exif[0x0112] = 6
        Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / "b.jpg", exif=exif)
        dataset = load(path)
        assert "1 images have a camera's orientation tag" in caplog.text and "b.jpg" in caplog.text
        assert dataset.load_mask(1)[0].shape[:2] == dataset.load_image(1).shape[:2] == (HEIGHT, WIDTH)
