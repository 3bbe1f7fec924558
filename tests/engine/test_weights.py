"""Weights by layer name: what is loaded, left out, missing and refused."""

import numpy as np
import pytest
from keras import layers

from mrcnn.engine.weights import load_weights, read_weights, save_weights

from .small_models import Composite, detector, randomise, same, sequence, values

HEADS = ["mrcnn_class_logits", "mrcnn_bbox_fc", "mrcnn_bbox", "mrcnn_mask"]


def _saved(tmp_path, model):
    save_weights(model, tmp_path / "own.h5")
    return tmp_path / "own.h5"


@pytest.mark.jax
def test_round_trip_is_bit_identical_and_changes_the_model(tmp_path):
    source = randomise(detector())
    path = tmp_path / "w.h5"
    save_weights(source, path)
    target = detector(reverse=True)
    report = load_weights(target, path)
    assert same(values(source), values(target))
    assert report.missing == report.unused == report.excluded == ()
    assert len(report.loaded) == len(source.weights) == 26
    assert len(report.layers) == len(report.loaded_layers) == 11
    x = np.ones((2, 8, 8, 3), "float32")
    np.testing.assert_array_equal(source.predict(x, verbose=0), target.predict(x, verbose=0))


def test_layers_that_share_a_name_in_two_composites(tmp_path):
    def make():
        heads = [Composite([layers.Conv2D(3, 1, name="conv")], name=name) for name in ("first", "second")]
        return sequence(*heads)

    source, target = randomise(make()), make()
    save_weights(source, tmp_path / "w.h5")
    assert len(read_weights(tmp_path / "w.h5")) == 4
    assert load_weights(target, tmp_path / "w.h5").missing == ()
    assert same(values(source), values(target))
    report = load_weights(target, tmp_path / "w.h5", exclude="first")
    assert len(report.excluded) == len(report.loaded) == 2


def test_models_inside_models_and_wrappers(tmp_path):
    def make():
        inner = sequence(layers.Conv2D(3, 1, name="inner_conv"))
        inner.name = "backbone"
        return sequence(inner, layers.TimeDistributed(layers.Dense(2), name="timed"))

    source, target = randomise(make()), make()
    save_weights(source, tmp_path / "w.h5")
    assert set(read_weights(tmp_path / "w.h5")) == {
        ("inner_conv", "kernel"), ("inner_conv", "bias"), ("timed", "kernel"), ("timed", "bias")
    }
    assert load_weights(target, tmp_path / "w.h5").missing == ()
    assert [w.tolist() for w in source.get_weights()] == [w.tolist() for w in target.get_weights()]
    assert load_weights(target, tmp_path / "w.h5", exclude=["backbone"]).loaded == ("timed/kernel", "timed/bias")


def test_exclude_leaf_and_composite(tmp_path, capsys):
    path = _saved(tmp_path, randomise(detector()))
    target = detector()
    before = values(target)
    report = load_weights(target, path, exclude=["mrcnn_class_logits", "rpn_model"])
    changed = {key for key, value in values(target).items() if not np.array_equal(value, before[key])}
    assert not any("rpn" in key or "logits" in key for key in changed)
    assert any("mrcnn_bbox_fc" in key for key in changed)
    assert len(report.excluded) == 8 and report.missing == report.unused == ()
    assert "loaded 7 of 11 layers" in capsys.readouterr().out


@pytest.mark.parametrize("kind", [list, tuple, set])
@pytest.mark.parametrize("more", [[], ["rpn_model"], ["conv1"], ["rpn_model", "conv1"]])
def test_usual_lists_of_exclude(tmp_path, kind, more):
    """What other classes and channels call for; everything else takes the file's values."""
    source = randomise(detector(classes=81, channels=4 if "conv1" in more else 3))
    path = _saved(tmp_path, source)
    target = detector()
    before, stored = values(target), values(source)
    load_weights(target, path, exclude=kind(HEADS + more))
    for key, value in values(target).items():
        left_alone = set(key.split("/")) & {*HEADS, *more}
        np.testing.assert_array_equal(value, (before if left_alone else stored)[key])


