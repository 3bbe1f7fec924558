"""Pascal VOC: boxes, segmentation of several tools, lists of images, and what is wrong with a file."""

import numpy as np
import pytest
from PIL import Image

from mrcnn.data.formats import VocDataset

from .files import HEIGHT, WIDTH, block, messages, write_image

BOXES = {"dog": (10, 5, 30, 20), "cat": (10, 25, 30, 35)}
FIRST, SECOND = block(5, 10, 20, 30), block(25, 10, 35, 30)


def xml(objects, filename="a.jpg", size=(HEIGHT, WIDTH)):
    """Text of an XML file; `objects` are (name, (xmin, ymin, xmax, ymax))."""
    entries = "".join(
        f"<object><name>{name}</name><difficult>0</difficult><bndbox><xmin>{x1}</xmin><ymin>{y1}</ymin>"
        f"<xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox></object>" for name, (x1, y1, x2, y2) in objects)
    text = f"<size><width>{size[1]}</width><height>{size[0]}</height><depth>3</depth></size>" if size else ""
    return f"<annotation><filename>{filename}</filename>{text}{entries}</annotation>"


@pytest.fixture
def make(tmp_path):
    """Writes the image of one stem, and its XML file unless that is None."""

    def write(stem, content, folder="Annotations"):
        write_image(tmp_path / "JPEGImages" / f"{stem}.jpg")
        (tmp_path / folder).mkdir(exist_ok=True)
        if content is not None:
            (tmp_path / folder / f"{stem}.xml").write_text(content)
        return tmp_path

    return write


def save_labels(folder, kind, stem, array, palette=True):
    (folder / kind).mkdir(exist_ok=True)
    image = Image.fromarray(np.asarray(array, np.uint8))
    if palette:
        image.putpalette(np.random.RandomState(0).randint(0, 256, 768, np.uint8).tobytes())
    image.save(folder / kind / f"{stem}.png")


def load(folder, *arguments, **options):
    dataset = VocDataset()
    dataset.load_voc(folder, *arguments, **options)
    dataset.prepare()
    return dataset


class TestBoxes:
    def test_boxes_are_filled(self, make):
        dataset = load(make("a", xml(BOXES.items())))
        assert dataset.class_names == ["BG", "cat", "dog"] and dataset.image_info[0]["id"] == "a"
        masks, class_ids = dataset.load_mask(0)
        assert masks.dtype == bool and class_ids.tolist() == [2, 1]
        assert np.array_equal(masks, np.stack([FIRST, SECOND], axis=2))
        assert dataset.load_image(0).shape == (HEIGHT, WIDTH, 3)

    def test_other_folder_names(self, make, tmp_path):
        make("a", xml(BOXES.items()), folder="annots")
        (tmp_path / "JPEGImages").rename(tmp_path / "images")
        dataset = load(tmp_path, annotations_dir="annots", images_dir="images")
        assert dataset.num_images == 1 and dataset.load_image(0).shape == (HEIGHT, WIDTH, 3)

    def test_no_objects_and_no_size(self, make):
        make("a", xml([], size=None))
        masks, class_ids = load(make("b", xml(BOXES.items(), size=(0, 0)))).load_mask(0)
        assert masks.shape == (HEIGHT, WIDTH, 0) and class_ids.shape == (0,)

    def test_boxes_are_cut_off_and_remembered(self, make):
        dataset = load(make("a", xml([("cat", (-5, -6, 20.4, 10)), ("cat", (50, 30, 90, 80))])))
        masks, _ = dataset.load_mask(0)
        assert np.array_equal(masks, np.stack([block(0, 0, 10, 20), block(30, 50, 40, 60)], axis=2))
        assert dataset.annotated_boxes(0).tolist() == [[-6, -5, 10, 20.4], [30, 50, 80, 90]]

    def test_class_names(self, make, caplog):
        dataset = load(make("a", xml(BOXES.items())), class_names=["horse", "dog"])
        assert dataset.class_names == ["BG", "horse", "dog"]
        masks, class_ids = dataset.load_mask(0)
        assert class_ids.tolist() == [2] and np.array_equal(masks[:, :, 0], FIRST)
        assert messages(caplog) == ["Left out the objects of classes that class_names does not have: cat (1)."]

    def test_image_named_in_the_file(self, make, tmp_path):
        folder = make("a", xml(BOXES.items(), filename="other.png"))
        (folder / "JPEGImages" / "a.jpg").unlink()
        write_image(folder / "JPEGImages" / "other.png", value=9)
        assert load(folder).load_image(0)[0, 0, 0] == 9


