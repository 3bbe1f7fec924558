"""labelme's JSON files: shapes, groups, images beside, elsewhere and within, and what is wrong with a file."""

import base64
import io
import json
import re

import numpy as np
import pytest
from PIL import Image

from mrcnn.data.formats import LabelmeDataset

from .files import HEIGHT, WIDTH, block, messages, write_image

SQUARE = [[10, 5], [29, 5], [29, 24], [10, 24]]


def shape(label, points=SQUARE, kind="polygon", **more):
    return {"label": label, "points": points, "shape_type": kind, "group_id": None, "flags": {}, **more}


def png(array):
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


@pytest.fixture
def make(tmp_path):
    """Writes a JSON file, and its image unless `image` is False."""

    def write(name, shapes, image=True, **changes):
        if image:
            write_image(tmp_path / f"{name}.png")
        content = {"version": "5.0", "flags": {}, "shapes": shapes, "imagePath": f"{name}.png", "imageData": None,
                   "imageHeight": HEIGHT, "imageWidth": WIDTH, **changes}
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
        return tmp_path

    return write


def load(folder, **options):
    dataset = LabelmeDataset()
    dataset.load_labelme(folder, **options)
    dataset.prepare()
    return dataset


def only_mask(folder):
    masks, class_ids = load(folder).load_mask(0)
    assert masks.dtype == bool and masks.shape == (HEIGHT, WIDTH, 1) and class_ids.tolist() == [1]
    return masks[:, :, 0]


class TestShapes:
    def test_polygon(self, make):
        assert np.array_equal(only_mask(make("a", [shape("cat")])), block(5, 10, 25, 30))

    def test_polygon_is_the_type_of_old_files(self, make):
        entry = shape("cat")
        del entry["shape_type"]
        assert np.array_equal(only_mask(make("a", [entry])), block(5, 10, 25, 30))

    @pytest.mark.parametrize("points", [[[10, 5], [30, 25]], [[30, 25], [10, 5]], [[30, 5], [10, 25]]])
    def test_rectangle_from_any_corners(self, make, points):
        assert np.array_equal(only_mask(make("a", [shape("cat", points, "rectangle")])), block(5, 10, 25, 30))

    @pytest.mark.parametrize("kind", ["rectangle", "oriented_rectangle", "rotation"])
    def test_rectangles_of_four_corners(self, make, kind):
        diamond = only_mask(make("a", [shape("cat", [[30, 10], [40, 20], [30, 30], [20, 20]], kind)]))
        assert diamond[20, 21] and diamond[11, 30] and not diamond[12, 22] and diamond.sum() == 221

    def test_circle_goes_through_its_second_point(self, make):
        mask = only_mask(make("a", [shape("cat", [[30, 20], [34, 23]], "circle")]))
        assert mask[20, 26] and not mask[20, 36] and mask.sum() == pytest.approx(np.pi * 25, rel=0.15)

    def test_lines_are_as_wide_as_labelme_makes_them(self, make):
        mask = only_mask(make("a", [shape("cat", [[20, 20], [40, 20]], "line")]))
        assert mask[:, 30].sum() == pytest.approx(10, abs=1)
        mask = only_mask(make("a", [shape("cat", [[20, 10], [20, 30], [40, 30]], "linestrip")]))
        assert mask[20, 20] and mask[30, 30] and not mask[20, 30]

    @pytest.mark.parametrize("kind, points, others", [("point", [[30, 20]], 1), ("points", [[30, 20], [10, 10]], 2)])
    def test_points_are_discs(self, make, kind, points, others):
        mask = only_mask(make("a", [shape("cat", points, kind)]))
        assert mask[20, 34] and not mask[20, 36] and mask.sum() == pytest.approx(others * np.pi * 25, rel=0.15)

    @pytest.mark.parametrize("x, y", [(10, 5), (50, 35), (-2, -3)])
    def test_bitmaps_are_pasted_and_cut_off(self, make, x, y):
        pixels = np.random.RandomState(0).rand(8, 12) < 0.5
        entry = shape("cat", [[x, y], [x + 11, y + 7]], "mask", mask=png(pixels))
        expected = np.zeros((HEIGHT + 40, WIDTH + 40), bool)
        expected[y + 20 : y + 28, x + 20 : x + 32] = pixels
        assert np.array_equal(only_mask(make("a", [entry])), expected[20:-20, 20:-20])

    def test_shapes_of_a_group_are_one_object(self, make):
        right = [[40, 5], [49, 5], [49, 14], [40, 14]]
        entries = [shape("cat", group_id=3), shape("dog", right, group_id=3), shape("cat", right, group_id=3),
                   shape("cat", right)]
        masks, class_ids = load(make("a", entries)).load_mask(0)
        assert class_ids.tolist() == [1, 2, 1]
        assert np.array_equal(masks[:, :, 0], block(5, 10, 25, 30) | block(5, 40, 15, 50))
        assert np.array_equal(masks[:, :, 2], block(5, 40, 15, 50))

    def test_what_lies_outside_is_cut_off_and_remembered(self, make):
        dataset = load(make("a", [shape("cat", [[-10, -5], [19, -5], [19, 9], [-10, 9]]),
                                  shape("cat", [[50, 20], [50, 29]], "circle")]))
        masks, _ = dataset.load_mask(0)
        assert np.array_equal(masks[:, :, 0], block(0, 0, 10, 20))
        assert dataset.annotated_boxes(0).tolist() == [[-5, -10, 9, 19], [11, 41, 29, 59]]


