"""`Dataset.validate`: every problem is found, counted and named; a clean dataset has none."""

import logging

import numpy as np
import pytest
from PIL import Image
from skimage.draw import polygon

from mrcnn.data.checks import DataError
from mrcnn.data.dataset import Dataset
from mrcnn.data.formats import LabelmeDataset
from mrcnn.data.validate import Problem
from tests.small import KeypointDataset

from .toy import ToyConfig, ToyDataset

HEIGHT, WIDTH = 48, 60


def breaking(*broken, image=None, mask=None):
    """A dataset of five images in which those of the numbers `broken` load what is given instead."""

    class Broken(ToyDataset):
        def load_image(self, image_id):
            good = super().load_image(image_id)
            return good if image is None or image_id not in broken else image(good)

        def load_mask(self, image_id):
            good = super().load_mask(image_id)
            return good if mask is None or image_id not in broken else mask(*good)

    return Broken()


def rows(dataset, *arguments, **options):
    """{problem: image ids} of the report, checked to be the printed one."""
    report = dataset.validate(*arguments, verbose=0, **options)
    assert all(isinstance(row, Problem) and row.example for row in report.rows)
    return {row.problem: row.image_ids for row in report.rows}


def raising(error):
    def fail(*_):
        raise error

    return fail


class TestReport:
    def test_clean(self, capsys):
        report = ToyDataset().validate(ToyConfig())
        assert report.rows == () and (report.num_checked, report.num_images) == (5, 5)
        assert capsys.readouterr().out.rstrip().endswith("5 of 5 images checked: no problems")

    def test_table(self, capsys):
        dataset = breaking(1, 2, 3, 4, mask=lambda masks, ids: (masks[:, :, :0], ids[:0]))
        dataset.add_class("toy", 3, "ball")
        report = dataset.validate()
        lines = capsys.readouterr().out.split("\n")
        assert report.table() in "\n".join(lines)
        start = next(i for i, line in enumerate(lines) if line.startswith("PROBLEM"))
        assert lines[start - 2] == "5 of 5 images checked: 3 problems"
        table = [[part.strip() for part in line.split("  ") if part.strip()] for line in lines[start : start + 4]]
        assert table == [["PROBLEM", "IMAGES", "FIRST IMAGE IDS"], ["prepare() forgotten", "-"],
                         ["classes never used", "-"], ["no objects", "4", "1, 2, 3, 4"]]
        examples = "\n".join(lines[start + 4 :])
        assert "bar, ball" in examples and 'no objects: image 1 (toy "n1", None) has no objects.' in examples

    def test_many_ids_are_cut_short(self):
        dataset = ToyDataset(counts=(0,) * 9)
        assert "9  0, 1, 2, 3, 4, ..." in dataset.validate(verbose=0).table()

    def test_limit_is_spread_evenly(self):
        dataset = breaking(2, image=raising(ValueError("bad")))
        assert rows(dataset, limit=3) == {"image unreadable": (2,)}
        assert rows(dataset, limit=2) == {}
        assert dataset.validate(limit=3, verbose=0).num_checked == 3
        with pytest.raises(ValueError, match="limit is 0"):
            dataset.validate(limit=0)

    def test_order_does_not_hang_on_threads(self):
        dataset = breaking(0, 1, 3, 4, image=raising(ValueError("bad")))
        assert all(rows(dataset, workers=workers)["image unreadable"] == (0, 1, 3, 4) for workers in (1, 7))


class TestImages:
    @pytest.mark.parametrize("image, problem", [
        (raising(FileNotFoundError("gone")), "file missing"), (raising(KeyError("x")), "image unreadable"),
        (lambda good: good[:, :, :2], "channels differ from IMAGE_CHANNEL_COUNT"),
        (lambda good: None, "load_image() gives no image"), (lambda good: good[:0], "load_image() gives no image")])
    def test_one_bad_image(self, image, problem):
        report = breaking(3, image=image).validate(ToyConfig(), verbose=0)
        row, = report.rows
        assert (row.problem, row.image_ids) == (problem, (3,)) and 'image 3 (toy "n3"' in row.example

    def test_values(self, caplog):
        dataset = breaking(1, 3, image=lambda good: good / 255)
        report = dataset.validate(ToyConfig(), verbose=0)
        row, = report.rows
        assert (row.problem, row.image_ids) == ("values are no grey levels", (1, 3))
        assert "multiply it by 255" in row.example and rows(dataset) == {} and not caplog.records

    def test_files(self, tmp_path):
        dataset = Dataset()
        dataset.add_class("files", 1, "thing")
        (tmp_path / "text.png").write_text("no image")
        for name in ("gone.png", "text.png"):
            dataset.add_image("files", name, str(tmp_path / name))
        dataset.prepare()
        found = rows(dataset)
        assert found["file missing"] == (0,) and found["image unreadable"] == (1,)


