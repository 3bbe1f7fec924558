"""`python -m mrcnn.convert`: foreign weight files to ours and back, with a table."""

import os
import re
import subprocess
import sys

import h5py
import numpy as np
import pytest
from keras import layers

from mrcnn.convert import convert, main
from mrcnn.engine.torch_files import encode_state, kind_of, read_state
from mrcnn.engine.weights import read_weights, save_weights
from tests.engine.small_models import Composite, sequence
from tests.engine.torch_states import detectron2_state, torchvision_state


def _write(path, state):
    path.write_bytes(encode_state(state, path.suffix, wrapped=False))
    return path


def _read(path):
    return read_state(path, kind_of(path))


def _same(a, b):
    return a.keys() == b.keys() and all(a[k].dtype == b[k].dtype and np.array_equal(a[k], b[k]) for k in a)


@pytest.mark.parametrize(
    ("state", "source", "back"),
    [
        (torchvision_state(), "a.safetensors", "b.safetensors"),
        (torchvision_state(task="keypoint"), "a.pth", "b.pth"),
        (detectron2_state(), "a.pkl", "b.pkl"),
    ],
)
def test_there_and_back_is_exact(tmp_path, state, source, back):
    if source.endswith(".pth"):
        pytest.importorskip("torch", reason="torch is not installed")
    convert(_write(tmp_path / source, state), tmp_path / "ours.h5")
    convert(tmp_path / "ours.h5", tmp_path / back)
    assert _same(_read(tmp_path / back), state)


def test_one_programs_weights_for_the_other(tmp_path):
    convert(_write(tmp_path / "a.pkl", detectron2_state()), tmp_path / "ours.h5")
    convert(tmp_path / "ours.h5", tmp_path / "b.safetensors", to="torchvision")
    convert(tmp_path / "b.safetensors", tmp_path / "again.h5")
    convert(tmp_path / "again.h5", tmp_path / "c.safetensors", to="detectron2")
    assert _same(_read(tmp_path / "c.safetensors"), detectron2_state())


def test_layout_is_that_of_saved_models(tmp_path):
    rpn = [layers.Conv2D(4, 3, name="rpn_conv_shared"), layers.Conv2D(3, 1, name="rpn_class_raw")]
    stem = layers.Conv2D(64, 7, use_bias=False, name="conv1"), layers.BatchNormalization(name="bn_conv1")
    model = sequence(*stem, Composite(rpn, name="rpn_model"), shape=(16, 16, 3))
    save_weights(model, tmp_path / "saved.h5")
    convert(_write(tmp_path / "a.safetensors", torchvision_state()), tmp_path / "ours.h5")

    def names(file, group):
        return [name.decode() for name in file[group].attrs["weight_names"]]

    with h5py.File(tmp_path / "saved.h5") as saved, h5py.File(tmp_path / "ours.h5") as ours:
        assert names(ours, "conv1") == names(saved, "conv1") and names(ours, "bn_conv1") == names(saved, "bn_conv1")
        assert names(ours, "rpn_model")[:4] == names(saved, "rpn_model")
        assert "mrcnn_class_conv1" in ours and "rpn_conv_shared" not in ours
    assert len(read_weights(tmp_path / "ours.h5")) == len(torchvision_state())


def test_table_says_what_went_where(tmp_path, capsys):
    state = {**detectron2_state(), "sem_seg_head.p2.weight": np.zeros(3, "float32")}
    main([str(_write(tmp_path / "a.pkl", state)), str(tmp_path / "ours.h5")])
    text = " ".join(capsys.readouterr().out.split())
    assert "stem.conv1.weight 64x3x7x7 -> conv1/kernel 7x7x3x64 BGR to RGB, OIHW to HWIO" in text
    assert "anchor_deltas.bias 12 -> rpn_bbox_pred/bias 12 dx dy dw dh to dy dx dh dw" in text
    assert "left out, of no layer known here: sem_seg_head.p2.weight" in text
    assert 'fits the configuration "detectron2_maskrcnn_r50_fpn" with NUM_CLASSES = 5' in text
    main([str(tmp_path / "ours.h5"), str(tmp_path / "b.pkl")])
    text = " ".join(capsys.readouterr().out.split())
    assert "mrcnn_mask/bias 5 -> roi_heads.mask_head.predictor.bias 4" in text
    assert "with the names of detectron2. They must have been trained with its settings: " in text
    assert "STRIDE_IN_1X1 = True, MODEL.PIXEL_STD = [1, 1, 1]" in text


@pytest.mark.parametrize(
    ("source", "target", "reason"),
    [
        ("nowhere.pth", "a.h5", "There is no weight file .*nowhere.pth"),
        ("ours.h5", "a.h5", "ours.h5 holds weights in our layout, so the other file must end with .pth or .pkl or"),
        ("theirs.pkl", "a.pth", "theirs.pkl holds weights of torchvision or Detectron2, .* must end with .h5"),
        ("matterport.h5", "a.pkl", "no detector of detectron2 has, conv1/bias"),
        ("ours.h5", "absent/a.pkl", "Could not write .*absent/a.pkl"),
    ],
)
def test_what_is_wrong_is_one_line_and_nothing_is_written(tmp_path, capsys, source, target, reason):
    convert(_write(tmp_path / "theirs.pkl", detectron2_state()), tmp_path / "ours.h5")
    save_weights(sequence(layers.Conv2D(4, 1, name="conv1")), tmp_path / "matterport.h5")
    with pytest.raises(SystemExit) as stopped:
        main([str(tmp_path / source), str(tmp_path / target)])
    assert stopped.value.code == 1 and not (tmp_path / target).exists()
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and re.search(reason, error)


def test_names_of_another_program_are_not_for_ours(tmp_path):
    source = _write(tmp_path / "a.pkl", detectron2_state())
    with pytest.raises(ValueError, match=r"b\.h5 gets our names: --to torchvision is for weights in our layout"):
        convert(source, tmp_path / "b.h5", to="torchvision")
    assert not (tmp_path / "b.h5").exists()


def test_command_needs_no_tensorflow(tmp_path):
    _write(tmp_path / "a.safetensors", torchvision_state())
    script = "import sys; from mrcnn.convert import main; main(); print('tensorflow' in sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "a.safetensors"), str(tmp_path / "b.h5")],
        env={**os.environ, "KERAS_BACKEND": "jax", "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True, text=True, check=True,
    )
    assert run.stdout.strip().endswith("False") and (tmp_path / "b.h5").exists()
