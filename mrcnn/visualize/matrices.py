"""Matrices: overlaps of one image, confusion of classes."""

import string

import numpy as np

from .colors import text_color
from .figures import finish, new_axes
from .pixels import class_label, short_label

CELL_INCHES = (0.27, 0.75)  # of many classes, of few
SHARES = {None: "share of the true class", "true": "share of the true class", "pred": "share of the predicted class"}


def plot_overlaps(gt_class_ids, pred_class_ids, pred_scores, overlaps, class_names, threshold=0.5, save_path=None):
    """Matrix of IoU between predictions (rows) and ground truth (columns).

    Args:
        gt_class_ids: [G]; pred_class_ids, pred_scores: [P] in the order of `overlaps`. Zeros are padding.
        overlaps: [P, G] in [0, 1]; cells above `threshold` are marked "match" or "wrong" by their classes.
        class_names: list of names.
        save_path: file to write instead of showing; its folders are created.

    Returns:
        the axes.

    Raises:
        ValueError: `overlaps` has not the size that the class ids say.
    """
    gt_class_ids = [class_id for class_id in np.asarray(gt_class_ids).astype(int) if class_id != 0]
    pred_class_ids = [class_id for class_id in np.asarray(pred_class_ids).astype(int) if class_id != 0]
    rows, columns = len(pred_class_ids), len(gt_class_ids)
    overlaps = np.asarray(overlaps)
    if overlaps.ndim != 2 or overlaps.shape[0] < rows or overlaps.shape[1] < columns:
        raise ValueError(f"overlaps has the shape {overlaps.shape} for {rows} predictions and {columns} objects; "
                         "expected [predictions, objects], as from compute_matches")
    overlaps = overlaps[:rows, :columns]
    marks = np.where(np.equal.outer(pred_class_ids, gt_class_ids), "\nmatch", "\nwrong")
    texts = [[f"{value:.3f}{mark if value > threshold else ''}" for value, mark in zip(*row, strict=True)]
             for row in zip(overlaps, marks, strict=True)]
    figure, ax = _matrix_axes([f"{class_label(class_names, class_id)} ({pred_scores[i]:.2f})"
                               for i, class_id in enumerate(pred_class_ids)],
                              [class_label(class_names, class_id) for class_id in gt_class_ids], cell=0.65)
    _draw_matrix(ax, overlaps, texts, "Blues", fontsize=9)
    ax.set(xlabel="Ground Truth", ylabel="Predictions")
    finish(figure, save_path, show=True)
    return ax


def plot_confusion_matrix(matrix, class_names, normalize=None, title="", cmap="Blues", colorbar=True, save_path=None):
    """Confusion matrix: true classes in rows, predicted ones in columns, background first.

    Args:
        matrix: int [C, C] as from `evaluation.confusion_matrix`.
        class_names: C names, position 0 the background.
        normalize: None writes numbers of objects; "true" per cents of each true class (on the diagonal recall),
            "pred" of each predicted class (on the diagonal precision). Cells are coloured by that share in any
            case. Background is no class: what was found on it is a share of the predicted class, what was missed
            one of the true class.
        title: text above.
        cmap: name of a colour map.
        colorbar: whether to show the scale of the colours.
        save_path: file to write instead of showing; its folders are created.

    Returns:
        the axes.

    Raises:
        ValueError: the matrix is not square or not of the size of `class_names`, or an unknown word.
    """
    matrix = np.asarray(matrix)
    count = len(class_names)
    if matrix.shape != (count, count):
        raise ValueError(f"matrix has the shape {matrix.shape} for {count} class names; expected [C, C], the "
                         "background being one of the C names")
    if normalize not in SHARES:
        raise ValueError(f'normalize is {normalize!r}; expected None, "true" or "pred"')
    shares = _shares(matrix, normalize)
    texts = [[_cell(value, share, normalize) for value, share in zip(*row, strict=True)]
             for row in zip(matrix, shares, strict=True)]
    texts[0][0] = "–"
    cell = float(np.clip(8 / count, *CELL_INCHES))
    names = [short_label(name) for name in class_names]
    figure, ax = _matrix_axes([f"{name}  {total}" for name, total in zip(names, matrix.sum(axis=1), strict=True)],
                              [f"{total}  {name}" for name, total in zip(names, matrix.sum(axis=0), strict=True)],
                              cell, fontsize=min(10, 0.55 * 72 * cell))
    longest = max(len(text) for row in texts for text in row)
    mesh = _draw_matrix(ax, shares, texts, cmap, fontsize=min(10, 0.4 * 72 * cell, 1.4 * 72 * cell / max(longest, 1)))
    ax.set(xlabel="predicted", ylabel="true", title=title)
    if colorbar:
        bar = figure.colorbar(mesh, ax=ax, label=SHARES[normalize], shrink=min(1.0, 6 / (cell * count)), pad=0.02)
        bar.ax.yaxis.set_major_formatter("{x:.0%}")
        bar.outline.set_visible(False)
    finish(figure, save_path, show=True)
    return ax


