"""Mean average precision at the end of an epoch."""

import logging

import keras

from .coco import evaluate

logger = logging.getLogger(__name__)


class MeanAPCallback(keras.callbacks.Callback):
    """Runs COCO's evaluation during training and adds `val_mAP` and `val_mAP50` to the logs: AP of masks, or of boxes
    where the detector makes no masks.

    Callbacks that come later in the list (EarlyStopping, ModelCheckpoint, TensorBoard, History) see both
    values. Epochs that are skipped leave both out of the logs, and so do those in which the evaluation fails: a
    warning says why, and training goes on.

    Args:
        model: a detector, in training or inference mode; in training mode its weights are read through
            `inference_twin()`.
        dataset: prepared validation Dataset.
        limit: number of images to evaluate, the first ones; None means all.
        every: evaluate after every so many epochs.
        verbose: 1 shows progress and COCO's table.
    """

    def __init__(self, model, dataset, limit=None, every=1, verbose=0):
        super().__init__()
        if every < 1:
            raise ValueError(f"every is {every}; expected a number of epochs, 1 or more")
        self.detector = model
        self.dataset = dataset
        self.limit = limit
        self.every = every
        self.verbose = verbose

    def on_epoch_end(self, epoch, logs=None):
        """Adds the two values in place: Keras hands the same dictionary to all callbacks."""
        if (epoch + 1) % self.every:
            return
        try:
            values = evaluate(self.detector, self.dataset, limit=self.limit, verbose=self.verbose)
        except Exception as error:  # A measurement must not cost the training it measures.
            logger.warning("val_mAP is left out of epoch %d. %s: %s", epoch + 1, type(error).__name__, error)
            return
        if logs is not None:
            kind = "mask" if "mask_ap" in values else "box"
            logs["val_mAP"] = values[f"{kind}_ap"]
            logs["val_mAP50"] = values[f"{kind}_ap50"]
