"""Another list of classes keeps, in every head, what the file knows of classes of the same name."""

import keras
import numpy as np
import pytest
from keras import layers

from mrcnn.engine.class_names import write_class_names
from mrcnn.engine.coco_classes import COCO_CLASS_NAMES
from mrcnn.engine.weights import load_weights, save_weights

from .small_models import randomise, same, values

HEADS = ["mrcnn_class_logits", "mrcnn_bbox_fc", "mrcnn_bbox", "mrcnn_mask"]
WANTED = ["BG", "dog", "unicorn", "person"]


def heads(classes, features=6):
    """Class scores, box deltas and masks over one convolution."""
    image = keras.Input((4, 4, 3))
    x = layers.Conv2D(features, 1, name="conv1")(image)
    pooled = layers.GlobalAveragePooling2D()(x)
    scores = layers.Dense(classes, name="mrcnn_class_logits")(pooled)
    deltas = layers.Dense(4 * classes, name="mrcnn_bbox_fc")(pooled)
    return keras.Model(image, [scores, deltas, layers.Conv2D(classes, 1, name="mrcnn_mask")(x)])


def outputs(model):
    """Scores `[C]`, deltas `[C, 4]` and masks `[C, 16]` of one picture."""
    picture = np.random.default_rng(5).normal(size=(1, 4, 4, 3)).astype("float32")
    scores, deltas, masks = model.predict_on_batch(picture)
    return scores[0], deltas[0].reshape(-1, 4), masks[0].reshape(16, -1).T


@pytest.fixture
def coco(tmp_path):
    """A model of COCO's classes and its file."""
    model = randomise(heads(81))
    path = tmp_path / "coco.h5"
    save_weights(model, path)
    return model, path


def test_kept_classes_give_the_files_outputs_and_new_ones_their_own(coco, capsys):
    source, path = coco
    target = randomise(heads(4), seed=1)
    before = values(target)
    report = load_weights(target, path, class_names=WANTED)
    for there, here in zip(outputs(source), outputs(target), strict=True):
        np.testing.assert_allclose(here[[0, 1, 3]], there[[0, 17, 1]], rtol=1e-6)
    after = values(target)
    for key, unit in (("mrcnn_class_logits", 1), ("mrcnn_bbox_fc", 4), ("mrcnn_mask", 1)):
        for weight in ("kernel", "bias"):
            new = slice(2 * unit, 3 * unit)
            name = f"{key}/{weight}"
            np.testing.assert_array_equal(after[name][..., new], before[name][..., new])
    assert report.classes.kept == ("BG", "dog", "person") and report.classes.new == ("unicorn",)
    assert report.missing == report.unused == () and "mrcnn_mask/kernel" in report.loaded
    told = capsys.readouterr().out
    assert "kept by name: BG, dog, person; new, as they were: unicorn (names in the file: COCO)" in told


def test_other_order_of_the_same_classes(coco):
    source, path = coco
    names = ["BG", *reversed(COCO_CLASS_NAMES[1:])]
    target = heads(81)
    assert load_weights(target, path, class_names=names).classes.new == ()
    for there, here in zip(outputs(source), outputs(target), strict=True):
        np.testing.assert_allclose(here[1:], there[:0:-1], rtol=1e-6)


def test_names_from_the_run_folder_or_the_argument(tmp_path):
    source, target = randomise(heads(3)), heads(4)
    path = tmp_path / "w.h5"
    save_weights(source, path)
    before = values(target)
    with pytest.raises(ValueError, match="names of the 3 classes .*file_class_names"):
        load_weights(target, path, class_names=WANTED)
    assert same(before, values(target))
    write_class_names(tmp_path, ["BG", "unicorn", "dog"])
    assert load_weights(target, path, class_names=WANTED).classes.positions == (0, 2, 1, None)
    np.testing.assert_allclose(outputs(target)[1][:3], outputs(source)[1][[0, 2, 1]], rtol=1e-6)
    report = load_weights(target, path, class_names=WANTED, file_class_names=["BG", "person", "cat"])
    assert report.classes.positions == (0, None, None, 1)
    np.testing.assert_allclose(outputs(target)[0][3], outputs(source)[0][1], rtol=1e-6)


def test_head_left_out_by_exclude_stays_while_the_others_go_by_name(coco):
    source, path = coco
    target = heads(4)
    before = values(target)
    report = load_weights(target, path, exclude="mrcnn_mask", class_names=WANTED)
    np.testing.assert_array_equal(values(target)["mrcnn_mask/kernel"], before["mrcnn_mask/kernel"])
    np.testing.assert_allclose(outputs(target)[0][1], outputs(source)[0][17], rtol=1e-6)
    assert report.excluded == ("mrcnn_mask/kernel", "mrcnn_mask/bias")


def test_class_names_without_effect_are_told(coco, caplog):
    report = load_weights(heads(4), coco[1], exclude=HEADS, class_names=WANTED)
    assert report.classes is None and "class_names is without effect" in caplog.text


def test_file_class_names_alone_are_refused(coco):
    with pytest.raises(ValueError, match="pass the model's too, as class_names"):
        load_weights(heads(81), coco[1], file_class_names=COCO_CLASS_NAMES)


def test_other_differences_are_still_refused_and_change_nothing(coco):
    target = heads(4, features=5)
    before = values(target)
    with pytest.raises(ValueError, match="mrcnn_class_logits/kernel is .6, 81. in the file, .5, 4. here"):
        load_weights(target, coco[1], class_names=WANTED)
    assert same(before, values(target))