def plot_confusion_matrix_from_data(y_test, predictions, columns=None, annot=True, cmap="Oranges", fmt=".2f", fz=11,
                                    lw=0.5, cbar=False, figsize=(36, 36), show_null_values=0, pred_val_axis="lin",
                                    save_path=None):
    """Confusion matrix of two lists of class ids, with the per cent of all pairs in each cell.

    Args:
        y_test, predictions: [N] true and predicted class ids, as from `gt_pred_lists`.
        columns: names of the classes: of 0, 1, 2, ... or, where ids are higher than that, of the ids that occur, in
            rising order. None names those that occur "class A", "class B", ...
        annot: whether to write numbers into the cells.
        cmap: name of a colour map; colours are by the share of the true class.
        fmt: format of the per cents.
        fz: points of the numbers.
        lw: points of the lines between the cells.
        cbar: whether to show the scale of the colours.
        figsize: inches.
        show_null_values: 0 leaves cells without a pair empty, 1 writes 0, 2 also 0 %.
        pred_val_axis: "lin" or "y" puts predictions in rows, "col" or "x" in columns.
        save_path: file to write instead of showing; its folders are created.

    Returns:
        tp, fp, fn: three lists with a number for each class: found rightly, found wrongly, missed.

    Raises:
        ValueError: lists of different length, fewer names than classes, or an unknown word.
    """
    if pred_val_axis not in ("lin", "y", "col", "x"):
        raise ValueError(f'pred_val_axis is {pred_val_axis!r}; expected "lin", "y", "col" or "x"')
    matrix, columns = _count_pairs(y_test, predictions, columns)
    right = np.diag(matrix)
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    per_cents = 100 * matrix / max(matrix.sum(), 1)
    empty = ("", "0", f"0\n{0:{fmt}}%")[show_null_values]
    texts = np.array([[f"{value}\n{part:{fmt}}%" if value else empty for value, part in zip(*row, strict=True)]
                      for row in zip(matrix, per_cents, strict=True)], dtype=object).reshape(matrix.shape)
    in_rows = pred_val_axis in ("lin", "y")
    figure, axes = new_axes(figsize=figsize)
    figure.set_layout_engine("constrained")
    ax = axes[0, 0]
    mesh = _draw_matrix(ax, shares.T if in_rows else shares, (texts.T if in_rows else texts) if annot else None, cmap,
                        fz, lw)
    names = [short_label(name) for name in columns]
    _name_cells(ax, names, names, 1.2 * fz)
    labels = ["Actual", "Predicted"]
    ax.set_title("Confusion matrix", fontsize=1.4 * fz)
    ax.set_xlabel(labels[not in_rows], fontsize=1.2 * fz)
    ax.set_ylabel(labels[in_rows], fontsize=1.2 * fz)
    if cbar:
        figure.colorbar(mesh, ax=ax)
    finish(figure, save_path, show=True)
    return tuple(counts.tolist() for counts in (right, matrix.sum(axis=0) - right, matrix.sum(axis=1) - right))