class TestMasks:
    @pytest.mark.parametrize("mask, problem", [
        (lambda masks, ids: (masks[:30], ids), "mask size differs from the image"),
        (lambda masks, ids: (masks.transpose(2, 0, 1), ids), "mask size differs from the image"),
        (lambda masks, ids: (masks.astype(str), ids), "masks cannot become bool"),
        (lambda masks, ids: ([masks[:, :, 0], masks[:9, :, 0]], ids), "masks cannot become bool"),
        (lambda masks, ids: (masks, ids[:1]), "masks and class ids differ in number"),
        (lambda masks, ids: (masks, ids + 5), "class ids out of range"),
        (lambda masks, ids: (masks, ids + 0.5), "class ids are no whole numbers"),
        (lambda masks, ids: (masks & (np.arange(3) > 0), ids), "empty masks"),
        (lambda masks, ids: (masks, ids * (np.arange(3) > 0)), "objects of class 0"),
        (lambda masks, ids: (masks[:, :, :0], ids[:0]), "no objects"),
        (lambda masks, ids: masks, "load_mask() gives no pair of masks and class ids"),
        (raising(RuntimeError("odd")), "masks unreadable"), (raising(FileNotFoundError("gone")), "file missing")])
    def test_one_bad_image(self, mask, problem, caplog):
        report = breaking(2, mask=mask).validate(ToyConfig(), verbose=0)
        row, = report.rows
        assert (row.problem, row.image_ids) == (problem, (2,)) and 'image 2 (toy "n2"' in row.example
        assert not caplog.records

    def test_several_problems_of_one_image(self):
        def spoil(masks, ids):
            return masks & (np.arange(3) > 0), ids * (np.arange(3) < 2)

        assert rows(breaking(2, mask=spoil)) == {"empty masks": (2,), "objects of class 0": (2,)}

    def test_polygons_drawn_beyond_the_image(self):
        def draw(masks, ids):
            masks[(*polygon([10, 10, 90], [10, 30, 20]), 0)] = True
            return masks, ids

        report = breaking(4, mask=draw).validate(verbose=0)
        row, = report.rows
        assert (row.problem, row.image_ids) == ("objects outside the image", (4,))
        assert "image 4" in row.example and "shape=mask.shape[:2]" in row.example

    def test_other_index_errors(self):
        assert rows(breaking(1, mask=raising(IndexError("list index out of range")))) == {"masks unreadable": (1,)}

    @pytest.mark.parametrize("box, outside", [((0, 0, HEIGHT, WIDTH), False), ((-0.9, 0, HEIGHT + 1, 5), False),
                                              ((0, -1.1, 5, 5), True), ((0, 0, 5, WIDTH + 2), True),
                                              ((HEIGHT + 2, 0, HEIGHT + 9, 9), True)])
    def test_annotated_boxes_beyond_the_image(self, box, outside):
        class Drawn(ToyDataset):
            def annotated_boxes(self, image_id):
                return np.array([[1, 1, 5, 5], box] if image_id == 3 else np.zeros((0, 4)))

        assert rows(Drawn()) == ({"objects outside the image": (3,)} if outside else {})