def test_text_as_exclude_is_one_name_and_no_part_of_others(tmp_path):
    report = load_weights(detector(), _saved(tmp_path, detector()), exclude="conv1")
    assert report.excluded == ("conv1/kernel", "conv1/bias") and "mrcnn_class_conv1" in report.loaded_layers
    report = load_weights(detector(), tmp_path / "own.h5", exclude="mrcnn_class_conv1")
    assert report.excluded == ("mrcnn_class_conv1/kernel", "mrcnn_class_conv1/bias")


def test_exclude_means_the_leaf_where_a_composite_has_its_name(tmp_path):
    head = Composite([layers.Conv2D(4, 1, name="mrcnn_mask_conv1"), layers.Conv2D(2, 1, name="mrcnn_mask")],
                     name="mrcnn_mask")
    model = sequence(head)
    report = load_weights(model, _saved(tmp_path, model), exclude=HEADS)
    assert report.excluded == ("mrcnn_mask/kernel", "mrcnn_mask/bias")


def test_exclude_that_names_nothing_is_told(tmp_path, caplog):
    model = detector()
    load_weights(model, _saved(tmp_path, model), exclude=[*HEADS, "activation"])
    assert "names no layer" not in caplog.text
    load_weights(model, tmp_path / "own.h5", exclude="mrcnn_clas_logits")
    assert "mrcnn_clas_logits" in caplog.text


def test_missing_and_unused_are_told(tmp_path, capsys):
    source = sequence(layers.Conv2D(4, 3, padding="same", use_bias=False, name="conv1"),
                       layers.Conv2D(4, 1, name="fc1000"))
    report = load_weights(detector(), _saved(tmp_path, source))
    assert report.loaded == ("conv1/kernel",)
    assert "conv1/bias" in report.missing and "bn_conv1/gamma" in report.missing
    assert report.unused == ("fc1000/kernel", "fc1000/bias")
    out = capsys.readouterr().out
    assert "loaded 1 of 11 layers" in out and "conv1/bias, bn_conv1, res2a_branch2a" in out and "and 5 more" in out
    assert "fc1000" in out


def test_file_that_shares_no_layer_is_an_error(tmp_path):
    path = _saved(tmp_path, sequence(layers.Conv2D(2, 1, name="other")))
    with pytest.raises(ValueError, match="no layer of this model.*other.*conv1"):
        load_weights(detector(), path)


def test_other_number_of_classes_names_the_exclude_list_and_changes_nothing(tmp_path):
    path = _saved(tmp_path, detector(classes=81))
    model = detector(classes=4)
    before = values(model)
    with pytest.raises(ValueError, match="The file has 81 classes, the model 4") as caught:
        load_weights(model, path)
    assert f"exclude={HEADS}" in str(caught.value) and "pass class_names" in str(caught.value)
    assert same(before, values(model))
    report = load_weights(model, path, exclude=HEADS)
    assert report.missing == ()


def test_other_channels_and_anchors_are_explained_in_one_error(tmp_path):
    path = _saved(tmp_path, detector(channels=4, anchors=5))
    with pytest.raises(ValueError, match="4 input channels, the model 3 .IMAGE_CHANNEL_COUNT") as caught:
        load_weights(detector(), path, exclude="mrcnn_bbox_fc")
    message = str(caught.value)
    assert "The file has 5 anchors per location, the model 3 (RPN_ANCHOR_RATIOS)" in message
    assert "exclude=['mrcnn_bbox_fc', 'conv1', 'rpn_class_raw', 'rpn_bbox_pred', 'mrcnn_class_conv1']" in message
    assert "classes" not in message.split("To load")[0] and "class_names" not in message


def test_not_finite_values_are_told(tmp_path, caplog):
    model = detector()
    model.get_layer("conv1").bias.assign(np.full(4, np.nan, "float32"))
    load_weights(model, _saved(tmp_path, model))
    assert "not finite in conv1" in caplog.text


@pytest.mark.jax
def test_half_precision_weights_are_written_as_float32(tmp_path):
    model = sequence(layers.Dense(2, dtype="bfloat16", name="dense"))
    save_weights(model, tmp_path / "w.h5")
    assert read_weights(tmp_path / "w.h5")[("dense", "kernel")].dtype == np.float32
    assert len(load_weights(model, tmp_path / "w.h5").loaded) == 2
