"""What every architecture shares: building, weights, training and detection."""

import logging

import keras
import numpy as np

from ..config import require_config
from ..data.generator import DataGenerator
from ..data.report import log
from ..ops.backend import tries_out_batches
from . import run_folder, weights
from .callbacks import training_callbacks
from .checkpoints import check_writable
from .class_names import write_class_names
from .data_parallel import BatchSharing, share_batches
from .downloads import imagenet_weights_path
from .export import Export
from .host_memory import keep_freed_memory
from .inference import batches_of_one_shape, mold_inputs
from .inspection import Inspection
from .training import LAYER_CHOICES, compile_model, leaf_layers_with_weights, rate_text, set_trainable
from .training_state import restore_training_state, saved_data_seed

logger = logging.getLogger(__name__)


class Detector(Inspection, Export):
    """A detector of objects, for training or for inference.

    A subclass names the functions that make its graph, `build_parts(config)`, `training_graph(parts, config)` and
    `inference_graph(parts, config)`, and the one that reads an image's row of the outputs, `read_result(outputs, row,
    original_shape, image_shape, window, config)`: a dict of arrays. `learns_keypoints` says whether the training graph
    takes the objects' keypoints as well.

    Args:
        mode: `"training"` or `"inference"`.
        config: an instance of a subclass of `Config`.
        model_dir: folder for training logs and checkpoints; made when the first run starts.

    Attributes:
        keras_model: the Keras model of this mode.
        epoch: number of finished epochs.
        log_dir: folder of this run.

    Raises:
        ValueError: unknown mode, or a configuration that cannot work.
    """

    learns_keypoints = False

    def __init__(self, mode, config, model_dir):
        if mode not in ("training", "inference"):
            raise ValueError(f'mode is {mode!r}; expected "training" or "inference".')
        require_config(config)
        config.validate(mode)
        keep_freed_memory()
        self.mode = mode
        self.config = config
        self.model_dir = str(model_dir)
        self._sharing = share_batches(config) if mode == "training" else BatchSharing()
        graph = self.training_graph if mode == "training" else self.inference_graph
        with self._sharing.model_scope():
            self.parts = self.build_parts(config)
            self.keras_model = graph(self.parts, config)
        self._twin = None
        self._resume_from = None
        self.set_log_dir()

    # === Weights ===

    def load_weights(self, filepath, by_name=False, exclude=None, class_names=None, file_class_names=None):
        """Loads weights by layer name: our own checkpoints, files of Matterport, torchvision, Detectron2 and others.

        Args:
            filepath: path of the file. Where it is a checkpoint of a run, training goes on from its epoch, unless
                `class_names` changes the classes.
            by_name: accepted for Matterport's sake; weights are always matched by name.
            exclude: names of layers to leave as they are.
            class_names: this model's classes in order, `["BG", ...]` (`dataset.class_names`). The heads keep, by
                name, the classes that the file knows; all others stay as they are.
            file_class_names: the file's classes in order, where neither `class_names.json` beside it tells them nor
                it has COCO's 81 or 91.

        Returns:
            A report of what was loaded, skipped and missing.

        Raises:
            FileNotFoundError, ImportError, ValueError: no such file, one that needs PyTorch, or one that does not fit.
        """
        report = weights.load_weights(self.keras_model, filepath, exclude, class_names, file_class_names, self.config)
        goes_on = report.classes is None or report.classes.changes_nothing
        self.set_log_dir(filepath if goes_on else None)
        self._resume_from = str(filepath) if self.epoch else None
        return report

    def save_weights(self, filepath):
        """Writes the weights in the layout of Matterport's files, atomically."""
        weights.save_weights(self.keras_model, filepath)

    def get_imagenet_weights(self):
        """Path of ResNet-50's ImageNet weights, for `load_weights`; downloaded into Keras' cache once.

        Raises:
            ConnectionError: the file is not there and cannot be fetched; says where to put it.
        """
        return imagenet_weights_path()

    def find_last(self):
        """Path of the newest checkpoint of the newest run of this configuration's `NAME`.

        Raises:
            FileNotFoundError: there is none yet.
        """
        return run_folder.find_last(self.model_dir, self.config.NAME)

    def set_log_dir(self, model_path=None):
        """Names this run's folder, or goes on in the folder that `model_path` lies in."""
        run = run_folder.locate(self.model_dir, self.config.NAME, model_path)
        self.log_dir, self.checkpoint_path, self.epoch = run.folder, run.checkpoint_template, run.epoch

    # === Training ===

    def set_trainable(self, layer_regex, keras_model=None, indent=0, verbose=1):
        """Lets the layers that match `layer_regex` learn, freezes the others and prints the names."""
        layers = set_trainable(keras_model or self.keras_model, layer_regex)
        if verbose:
            print("Selecting layers to train")
            for layer in layers:
                print(f"{' ' * indent}{layer.name:20}   ({type(layer).__name__})")
        return [layer.name for layer in layers]

    def compile(self, learning_rate, momentum=None):
        """Prepares `keras_model` for training; `momentum` replaces the configuration's where given."""
        with self._sharing.model_scope():
            compile_model(self.keras_model, self.config, learning_rate, momentum)

    def train(
        self,
        train_dataset,
        val_dataset,
        learning_rate,
        epochs,
        layers,
        augmentation=None,
        custom_callbacks=None,
        no_augmentation_sources=None,
        verbose=1,
        n_worker_threads=None,
        class_weights=None,
    ):
        """Trains, writing a checkpoint, curves and losses each epoch.

        Args:
            train_dataset, val_dataset: prepared `Dataset`s; `val_dataset` may be None.
            learning_rate: a number or a Keras schedule.
            epochs: total number of epochs, counting those that earlier calls or a loaded checkpoint finished.
            layers: `"heads"`, `"3+"`, `"4+"`, `"5+"`, `"all"`, or a regular expression on layer names.
            augmentation: an imgaug augmenter or a callable `(image, masks) -> (image, masks)`.
            custom_callbacks: more Keras callbacks.
            no_augmentation_sources: sources whose images are not augmented.
            verbose: 0 silent, 1 progress bar, 2 one line an epoch.
            n_worker_threads: threads that load training images, instead of the configuration's WORKERS.
            class_weights: not used, as in the forks that have it; a warning says so.

        Returns:
            Keras' `History`.

        Raises:
            ValueError: wrong mode, empty data set, or a configuration that cannot work.
            CheckpointError: checkpoints cannot be written.
            NonFiniteLossError: a loss became infinite or not a number.
        """
        if self.mode != "training":
            raise ValueError('This model was made for inference. Make one with mode="training" to train.')
        if epochs != int(epochs):
            raise ValueError(f"epochs={epochs} is no whole number.")
        self.config.validate("training")
        self._sharing.check(self.config.BATCH_SIZE)
        # A subclass's own `set_trainable` may return nothing, as Matterport's did.
        names = self.set_trainable(LAYER_CHOICES.get(layers, layers), verbose=0) or []
        train_data = DataGenerator(
            train_dataset,
            self.config,
            augmentation=augmentation,
            no_augmentation_sources=no_augmentation_sources,
            steps=self.config.STEPS_PER_EPOCH,
            random_rois=0 if self.config.USE_RPN_ROIS else self.config.POST_NMS_ROIS_TRAINING,
            seed=self._resume_from and saved_data_seed(self._resume_from),
            tried_out=tries_out_batches(),
            with_keypoints=self.learns_keypoints,
        )
        if n_worker_threads is not None:
            train_data.workers = n_worker_threads
        if class_weights is not None:
            logger.warning("class_weights is not used: every class weighs the same in mrcnn_class_loss.")
        val_data = self._validation_data(val_dataset)
        print(f"\nStarting at epoch {self.epoch}. LR={rate_text(learning_rate)}\n")
        print(f"Checkpoint Path: {self.checkpoint_path}")
        print(f"Training {len(names)} layers ({layers}), epochs {self.epoch + 1} to {epochs}")
        if epochs <= self.epoch:
            print(
                f"Nothing to do: epochs={epochs} counts all epochs since the start and {self.epoch} are finished. "
                f"Pass epochs={self.epoch + epochs} to train {epochs} more."
            )
        self.compile(learning_rate, self.config.LEARNING_MOMENTUM)
        if self._resume_from:
            with self._sharing.fit_scope():
                restore_training_state(self.keras_model, self._resume_from)
            self._resume_from = None
        check_writable(self.checkpoint_path)
        write_class_names(self.log_dir, train_dataset.class_names)
        with self._sharing.fit_scope():
            return self.keras_model.fit(
                train_data,
                initial_epoch=self.epoch,
                epochs=epochs,
                validation_data=val_data,
                # The generator has its own order, by which a batch's image ids are found again.
                shuffle=False,
                callbacks=training_callbacks(self, train_data, val_data, learning_rate, custom_callbacks or ()),
                verbose=verbose,
            )

    def _validation_data(self, dataset):
        if dataset is None:
            return None
        steps = self.config.VALIDATION_STEPS
        return DataGenerator(
            dataset,
            self.config,
            shuffle=False,
            steps=None if steps is None else max(1, steps),
            random_rois=0 if self.config.USE_RPN_ROIS else self.config.POST_NMS_ROIS_TRAINING,
            tried_out=tries_out_batches(),
            with_keypoints=self.learns_keypoints,
        )

    def inference_twin(self):
        """A detector in inference mode on this detector's live weights.

        Returns:
            itself in inference mode, else one that shares every weight; made once.

        Raises:
            ValueError: the configuration is for training only, as IMAGE_RESIZE_MODE = "crop" is.
        """
        if self.mode == "inference":
            return self
        if self._twin is None:
            self.config.validate("inference")
            twin = object.__new__(type(self))
            twin.__dict__.update(self.__dict__, mode="inference", _twin=None)
            twin.keras_model = self.inference_graph(self.parts, self.config)
            self._twin = twin
        if hasattr(self.keras_model, "jax_state_sync"):
            self.keras_model.jax_state_sync()
        return self._twin

    # === Detection ===

    def detect(self, images, verbose=0):
        """Finds the objects in images of any size and number.

        Args:
            images: a list of `[h, w]`, `[h, w, 1]`, `[h, w, 3]` or `[h, w, 4]` arrays, or one `[n, h, w, channels]`
                array.
            verbose: 1 prints what is processed.

        Returns:
            a dict an image: `rois [N, 4]` int32 pixels (y1, x1, y2, x2) (float32 if MASK_PASTE is not "box"),
            `class_ids [N]` int32, `scores [N]` float32, `masks [h, w, N]` bool, best score first; other architectures
            than Mask R-CNN tell in their docstrings what they find.

        Raises:
            ValueError: wrong mode, something that is not an image, or, where IMAGE_RESIZE_MODE is "none", sides that
                are no multiples of 32.
        """
        if self.mode != "inference":
            raise ValueError('This model was made for training. Make one with mode="inference" to detect.')
        if isinstance(images, np.ndarray) and images.ndim < 4:
            raise ValueError(f"images is one array of shape {images.shape}: pass a list of images, detect([image]).")
        molded, metas, windows = mold_inputs(images, self.config)
        if verbose:
            print(f"Processing {len(images)} images")
            for image in images:
                log("image", np.asarray(image))
        results = [None] * len(images)
        for batch in batches_of_one_shape(molded, self.config.BATCH_SIZE):
            inputs = np.stack([molded[i] for i in batch]), np.stack([metas[i] for i in batch])
            if verbose:
                log("molded_images", inputs[0])
                log("image_metas", inputs[1])
            outputs = self._predict(*inputs)
            self._last_shape = inputs[0].shape[1:]
            for row, i in enumerate(dict.fromkeys(batch)):
                shapes = np.shape(images[i]), molded[i].shape
                results[i] = self.read_result(outputs, row, *shapes, windows[i], self.config)
        return results

    def _predict(self, molded, metas):
        outputs = self.keras_model.predict_on_batch([molded, metas])
        return [keras.ops.convert_to_numpy(output) for output in outputs]

    # === Inspection ===

    def get_trainable_layers(self):
        """The leaf layers that own weights."""
        return leaf_layers_with_weights(self.keras_model)