class TestOrientation:
    def dataset(self, tmp_path, orientation, **more):
        class Photos(Dataset):
            def load_mask(self, image_id):
                return np.ones((*self.load_image(image_id).shape[:2], 1), bool), np.array([1])

        exif = Image.Exif()
        exif[0x0112] = orientation
        Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(tmp_path / "a.jpg", exif=exif)
        dataset = Photos()
        dataset.add_class("photos", 1, "thing")
        dataset.add_image("photos", "a", tmp_path / "a.jpg", **more)
        dataset.prepare()
        return dataset

    @pytest.mark.parametrize("orientation", [1, 3, 6])
    def test_tag(self, tmp_path, orientation):
        expected = {} if orientation == 1 else {"EXIF rotation not applied": (0,)}
        assert rows(self.dataset(tmp_path, orientation)) == expected

    def test_images_that_are_turned_by_the_dataset(self, tmp_path):
        dataset = self.dataset(tmp_path, 6)
        dataset.load_image = lambda image_id: np.zeros((30, 20, 3), np.uint8)
        assert rows(dataset) == {}

    def test_labelme_turns_them(self, tmp_path):
        self.dataset(tmp_path, 3)
        (tmp_path / "a.json").write_text(
            '{"imagePath": "a.jpg", "shapes": [{"label": "cat", "points": [[2, 2], [9, 2], [9, 9]]}]}')
        dataset = LabelmeDataset()
        dataset.load_labelme(tmp_path)
        dataset.prepare()
        assert rows(dataset) == {}


class TestTheWhole:
    def test_forgotten_prepare(self, caplog):
        dataset = ToyDataset(prepare=False)
        assert rows(dataset) == {"prepare() forgotten": ()}
        assert len(dataset.image_ids) == 0, "the dataset itself is left alone"
        dataset.prepare()
        assert rows(dataset) == {}
        dataset.add_image("toy", "late", None, count=1)
        assert rows(dataset) == {"prepare() forgotten": ()}

    def test_repeated_ids(self, caplog):
        dataset = ToyDataset()
        dataset.add_image("toy", "n3", None, count=1)
        dataset.prepare()
        report = dataset.validate(verbose=0)
        row, = report.rows
        assert (row.problem, row.image_ids) == ("image ids added twice", (3, 5)) and '"n3" was added 2' in row.example

    def test_classes(self):
        dataset = breaking(0, mask=lambda masks, ids: (masks, ids * 0))
        dataset.add_class("toy", 3, "ball")
        dataset.prepare()
        report = dataset.validate(verbose=0)
        examples = {row.problem: row.example for row in report.rows}
        assert "object of ball." in examples["classes never used"]

    def test_classes_of_masks_that_cannot_be_read_are_not_judged(self):
        assert rows(breaking(0, 1, 2, 3, 4, mask=raising(KeyError("x")))) == {"masks unreadable": (0, 1, 2, 3, 4)}

    def test_crowds_use_their_class(self):
        assert rows(breaking(0, 1, 2, 3, 4, mask=lambda masks, ids: (masks, -ids))) == {}

    def test_config(self):
        config = ToyConfig()
        config.NUM_CLASSES = 2
        found = rows(ToyDataset(), config)
        assert found["more classes than NUM_CLASSES"] == (0, 1, 2, 3, 4)
        assert found["class ids out of range"] == (1, 2, 4)

    def test_source_without_classes(self):
        dataset = ToyDataset()
        dataset.add_image("toys", "x", None, count=1)
        dataset.prepare()
        assert rows(dataset) == {"source without classes": (5,)}

    def test_nothing(self):
        dataset = Dataset()
        dataset.prepare()
        assert rows(dataset) == {"no images": ()}

    def test_default_load_mask(self, caplog):
        dataset = Dataset()
        dataset.add_class("toy", 1, "box")
        dataset.load_image = lambda image_id: np.zeros((5, 5, 3))
        dataset.add_image("toy", 1, None)
        dataset.prepare()
        with caplog.at_level(logging.WARNING):
            assert rows(dataset) == {"classes never used": (), "no objects": (0,)}


def test_data_errors_travel_between_processes():
    import pickle

    error = pickle.loads(pickle.dumps(DataError("text", "kind")))
    assert str(error) == "text" and error.problem == "kind"


@pytest.mark.parametrize(
    ("keypoints", "problem"),
    [
        (lambda good: good, None),
        (lambda good: good[:, :2], "keypoints do not fit the masks or NUM_KEYPOINTS"),
        (lambda good: good + 3, "keypoints with values that cannot be"),
        (lambda good: good["nose"], "keypoints unreadable"),
    ],
)
def test_keypoints(keypoints, problem):
    class Broken(KeypointDataset):
        def load_keypoints(self, image_id):
            good = super().load_keypoints(image_id)
            return keypoints(good) if image_id == 1 else good

    assert rows(Broken(4)) == ({problem: (1,)} if problem else {})
