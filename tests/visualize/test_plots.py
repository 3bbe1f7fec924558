"""Panels, curves, matrices and tables."""

import subprocess
import sys
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest

from mrcnn import visualize

from .samples import NAMES, instances, picture


class TestPanels:
    def test_display_images(self, tmp_path):
        images = [picture(), picture(dtype=np.float32), np.random.randn(8, 8), np.ones([8, 8, 1], bool)]
        path = tmp_path / "x" / "i.png"
        figure = visualize.display_images(images, titles=["a", "b"], cols=3, save_path=path)
        assert len(figure.axes) == 6
        assert [axes.get_title() for axes in figure.axes[:3]] == ["a", "b", ""]
        assert path.exists()
        visualize.display_images(np.random.rand(2, 8, 8), cmap="gray", interpolation="none")
        visualize.display_images([])
        assert len(plt.get_fignums()) == 1

    @pytest.mark.parametrize("limit", [1, 4, 9])
    def test_top_masks(self, limit):
        r = instances(5)
        r["class_ids"][:] = [1, 2, 2, 2, 1]
        figure = visualize.display_top_masks(picture(), r["masks"], r["class_ids"], NAMES, limit=limit)
        titles = [axes.get_title() for axes in figure.axes]
        assert titles == (["H x W=80x120", "dog", "cat"] + ["-"] * 8)[:limit + 1]

    def test_top_masks_show_each_instance_in_its_own_shade(self):
        masks = np.zeros([4, 6, 3], bool)
        masks[0, :, 0] = masks[1, :, 1] = masks[2, :3, 2] = True
        figure = visualize.display_top_masks(picture(4, 6), masks, [2, 2, 1], NAMES, limit=2)
        shown = [np.asarray(axes.images[0].get_array()) for axes in figure.axes[1:]]
        assert shown[0][:, 0].tolist() == [1, 2, 0, 0]
        assert np.count_nonzero(shown[1]) == 3

    def test_full_and_empty_masks_do_not_look_alike(self):
        figure = visualize.display_images([np.ones([8, 8], bool), np.zeros([8, 8], bool)])
        full, empty = (axes.images[0] for axes in figure.axes[:2])
        assert full.norm(1.0) == empty.norm(1.0) == 1.0 and empty.norm(0.0) == 0.0

    def test_top_masks_without_objects(self):
        visualize.display_top_masks(picture(), np.zeros([80, 120, 0]), np.zeros([0]), NAMES)


class TestPlots:
    def test_precision_recall(self):
        ax = visualize.plot_precision_recall(0.5, np.array([1, 1, 0]), np.array([0, 0.5, 1]))
        assert "AP@50 = 0.500" in ax.get_title()

    def test_training_curves(self, tmp_path):
        history = {"rpn_bbox_loss": [2, 1], "loss": [3, 2], "val_loss": [4, 3], "val_mAP": [0.1]}
        path = tmp_path / "deep" / "curves.png"
        figure = visualize.plot_training_curves(SimpleNamespace(history=history), save_path=path)
        assert [axes.get_title() for axes in figure.axes] == ["loss", "rpn_bbox_loss", "mAP"]
        assert len(figure.axes[0].lines) == 2
        assert path.exists()
        with pytest.raises(ValueError, match="history is empty"):
            visualize.plot_training_curves({})


class TestTables:
    def test_plain_text(self, capsys):
        visualize.display_table([["NAME", "MAX"], ["a<span style='color:red'>*** dead?</span>", 1.5], ["b"]])
        assert capsys.readouterr().out == "NAME        MAX\na*** dead?  1.5\nb\n"
        visualize.display_table([])

    def test_html_in_a_notebook_only(self, capsys, monkeypatch):
        shown = []
        shells = {"IPython": SimpleNamespace(get_ipython=lambda: SimpleNamespace(kernel=None)),
                  "IPython.display": SimpleNamespace(HTML=str, display=shown.append)}
        for name, module in shells.items():
            monkeypatch.setitem(sys.modules, name, module)
        visualize.display_table([["a", 1], ["<b>c</b>", 2]])
        assert shown == ["<table><tr><td>a</td><td>1</td></tr><tr><td><b>c</b></td><td>2</td></tr></table>"]
        assert capsys.readouterr().out == ""
        monkeypatch.setattr(shells["IPython"], "get_ipython", SimpleNamespace)  # IPython in a terminal
        visualize.display_table([["a", 1]])
        assert capsys.readouterr().out == "a  1\n" and len(shown) == 1

    def test_weight_stats(self, capsys):
        import keras
        layer = keras.layers.Dense(2, kernel_initializer="zeros", name="mrcnn_bbox_fc")
        layer.build([None, 3])
        big = keras.layers.Dense(2, name="big")
        big.build([None, 1])
        big.set_weights([np.array([[1.0, 5000.0]]), np.zeros(2)])
        visualize.display_weight_stats(SimpleNamespace(get_trainable_layers=lambda: [layer, big]))
        lines = capsys.readouterr().out.splitlines()
        assert lines[0].split() == ["WEIGHT", "NAME", "SHAPE", "MIN", "MAX", "STD"]
        assert "mrcnn_bbox_fc/kernel*** dead?" in lines[1] and "dead" not in lines[2]
        assert "Overflow?" in lines[3] and len(lines) == 5


def test_import_needs_no_drawing_library():
    """In a fresh process: nothing that is only needed for drawing or judging comes with the package.

    Keras itself may bring some of them, so only what is new after Keras counts.
    """
    code = """
import sys, keras
before = set(sys.modules)
import mrcnn.visualize, mrcnn.evaluation
optional = {"matplotlib", "matplotlib.pyplot", "IPython", "cv2", "pycocotools", "skimage.measure"}
print(sorted(optional & (set(sys.modules) - before)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