class TestLists:
    @pytest.fixture
    def folder(self, make, tmp_path):
        for stem in "abc":
            make(stem, xml(BOXES.items()))
        for name, text in (("Main", "a  1\nb -1\n\n"), ("Segmentation", "c\n")):
            (tmp_path / "ImageSets" / name).mkdir(parents=True)
            (tmp_path / "ImageSets" / name / "train.txt").write_text(text)
        return tmp_path

    def ids(self, *arguments, **options):
        return [info["id"] for info in load(*arguments, **options).image_info]

    def test_lists(self, folder):
        assert self.ids(folder) == ["a", "b", "c"]
        assert self.ids(folder, "train") == ["a", "b"]
        save_labels(folder, "SegmentationObject", "c", FIRST)
        assert self.ids(folder, "train") == ["c"]

    def test_ids(self, folder):
        assert self.ids(folder, image_ids=["c", "b"]) == ["c", "b"]

    def test_missing(self, folder):
        with pytest.raises(FileNotFoundError, match="no list trian.txt"):
            load(folder, "trian")
        with pytest.raises(FileNotFoundError, match="first 'x'"):
            load(folder, image_ids=["x"])


class TestSegmentation:
    @pytest.mark.parametrize("palette", [True, False])
    def test_objects(self, make, palette):
        folder = make("a", xml(BOXES.items()))
        ellipse = FIRST & (np.add.outer(np.arange(HEIGHT), np.arange(WIDTH)) > 18)
        save_labels(folder, "SegmentationObject", "a", ellipse * 1 + SECOND * 2 + block(0, 0, 3, 60) * 255, palette)
        masks, class_ids = load(folder).load_mask(0)
        assert class_ids.tolist() == [2, 1] and np.array_equal(masks, np.stack([ellipse, SECOND], axis=2))

    def test_objects_numbered_otherwise(self, make):
        folder = make("a", xml(BOXES.items()))
        save_labels(folder, "SegmentationObject", "a", FIRST * 2 + SECOND * 1)
        masks, class_ids = load(folder).load_mask(0)
        assert class_ids.tolist() == [1, 2] and np.array_equal(masks[:, :, 0], SECOND)

    def test_the_number_decides_between_equal_boxes(self, make):
        ring = FIRST & ~block(8, 13, 17, 27)
        folder = make("a", xml([("dog", BOXES["dog"]), ("cat", BOXES["dog"])]))
        corners = block(5, 10, 6, 11) | block(19, 29, 20, 30)
        save_labels(folder, "SegmentationObject", "a", np.where(corners, 2, (ring & ~corners) * 1))
        assert load(folder).load_mask(0)[1].tolist() == [2, 1]

    def test_an_object_without_a_box(self, make, caplog):
        folder = make("a", xml([("dog", BOXES["dog"])]))
        save_labels(folder, "SegmentationObject", "a", FIRST * 1 + SECOND * 2)
        dataset = load(folder)
        for _ in range(2):
            assert dataset.load_mask(0)[1].tolist() == [1]
        line, = messages(caplog)
        assert 'image 0 (voc "a"' in line and "left out the objects [2] of" in line

    def test_wanted_classes_only(self, make):
        folder = make("a", xml(BOXES.items()))
        save_labels(folder, "SegmentationObject", "a", FIRST * 1 + SECOND * 2)
        masks, class_ids = load(folder, class_names=["cat"]).load_mask(0)
        assert class_ids.tolist() == [1] and np.array_equal(masks[:, :, 0], SECOND)

    def test_without_xml_classes_come_from_the_pixels(self, make):
        folder = make("a", None)
        save_labels(folder, "SegmentationObject", "a", FIRST * 1 + SECOND * 2)
        save_labels(folder, "SegmentationClass", "a", FIRST * 12 + SECOND * 8)
        dataset = load(folder)
        assert dataset.num_classes == 21
        assert [dataset.class_names[i] for i in dataset.load_mask(0)[1]] == ["dog", "cat"]

    def test_names_of_labelme(self, make):
        folder = make("a", None)
        (folder / "class_names.txt").write_text("_background_\nant\nbee\n")
        save_labels(folder, "SegmentationObject", "a", FIRST * 1 + SECOND * 2)
        save_labels(folder, "SegmentationClass", "a", FIRST * 2 + SECOND * 1)
        dataset = load(folder)
        assert dataset.class_names == ["BG", "ant", "bee"] and dataset.load_mask(0)[1].tolist() == [2, 1]

    def test_colours_of_cvat(self, make):
        folder = make("a", None)
        (folder / "labelmap.txt").write_text(
            "# label:color_rgb:parts:actions\nant:250,50,53::\nbackground:0,0,0::\nbee:7,7,7::\n")
        red = np.array([250, 50, 53])
        save_labels(folder, "SegmentationObject", "a", FIRST[..., None] * [9, 0, 0] + SECOND[..., None] * [0, 9, 0] +
                    block(0, 0, 3, 60)[..., None] * [224, 224, 192], palette=False)
        save_labels(folder, "SegmentationClass", "a", SECOND[..., None] * red + FIRST[..., None] * 7, palette=False)
        dataset = load(folder)
        masks, class_ids = dataset.load_mask(0)
        assert [dataset.class_names[i] for i in class_ids] == ["ant", "bee"]
        assert np.array_equal(masks[:, :, 0], SECOND)

    def test_classes_alone_are_cut_out_by_the_boxes(self, make):
        folder = make("a", xml([("dog", (10, 5, 25, 20)), ("dog", (10, 25, 30, 35)), ("cat", (10, 5, 30, 20))]))
        save_labels(folder, "SegmentationClass", "a", (FIRST | SECOND) * 12)
        masks, class_ids = load(folder).load_mask(0)
        assert class_ids.tolist() == [2, 2, 1]
        assert np.array_equal(masks, np.stack([block(5, 10, 20, 25), SECOND, FIRST & False], axis=2))

    def test_labels_of_another_size(self, make):
        folder = make("a", xml(BOXES.items()))
        save_labels(folder, "SegmentationObject", "a", FIRST[:20])
        with pytest.raises(ValueError, match=r'image 0 .voc "a".*\(40, 60\).*SegmentationObject.*\(20, 60\)'):
            load(folder).load_mask(0)


