"""Pictures of images, detections and training.

matplotlib, OpenCV and IPython are imported at first use; importing this package opens no display.
"""

from .boxes import draw_box, draw_boxes, draw_rois
from .colors import class_color, random_colors
from .comparison import display_comparison, display_differences, show_truth_and_detections
from .drawing import apply_mask, draw_instances
from .instances import display_instances
from .keypoints import draw_keypoints
from .matrices import plot_confusion_matrix, plot_confusion_matrix_from_data, plot_overlaps
from .overview import plot_dataset_overview
from .panels import display_images, display_top_masks
from .plots import plot_precision_recall, plot_training_curves
from .tables import display_table, display_weight_stats

__all__ = [
    "apply_mask",
    "class_color",
    "display_comparison",
    "display_differences",
    "display_images",
    "display_instances",
    "display_table",
    "display_top_masks",
    "display_weight_stats",
    "draw_box",
    "draw_boxes",
    "draw_instances",
    "draw_keypoints",
    "draw_rois",
    "plot_confusion_matrix",
    "plot_confusion_matrix_from_data",
    "plot_dataset_overview",
    "plot_overlaps",
    "plot_precision_recall",
    "plot_training_curves",
    "random_colors",
    "show_truth_and_detections",
]
