"""Tables in a notebook, or as text elsewhere."""

import html
import re
import sys

import numpy as np


def display_table(table):
    """Shows rows of values: as HTML in a notebook, as aligned text elsewhere.

    Args:
        table: list of rows, each a list of values; the text of a value may hold HTML.
    """
    if _in_notebook():
        from IPython.display import HTML, display
        rows = ("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in table)
        display(HTML(f"<table>{''.join(rows)}</table>"))
        return
    rows = [[_plain(cell) for cell in row] for row in table]
    widths = [max(len(row[i]) for row in rows if i < len(row)) for i in range(max(map(len, rows), default=0))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip())


def display_weight_stats(model):
    """Table of shape, minimum, maximum and deviation of every trainable layer's weights.

    Weights that are all equal ("dead?") or beyond 1000 ("Overflow?") are marked; a bias may be all equal.

    Args:
        model: MaskRCNN.
    """
    table = [["WEIGHT NAME", "SHAPE", "MIN", "MAX", "STD"]]
    for layer in model.get_trainable_layers():
        for index, (weight, values) in enumerate(zip(layer.weights, layer.get_weights(), strict=True)):
            name = getattr(weight, "path", weight.name)
            name = name if layer.name in name else f"{layer.name}/{name}"
            table.append([name + _alert(values, is_bias=index == 1), str(tuple(values.shape)),
                          f"{values.min():+10.4f}", f"{values.max():+10.4f}", f"{values.std():+10.4f}"])
    display_table(table)


def _in_notebook():
    """Whether a Jupyter kernel runs this; IPython in a terminal has none and cannot show HTML."""
    ipython = sys.modules.get("IPython")
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")


def _alert(values, is_bias):
    """HTML mark of suspicious weights."""
    alert = ""
    if values.min() == values.max() and not is_bias:
        alert += "<span style='color:red'>*** dead?</span>"
    if np.abs(values).max() > 1000:
        alert += "<span style='color:red'>*** Overflow?</span>"
    return alert


def _plain(cell):
    """Text of an HTML cell without its tags."""
    return html.unescape(re.sub(r"<[^>]*>", "", str(cell)))