class TestWhatIsWrong:
    @pytest.mark.parametrize("entry, reason", [
        (("", (1, 2, 3, 4)), "it has no <name>"), (("dog", ("x", 2, 3, 4)), "expected numbers"),
        (("dog", (5, 2, 5, 4)), "no area"), (("dog", (1, 9, 3, 4)), "no area"),
        (("dog", (1, 2, "inf", 4)), "finite numbers"), (("dog", ("", "", "", "")), "expected numbers")])
    def test_objects_are_left_out_with_one_line(self, make, caplog, entry, reason):
        dataset = load(make("a", xml([*BOXES.items(), entry])))
        assert dataset.load_mask(0)[1].tolist() == [2, 1]
        line, = messages(caplog)
        assert "a.xml: left out 1 of its annotations: object 2" in line and reason in line

    def test_what_is_cut_off_is_named_in_one_line(self, make, caplog):
        load(make("a", xml([*BOXES.items(), ("dog", (50, 5, WIDTH + 9, 20))])))
        (line,) = messages(caplog)
        assert "1 objects reach out of their image, first object 2 of image 0 (voc \"a\"" in line

    def test_no_box(self, make, caplog):
        load(make("a", "<annotation><object><name>cat</name></object></annotation>"))
        assert "object 0 ('cat'): it has no <bndbox>" in caplog.text

    @pytest.mark.parametrize("content, reason", [
        ("<annotation>", "cannot be read as XML"), ("", "cannot be read as XML"),
        ("<note/>", "outermost tag is <note>"), (xml([], size=(60, 40)), "<size> is (60, 40)")])
    def test_files_are_left_out_with_one_line(self, make, caplog, content, reason):
        make("bad", content)
        assert [info["id"] for info in load(make("good", xml(BOXES.items()))).image_info] == ["good"]
        line, = messages(caplog)
        assert "bad.xml: left out." in line and reason in line

    def test_turned_images(self, make, caplog):
        make("good", xml([]))
        folder = make("turned", xml(BOXES.items(), size=(60, 40)))
        write_image(folder / "JPEGImages" / "turned.jpg", orientation=6)
        load(folder)
        assert "orientation tag: turn the file itself" in caplog.text

    def test_images_are_left_out_with_one_line(self, make, caplog):
        folder = make("gone", xml(BOXES.items(), filename="gone.jpg"))
        make("good", xml([]))
        (folder / "JPEGImages" / "gone.jpg").unlink()
        make("classless", None)
        save_labels(folder, "SegmentationObject", "classless", FIRST)
        assert [info["id"] for info in load(folder).image_info] == ["good"]
        classless, gone = sorted(messages(caplog))
        assert "gone.xml: left out." in classless + gone and "no image 'gone'" in classless + gone
        assert "classless.png: left out. It has neither" in classless + gone

    def test_folders(self, make, tmp_path):
        with pytest.raises(FileNotFoundError, match="images_dir.*JPEGImages"):
            load(tmp_path)
        with pytest.raises(FileNotFoundError, match="no XML file"):
            load(make("a", None))

    def test_labelmap(self, make):
        folder = make("a", xml([]))
        (folder / "labelmap.txt").write_text("cat:1,2::")
        with pytest.raises(ValueError, match="labelmap.txt.*'cat:1,2::'"):
            load(folder)
