"""Matrices of overlaps and of confusion."""

import numpy as np
import pytest

from mrcnn.visualize import plot_confusion_matrix, plot_confusion_matrix_from_data, plot_overlaps

from .samples import NAMES

COUNTS = np.array([[0, 2, 0, 1], [1, 8, 1, 0], [3, 0, 0, 0], [0, 0, 0, 999]])


def cells(ax):
    """{(row, column): text} of the cells that have one."""
    return {(int(text.get_position()[1]), int(text.get_position()[0])): text.get_text() for text in ax.texts}


def shares(ax):
    values = ax.collections[0].get_array()
    return np.asarray(values).reshape(len(ax.get_yticks()), -1)


def labels(ax):
    return [text.get_text() for text in ax.get_yticklabels()], [text.get_text() for text in ax.get_xticklabels()]


class TestOverlaps:
    def test_marks(self):
        ax = plot_overlaps(np.array([1, 2, 0]), np.array([1, 1, 2, 0]), np.array([0.9, 0.8, 0.7, 0]),
                           np.array([[0.9, 0.0], [0.1, 0.7], [0, 0.2]]), NAMES)
        assert cells(ax) == {(0, 0): "0.900\nmatch", (0, 1): "0.000", (1, 0): "0.100", (1, 1): "0.700\nwrong",
                             (2, 0): "0.000", (2, 1): "0.200"}
        assert labels(ax) == (["cat (0.90)", "cat (0.80)", "dog (0.70)"], ["cat", "dog"])
        assert ax.get_xlabel() == "Ground Truth" and ax.get_ylabel() == "Predictions"
        assert ax.get_ylim()[0] > ax.get_ylim()[1], "the first prediction on top"

    @pytest.mark.parametrize(("predictions", "objects"), [(0, 0), (2, 0), (0, 2)])
    def test_empty_sides(self, predictions, objects):
        plot_overlaps([1] * objects, [1] * predictions, [0.5] * predictions, np.zeros([predictions, objects]), NAMES)

    def test_size_is_checked(self):
        with pytest.raises(ValueError, match=r"shape \(1, 2\) for 2 predictions and 1 objects"):
            plot_overlaps([1], [1, 2], [0.9, 0.8], np.zeros([1, 2]), NAMES)


class TestConfusionMatrix:
    def test_counts(self):
        ax = plot_confusion_matrix(COUNTS, NAMES, title="Test")
        assert cells(ax) == {(0, 0): "–", (0, 1): "2", (0, 3): "1", (1, 0): "1", (1, 1): "8", (1, 2): "1", (2, 0): "3",
                             (3, 3): "999"}
        assert labels(ax) == (["BG  3", "cat  10", "dog  3", "umbrella  999"],
                              ["4  BG", "10  cat", "1  dog", "1000  umbrella"])
        assert ax.get_title() == "Test"

    def test_shares_of_the_true_class(self):
        ax = plot_confusion_matrix(COUNTS, NAMES, normalize="true")
        np.testing.assert_allclose(shares(ax), [
            [0, 0.2, 0, 0.001], [0.1, 0.8, 0.1, 0], [1, 0, 0, 0], [0, 0, 0, 1]])
        assert cells(ax)[1, 1] == "80" and cells(ax)[0, 3] == "<1"
        np.testing.assert_allclose(shares(plot_confusion_matrix(COUNTS, NAMES)), shares(ax))

    def test_shares_of_the_predicted_class(self):
        ax = plot_confusion_matrix(COUNTS, NAMES, normalize="pred")
        np.testing.assert_allclose(shares(ax), [
            [0, 0.2, 0, 0.001], [0.1, 0.8, 1, 0], [1, 0, 0, 0], [0, 0, 0, 0.999]])

    @pytest.mark.parametrize("count", [2, 81])
    def test_any_number_of_classes_with_long_names(self, count):
        ax = plot_confusion_matrix(np.eye(count, dtype=int), ["BG"] + ["x" * 100] * (count - 1))
        assert max(len(label) for label in labels(ax)[0]) < 40
        ax.figure.canvas.draw()
        panel = ax.get_window_extent()
        assert min(panel.width, panel.height) > 0.4 * ax.figure.bbox.height

    def test_errors(self):
        with pytest.raises(ValueError, match=r"shape \(4, 4\) for 3 class names"):
            plot_confusion_matrix(COUNTS, NAMES[1:])
        with pytest.raises(ValueError, match="normalize is 'all'"):
            plot_confusion_matrix(COUNTS, NAMES, normalize="all")


class TestFromData:
    TRUTH, FOUND = [1, 1, 1, 2, 0, 3.0], [1, 1, 2, 0, 1, 3.0]

    def test_counts_by_class(self):
        tp, fp, fn = plot_confusion_matrix_from_data(np.array(self.TRUTH), self.FOUND, NAMES, figsize=(4, 4))
        assert (tp, fp, fn) == ([0, 2, 0, 1], [1, 1, 1, 0], [1, 1, 1, 0])

    @pytest.mark.parametrize(("axis", "cell"), [("lin", (2, 1)), ("y", (2, 1)), ("col", (1, 2)), ("x", (1, 2))])
    def test_sides(self, axis, cell, figures):
        plot_confusion_matrix_from_data(self.TRUTH, self.FOUND, NAMES, figsize=(4, 4), pred_val_axis=axis)
        ax = figures().axes[0]
        assert cells(ax)[cell] == "1\n16.67%" and cells(ax)[1, 1] == "2\n33.33%"
        assert (ax.get_ylabel() == "Predicted") == (cell == (2, 1))

    def test_texts(self, figures):
        plot_confusion_matrix_from_data([1, 0], [1, 0], fmt=".0f", show_null_values=2, cbar=True, figsize=(4, 4))
        assert cells(figures().axes[0]) == {(0, 0): "1\n50%", (0, 1): "0\n0%", (1, 0): "0\n0%", (1, 1): "1\n50%"}
        assert labels(figures().axes[0])[0] == ["class A", "class B"]
        plot_confusion_matrix_from_data([1, 0], [1, 0], annot=False, figsize=(4, 4))
        assert cells(figures().axes[0]) == {}

    def test_names_of_the_ids_that_occur(self):
        assert plot_confusion_matrix_from_data([0, 7], [7, 7], ["BG", "seven"], figsize=(4, 4))[0] == [0, 1]
        with pytest.raises(ValueError, match=r"columns has 2 names, .* \[0, 5, 7\]"):
            plot_confusion_matrix_from_data([0, 7], [7, 5], ["BG", "seven"])

    def test_nothing(self):
        assert plot_confusion_matrix_from_data([], [], NAMES, figsize=(4, 4)) == ([0] * 4, [0] * 4, [0] * 4)

    def test_errors(self):
        with pytest.raises(ValueError, match="2 entries, predictions 1"):
            plot_confusion_matrix_from_data([1, 2], [1])
        with pytest.raises(ValueError, match="pred_val_axis is 'z'"):
            plot_confusion_matrix_from_data([1], [1], pred_val_axis="z")


@pytest.fixture
def figures():
    import matplotlib.pyplot as plt
    return plt.gcf
