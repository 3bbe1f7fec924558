"""Curves."""

import numpy as np

from .figures import finish, new_axes

LOSSES = ("loss", "rpn_class_loss", "rpn_bbox_loss", "mrcnn_class_loss", "mrcnn_bbox_loss", "mrcnn_mask_loss")


def plot_precision_recall(AP, precisions, recalls, save_path=None):
    """Precision over recall.

    Args:
        AP: float, for the title.
        precisions, recalls: [K] as from `compute_ap`.
        save_path: file to write instead of showing; its folders are created.

    Returns:
        the axes.
    """
    figure, axes = new_axes(figsize=(6.4, 4.8))
    ax = axes[0, 0]
    ax.set(title=f"Precision-Recall Curve. AP@50 = {AP:.3f}", xlabel="Recall", ylabel="Precision",
           xlim=(0, 1.1), ylim=(0, 1.1))
    ax.grid(alpha=0.3)
    ax.plot(recalls, precisions)
    finish(figure, save_path, show=True)
    return ax


def plot_training_curves(history, save_path=None):
    """Every loss over the epochs, training and validation in one panel, further metrics after them.

    Args:
        history: Keras History, or dict {name: list of one value an epoch}, with "val_" names for validation.
        save_path: file to write instead of showing; its folders are created.

    Returns:
        the figure.

    Raises:
        ValueError: nothing to draw.
    """
    history = getattr(history, "history", history)
    names = {name.removeprefix("val_") for name in history}
    names = [name for name in LOSSES if name in names] + sorted(names - set(LOSSES))
    if not names:
        raise ValueError("history is empty: expected {name: values of each epoch}, as from model.train()")
    columns = min(3, len(names))
    rows = -(-len(names) // columns)
    figure, axes = new_axes(rows, columns, figsize=(5 * columns, 3.5 * rows))
    for panel in axes.flat[len(names):]:
        panel.axis("off")
    for panel, name in zip(axes.flat, names, strict=False):
        _curves(panel, name, history)
    figure.tight_layout()
    finish(figure, save_path, show=True)
    return figure


def _curves(panel, name, history):
    """One panel: training and validation values of one name."""
    for key, label, color in ((name, "training", "tab:blue"), (f"val_{name}", "validation", "tab:orange")):
        values = history.get(key)
        if values is not None and len(values):
            epochs = np.arange(1, len(values) + 1)
            panel.plot(epochs, values, label=label, color=color, marker="o" if len(values) < 20 else None,
                       markersize=3)
    panel.set(title=name, xlabel="epoch")
    panel.xaxis.get_major_locator().set_params(integer=True)
    panel.grid(alpha=0.3)
    panel.legend()