def _count_pairs(truth, found, names):
    """Matrix int [C, C], rows true, and the names of its classes."""
    truth, found = np.asarray(truth).astype(int).reshape(-1), np.asarray(found).astype(int).reshape(-1)
    if len(truth) != len(found):
        raise ValueError(f"y_test has {len(truth)} entries, predictions {len(found)}; expected pairs")
    labels = np.union1d(truth, found)
    if names is None or len(names) == 0:
        letters = string.ascii_uppercase
        names = [f"class {letters[i]}" if i < len(letters) else f"class {i}" for i in range(len(labels))]
    elif len(labels) == 0 or labels[-1] < len(names):
        labels = np.arange(len(names))
    elif len(names) != len(labels):
        raise ValueError(f"columns has {len(names)} names, the lists hold the class ids {labels.tolist()}; expected a "
                         f"name for each of 0 to {labels[-1]}")
    matrix = np.zeros([len(labels), len(labels)], dtype=np.int64)
    np.add.at(matrix, (np.searchsorted(labels, truth), np.searchsorted(labels, found)), 1)
    return matrix, list(names)


def _shares(matrix, normalize):
    """Matrix in shares of the true or of the predicted classes, background always of the other side's class."""
    of_true = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    of_predicted = matrix / np.maximum(matrix.sum(axis=0), 1)
    shares = of_predicted.copy() if normalize == "pred" else of_true.copy()
    shares[0], shares[:, 0] = of_predicted[0], of_true[:, 0]
    return shares


def _cell(value, share, normalize):
    """Text of a cell; nothing for nothing."""
    if not value:
        return ""
    return str(value) if normalize is None else f"{100 * share:.0f}" if share >= 0.005 else "<1"


def _matrix_axes(row_names, column_names, cell, fontsize=10):
    """A new figure with room for a matrix with cells of so many inches and the names beside it; its named axes."""
    letter = 0.65 * fontsize / 72
    width = cell * len(column_names) + letter * max(map(len, row_names), default=0) + 2
    height = cell * len(row_names) + letter * max(map(len, column_names), default=0) + 1
    figure, axes = new_axes(figsize=(max(4.0, width), max(3.0, height)))
    figure.set_layout_engine("constrained")
    _name_cells(axes[0, 0], row_names, column_names, fontsize)
    return figure, axes[0, 0]


def _name_cells(axes, row_names, column_names, fontsize):
    axes.set_yticks(np.arange(len(row_names)) + 0.5, row_names, fontsize=fontsize)
    axes.set_xticks(np.arange(len(column_names)) + 0.5, column_names, fontsize=fontsize, rotation=90)
    axes.tick_params(length=0)


def _draw_matrix(axes, values, texts, cmap, fontsize, linewidth=0.5):
    """Cells coloured by values [R, C] in [0, 1], with their texts [R][C] or None; the first row on top.

    Returns:
        the mesh, for a colour bar.
    """
    rows, columns = values.shape
    mesh = axes.pcolormesh(values, cmap=cmap, vmin=0, vmax=1, edgecolors="#d8d8d8", linewidth=linewidth)
    axes.set(xlim=(0, columns or 1), ylim=(rows or 1, 0), aspect="equal")
    axes.spines[:].set_visible(False)
    for i, j in np.ndindex(rows, columns) if texts is not None else ():
        if texts[i][j]:
            axes.text(j + 0.5, i + 0.5, texts[i][j], ha="center", va="center", fontsize=fontsize,
                      color=text_color(mesh.to_rgba(values[i, j])) if values[i, j] else "gray")
    return mesh
