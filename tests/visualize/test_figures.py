"""What becomes of the figures that the functions make."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from skimage.io import imread

from mrcnn import visualize

from .samples import NAMES, instances, picture


def figures(r):
    """Every function that makes a figure, as calls that take only `save_path`."""
    image, ids, counts = picture(), r["class_ids"], np.diag([0, 3, 4, 5])
    rois, masks, scores = r["rois"], r["masks"], r["scores"]
    return {
        "display_images": lambda **path: visualize.display_images([image], **path),
        "display_instances": lambda **path: visualize.display_instances(image, rois, masks, ids, NAMES, **path),
        "display_differences": lambda **path: visualize.display_differences(
            image, rois, ids, masks, rois, ids, scores, masks, NAMES, **path),
        "display_comparison": lambda **path: visualize.display_comparison([image], [r], [r], NAMES, **path),
        "draw_rois": lambda **path: visualize.draw_rois(image, rois, rois, np.ones([3, 7, 7]), ids, NAMES, **path),
        "draw_boxes": lambda **path: visualize.draw_boxes(image, rois, **path),
        "display_top_masks": lambda **path: visualize.display_top_masks(image, masks, ids, NAMES, **path),
        "plot_precision_recall": lambda **path: visualize.plot_precision_recall(0.5, [1, 0], [0, 1], **path),
        "plot_overlaps": lambda **path: visualize.plot_overlaps(ids, ids, scores, np.eye(3), NAMES, **path),
        "plot_training_curves": lambda **path: visualize.plot_training_curves({"loss": [2, 1]}, **path),
        "plot_confusion_matrix": lambda **path: visualize.plot_confusion_matrix(counts, NAMES, **path),
        "plot_confusion_matrix_from_data": lambda **path: visualize.plot_confusion_matrix_from_data(
            [1, 2, 0], [1, 1, 2], NAMES, figsize=(4, 4), **path),
    }


@pytest.mark.parametrize("name", figures(instances(3)))
def test_figures_are_saved_stay_current_and_do_not_pile_up(name, tmp_path):
    draw = figures(instances(3))[name]
    path = tmp_path / "new" / "folder" / "figure.png"
    draw(save_path=path)
    assert imread(path)[..., :3].std() > 5
    draw()
    assert len(plt.get_fignums()) == 1
    plt.savefig(tmp_path / "after.png")
    assert imread(tmp_path / "after.png")[..., :3].std() > 5
