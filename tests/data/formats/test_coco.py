"""COCO's JSON format from any tool: classes, forms of segmentation, and what is wrong with a file."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra import numpy as arrays

from mrcnn.data.formats import CocoDataset
from mrcnn.data.formats.coco_rle import rle_counts

from .files import messages
from .toy_coco import HEIGHT, TRIANGLE, WIDTH, annotation, rle, write_coco


def load(path, images_dir=None, class_names=None):
    dataset = CocoDataset()
    dataset.load_coco_json(path, path.parent / "images" if images_dir is None else images_dir, class_names)
    dataset.prepare()
    return dataset


class TestWhatIsThere:
    def test_classes_follow_the_category_ids(self, tmp_path):
        dataset = load(write_coco(tmp_path, [annotation(1, [TRIANGLE]), annotation(2, [TRIANGLE], category_id=90)]))
        assert dataset.class_names == ["BG", "cat", "dog"] and dataset.num_images == 2
        masks, class_ids = dataset.load_mask(0)
        assert masks.shape == (HEIGHT, WIDTH, 2) and masks.dtype == bool
        assert class_ids.tolist() == [1, 2] and class_ids.dtype == np.int32
        assert dataset.load_image(1)[0, 0].tolist() == [2, 2, 2]
        assert dataset.image_reference(1) == str(tmp_path / "images" / "2.png")

    def test_class_names_set_the_order(self, tmp_path):
        path = write_coco(tmp_path, [annotation(1, [TRIANGLE]), annotation(2, [TRIANGLE], category_id=90)])
        for names in (["dog", "cat"], ["BG", "dog", "cat"]):
            dataset = load(path, class_names=names)
            assert dataset.class_names == ["BG", "dog", "cat"]
            assert dataset.load_mask(0)[1].tolist() == [2, 1]

    def test_class_names_leave_objects_out_and_keep_images(self, tmp_path):
        path = write_coco(tmp_path, [annotation(1, [TRIANGLE]), annotation(2, [TRIANGLE], category_id=90)])
        dataset = load(path, class_names=["dog"])
        assert dataset.num_images == 2 and dataset.load_mask(0)[1].tolist() == [1]

    @pytest.mark.parametrize("compressed", [False, True])
    def test_rle(self, tmp_path, compressed):
        mask = np.random.RandomState(0).rand(HEIGHT, WIDTH) < 0.5
        masks, class_ids = load(write_coco(tmp_path, [annotation(1, rle(mask, compressed), iscrowd=1)])).load_mask(0)
        assert np.array_equal(masks[:, :, 0], mask) and class_ids.tolist() == [-1]

    def test_polygons_are_clipped_and_remember_where_they_were(self, tmp_path):
        outside = [-20.0, -20.0, 30.0, -20.0, 30.0, 20.0, -20.0, 20.0]
        dataset = load(write_coco(tmp_path, [annotation(1, [TRIANGLE, outside])]))
        expected = np.zeros((HEIGHT, WIDTH), bool)
        expected[:20, :30] = True
        assert np.array_equal(dataset.load_mask(0)[0][:20, :30, 0], expected[:20, :30])
        assert dataset.annotated_boxes(0).tolist() == [[-20, -20, 25, 30]]
        assert dataset.annotated_boxes(1).shape == (0, 4)

    def test_images_lie_beside_the_file_by_default(self, tmp_path):
        path = write_coco(tmp_path / "images", [annotation(1, [TRIANGLE])], images_dir=".")
        dataset = CocoDataset()
        dataset.load_coco_json(str(path))
        assert len(dataset.image_info) == 2

    @pytest.mark.parametrize("name", ["images/1.png", "..\\elsewhere\\1.png", "/home/me/1.png"])
    def test_folders_of_another_machine_are_left_off(self, tmp_path, name):
        images = [{"id": 1, "file_name": name, "height": HEIGHT, "width": WIDTH}]
        assert load(write_coco(tmp_path, [], images=images)).load_image(0)[0, 0, 0] == 1

    def test_two_files_share_classes(self, tmp_path):
        first = write_coco(tmp_path / "a", [annotation(1, [TRIANGLE])])
        second = write_coco(tmp_path / "b", [annotation(1, [TRIANGLE], category_id=90)])
        dataset = load(first)
        dataset.load_coco_json(second, second.parent / "images")
        dataset.prepare()
        assert dataset.class_names == ["BG", "cat", "dog"] and dataset.num_images == 4
        assert dataset.load_mask(2)[1].tolist() == [2]

    def test_real_annotations(self, test_data):
        folder = test_data / "coco_mini"
        dataset = load(folder / "annotations" / "instances_train2017.json", folder / "train2017")
        assert dataset.num_classes == 81 and dataset.num_images == 80
        assert any((dataset.load_mask(i)[1] < 0).any() for i in dataset.image_ids)


class TestWhatIsWrong:
    @pytest.mark.parametrize("text, what", [
        ("{", "cannot be read as JSON"), ("[]", "JSON object.*list"), ("{}", "no list 'images'"),
        ('{"images": [3]}', r"images\[0\] has no 'id'"),
        ('{"images": [{"id": 1, "file_name": "a.png", "height": 0, "width": 3}]}', r"images\[0\]: 'height'.*got 0"),
        ('{"images": [{"id": 1, "file_name": {}, "height": 2, "width": 3}]}', r"images\[0\]: 'file_name' must be text"),
        ('{"images": [{"id": [1], "file_name": "a.png", "height": 2, "width": 3}]}', r"images\[0\]: 'id'.*\[1\]")])
    def test_malformed_files(self, tmp_path, text, what):
        path = tmp_path / "bad.json"
        path.write_text(text)
        with pytest.raises(ValueError, match=f"bad.json.*{what}"):
            CocoDataset().load_coco_json(path)

    def test_no_file(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="none.json does not exist"):
            CocoDataset().load_coco_json(tmp_path / "none.json")

    def test_ids_given_twice(self, tmp_path):
        path = write_coco(tmp_path, [])
        content = json.loads(path.read_text())
        content["images"][1]["id"] = 1
        path.write_text(json.dumps(content))
        with pytest.raises(ValueError, match="several images have the id 1"):
            load(path)

    def test_unusable_annotations_are_named_in_one_line(self, tmp_path, caplog):
        dataset = load(write_coco(tmp_path, [annotation(1, [TRIANGLE]), annotation(2, [[1, 2, 3, 4]]),
                                             annotation(3, None)]))
        assert dataset.load_mask(0)[1].tolist() == [1]
        assert [record.getMessage() for record in caplog.records] == [
            f"{tmp_path / 'annotations.json'}: left out 2 annotations without a usable polygon (ids 2 of image 1, "
            "3 of image 1). Correct the file if they should count."]

    @pytest.mark.parametrize("change, what", [
        ({"image_id": 99}, "7 annotations of images not in the file (ids 10 of image 99, 11 of image 99, 12 of"),
        ({"category_id": 3}, "7 annotations of unknown categories (ids 10 of image 1, 11 of image 1, 12 of"),
        ({"segmentation": [TRIANGLE, [1], [2]]}, "14 bad polygons of usable annotations (ids 10 of image 1, 11 of")])
    def test_the_first_of_many_are_named(self, tmp_path, caplog, change, what):
        load(write_coco(tmp_path, [{**annotation(10 + number, [TRIANGLE]), **change} for number in range(7)]))
        (line,) = messages(caplog)
        assert what in line and ", 14 of image" in line and ", ...)" in line and "15 of" not in line

    def test_annotations_of_one_id_are_kept_with_one_line(self, tmp_path, caplog):
        dataset = load(write_coco(tmp_path, [annotation(5, [TRIANGLE]), annotation(5, [TRIANGLE], category_id=90)]))
        assert dataset.load_mask(0)[1].tolist() == [1, 2]
        (line,) = messages(caplog)
        assert "annotations.json: 2 annotations share their id" in line
        assert "(ids 5 of image 1). All are kept" in line

    @pytest.mark.parametrize("polygon", [[100, 100, 120, 100, 120, 120], [-30, -30, -9, -30, -9, -9],
                                         [5, 5, 5, 5, 5, 5]])
    def test_segmentations_without_a_pixel_are_left_out_with_one_line(self, tmp_path, caplog, polygon):
        dataset = load(write_coco(tmp_path, [annotation(8, [polygon]), annotation(9, [TRIANGLE])]))
        for _ in range(2):
            assert dataset.load_mask(0)[1].tolist() == [1]
        (line,) = messages(caplog)
        assert f'image 0 (coco "1", {tmp_path / "images" / "1.png"}): left out 1 annotations (ids 8 of image 1)' in line

    @pytest.mark.parametrize("counts", [[5, 5], [0.5, 2399.5], [2401, -1], [float("nan"), 2400]])
    def test_bad_rle(self, tmp_path, counts):
        with pytest.raises(ValueError, match="annotation 77 of image 1 has a bad RLE.*whole numbers.*add up to 2400"):
            load(write_coco(tmp_path, [annotation(77, {"size": [HEIGHT, WIDTH], "counts": counts})]))

    def test_categories_that_change_their_meaning(self, tmp_path):
        dataset = load(write_coco(tmp_path / "a", []))
        other = write_coco(tmp_path / "b", [], categories=[{"id": 7, "name": "horse"}])
        with pytest.raises(ValueError, match="category 7 'horse'.*before calls it 'cat'"):
            dataset.load_coco_json(other, other.parent / "images")

    @pytest.mark.parametrize("names, what", [(["horse"], "0 categories named 'horse'.*dog, cat"),
                                             ("cat", r"write \['cat'\]"), (["cat", "cat"], "twice")])
    def test_class_names_that_cannot_be(self, tmp_path, names, what):
        with pytest.raises(ValueError, match=what):
            load(write_coco(tmp_path, []), class_names=names)

    def test_missing_images(self, tmp_path):
        path = write_coco(tmp_path, [])
        (tmp_path / "images" / "2.png").unlink()
        with pytest.raises(FileNotFoundError, match="1 of the 2 images.*2.png"):
            load(path)
        with pytest.raises(FileNotFoundError, match="nowhere does not exist"):
            load(path, tmp_path / "nowhere")


@settings(deadline=None)
@given(arrays.arrays(bool, arrays.array_shapes(min_dims=2, max_dims=2, max_side=20)))
def test_compressed_counts(mask):
    assert rle_counts(rle(mask, True)["counts"]) == rle(mask, False)["counts"]