class TestClasses:
    def test_names_are_sorted_over_all_files(self, make):
        make("a", [shape("dog")])
        dataset = load(make("b", [shape("cat")]))
        assert dataset.class_names == ["BG", "cat", "dog"]
        assert [dataset.load_mask(i)[1].tolist() for i in (0, 1)] == [[2], [1]]

    def test_class_names_fix_the_order_and_leave_others_out(self, make, caplog):
        dataset = load(make("a", [shape("cat"), shape("dog"), shape("bird"), shape("bird")]),
                       class_names=["BG", "dog", "cat", "horse"])
        assert dataset.class_names == ["BG", "dog", "cat", "horse"]
        assert dataset.load_mask(0)[1].tolist() == [2, 1]
        assert messages(caplog) == ["Left out the objects of classes that class_names does not have: bird (2)."]

    def test_labels_that_mark_nothing(self, make):
        assert load(make("a", [shape("_background_"), shape("__ignore__"), shape("cat")])).class_names == ["BG", "cat"]

    def test_further_folders_add_to_the_classes(self, make, tmp_path):
        dataset = load(make("a", [shape("cat")]))
        other = tmp_path / "other"
        write_image(other / "b.png")
        (other / "b.json").write_text(json.dumps({"shapes": [shape("ant"), shape("cat")], "imagePath": "b.png"}))
        dataset.load_labelme(other)
        dataset.prepare()
        assert dataset.class_names == ["BG", "cat", "ant"] and dataset.load_mask(1)[1].tolist() == [2, 1]


