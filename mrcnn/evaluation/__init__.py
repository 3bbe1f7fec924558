"""How good detections are: Matterport's numbers per image, COCO's per data set, Kaggle's nuclei score."""

from .ap import compute_ap, compute_ap_range, compute_matches, compute_recall
from .callback import MeanAPCallback
from .coco import evaluate, evaluate_detections
from .confusion import confusion_matrix, confusion_of_detections, evaluate_confusion, gt_pred_lists
from .ground_truth import build_ground_truth, results_to_coco
from .kaggle import kaggle_score

__all__ = [
    "MeanAPCallback",
    "build_ground_truth",
    "compute_ap",
    "compute_ap_range",
    "compute_matches",
    "compute_recall",
    "confusion_matrix",
    "confusion_of_detections",
    "evaluate",
    "evaluate_confusion",
    "evaluate_detections",
    "gt_pred_lists",
    "kaggle_score",
    "results_to_coco",
]