class TestImages:
    def test_no_shapes(self, make):
        make("a", [shape("cat")])
        masks, class_ids = load(make("b", [])).load_mask(1)
        assert masks.shape == (HEIGHT, WIDTH, 0) and class_ids.shape == (0,)

    def test_ids(self, make):
        make("a", [shape("cat")])
        folder = make("b", [shape("cat")])
        assert [info["id"] for info in load(folder, image_ids=["b"]).image_info] == ["b"]
        with pytest.raises(FileNotFoundError, match="1 of the 1 image_ids, first 'c'.*a, b"):
            load(folder, image_ids=["c"])

    @pytest.mark.parametrize("place", ["..\\pictures\\a.png", "../pictures/a.png"])
    def test_paths_start_at_the_json_file(self, make, tmp_path, place):
        make("a", [shape("cat")], image=False, imagePath=place)
        folder = tmp_path / "annotations"
        folder.mkdir()
        (tmp_path / "a.json").rename(folder / "a.json")
        write_image(tmp_path / "pictures" / "a.png", value=9)
        dataset = load(folder)
        assert dataset.load_image(0)[0, 0, 0] == 9 and dataset.image_reference(0).endswith("a.png")

    def test_images_dir(self, make, tmp_path):
        write_image(tmp_path / "elsewhere" / "a.png", value=9)
        folder = make("a", [shape("cat")], imagePath="C:\\data\\a.png")
        assert load(folder, images_dir=tmp_path / "elsewhere").load_image(0)[0, 0, 0] == 9
        assert load(folder).load_image(0)[0, 0, 0] == 7

    def test_image_within_the_json_file(self, make, caplog):
        image = np.random.RandomState(0).randint(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
        dataset = load(make("a", [shape("cat")], image=False, imageData=png(image)))
        assert np.array_equal(dataset.load_image(0), image)
        assert dataset.load_mask(0)[0].shape == (HEIGHT, WIDTH, 1) and not caplog.records
        assert dataset.image_reference(0).endswith("a.json")

    def test_images_are_turned_as_labelme_shows_them(self, make, tmp_path):
        folder = make("a", [shape("cat")], imageHeight=WIDTH, imageWidth=HEIGHT)
        write_image(tmp_path / "a.png", orientation=6)
        dataset = load(folder)
        assert dataset.load_image(0).shape == (WIDTH, HEIGHT, 3)
        assert dataset.load_mask(0)[0].shape == (WIDTH, HEIGHT, 1)

    def test_images_annotated_as_stored_are_not_turned(self, make, tmp_path):
        folder = make("a", [shape("cat")])
        write_image(tmp_path / "a.png", orientation=6)
        assert load(folder).load_image(0).shape == (HEIGHT, WIDTH, 3)

    def test_half_turns_turn_the_pixels(self, make, tmp_path):
        folder = make("a", [shape("cat")])
        image = np.random.RandomState(0).randint(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
        exif = Image.Exif()
        exif[0x0112] = 3
        Image.fromarray(image).save(tmp_path / "a.png", exif=exif)
        assert np.array_equal(load(folder).load_image(0), image[::-1, ::-1])

    def test_other_sources_go_to_the_base_class(self, make, tmp_path):
        dataset = load(make("a", [shape("cat")]))
        dataset.add_image("other", "x", str(tmp_path / "a.png"))
        assert dataset.load_image(1).shape == (HEIGHT, WIDTH, 3) and dataset.load_mask(1)[0].shape[2] == 0
        assert dataset.image_reference(1) == "" and dataset.annotated_boxes(1) is None


class TestWhatIsWrong:
    @pytest.mark.parametrize("entry, reason", [
        (shape(""), "it has no label"), (shape(None), "it has no label"), ("text", "it has no label"),
        (shape("dog", kind=["polygon"]), "shape_type is"),
        (shape("dog", kind="blob"), "shape_type is 'blob', expected one of polygon, "),
        (shape("dog", [[1, 2], [3, 4]]), "a polygon has 3 or more points, it has 2"),
        (shape("dog", [[1, 2]], "circle"), "a circle has 2 points, it has 1"),
        (shape("dog", [1, 2, 3]), "no list of pairs"), (shape("dog", None), "points are no"),
        (shape("dog", [[1, "x"], [2, 3], [3, 4]]), "no numbers"), (shape("dog", [[1, 2], [3]]), "points are no"),
        (shape("dog", [[1, 2], [3, 1e30], [5, 6]]), "finite numbers"), (shape("dog", group_id=[1]), "group_id is"),
        (shape("dog", [[1, 2], [3, 4]], "mask"), "no PNG in base64"),
        (shape("dog", [[1, 2], [3, 4]], "mask", mask="AAAA"), "no PNG in base64"),
        (shape("dog", [[1, 2], [3, 4]], "mask", mask=png(np.zeros((2, 2), bool))),
         r"\(height, width\) \(2, 2\), its points ask for \(3, 3\)")])
    def test_shapes_are_left_out_with_one_line(self, make, caplog, entry, reason):
        dataset = load(make("a", [shape("cat"), entry]))
        assert dataset.class_names == ["BG", "cat"] and dataset.load_mask(0)[1].tolist() == [1]
        line, = messages(caplog)
        assert f"{dataset.image_info[0]['annotation']}: left out 1 of its annotations: shape 1" in line
        assert re.search(reason, line)

    @pytest.mark.parametrize("text, reason", [("{", "cannot be read as JSON"), ("[]", "no list 'shapes'"),
                                              ('{"shapes": 3}', "no list 'shapes'")])
    def test_files_are_left_out_with_one_line(self, make, tmp_path, caplog, text, reason):
        (tmp_path / "bad.json").write_text(text)
        assert load(make("good", [shape("cat")])).num_images == 1
        line, = messages(caplog)
        assert "bad.json: left out." in line and reason in line

    @pytest.mark.parametrize("changes, reason", [
        ({"image": False}, "'bad.png' does not exist.*images_dir"),
        ({"image": False, "imageData": "AAAA"}, "imageData cannot be decoded"),
        ({"imageHeight": 33}, r"image of \(33, 60\) pixels.*bad.png has \(40, 60\)")])
    def test_images_are_left_out_with_one_line(self, make, caplog, changes, reason):
        make("bad", [shape("dog")], **changes)
        dataset = load(make("good", [shape("cat")]))
        assert [info["id"] for info in dataset.image_info] == ["good"] and dataset.class_names == ["BG", "cat"]
        line, = messages(caplog)
        assert "bad.json: left out." in line and re.search(reason, line)

    def test_what_is_cut_off_is_named_in_one_line(self, make, caplog):
        load(make("a", [shape("cat"), shape("cat", [[-9, 5], [29, 5], [29, 24]])]))
        (line,) = messages(caplog)
        assert "1 objects reach out of their image, first object 1 of image 0 (labelme \"a\"" in line

    def test_many_lines_are_cut_short(self, make, tmp_path, caplog):
        for number in range(30):
            (tmp_path / f"bad{number}.json").write_text("{")
        load(make("good", [shape("cat")]))
        assert len(caplog.records) == 21 and "10 more files" in messages(caplog)[-1]

    def test_nothing_is_left(self, tmp_path):
        (tmp_path / "bad.json").write_text("{")
        with pytest.raises(ValueError, match="no image that can be used.*bad.json.*JSON"):
            load(tmp_path)

    def test_folders(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="dataset_dir.*nowhere"):
            load(tmp_path / "nowhere")
        with pytest.raises(FileNotFoundError, match="no file that ends in .json"):
            load(tmp_path)
