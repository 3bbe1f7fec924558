"""Keras models whose weight files are addressed by layer name."""

import functools
import logging
import os

import keras

from . import weights

logger = logging.getLogger(__name__)

_WEIGHTS_ONLY = ".weights.h5"


class NamedModel(keras.Model):
    """A functional model that writes and reads `.h5` weights by layer name, as Keras 2 did.

    Keras 3 refuses names that do not end in `.weights.h5`, and knows `by_name` for outermost layers only. Layers inside
    composite layers are found by their names too.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)

    def get_layer(self, name=None, index=None):
        """As of Keras; a name that no outermost layer has is looked for inside composite layers."""
        if index is None and name not in {layer.name for layer in self.layers}:
            for layer in self._flatten_layers(include_self=False):
                if layer.name == name:
                    return layer
        return super().get_layer(name, index)

    def save_weights(self, filepath, overwrite=True, **options):
        """Writes the weights: `.weights.h5` in Keras' layout, every other `.h5` in that of Matterport's files.

        Args:
            filepath: str or path-like.
            overwrite: whether an existing file is replaced.
            **options: of `keras.Model.save_weights`, for `.weights.h5`.

        Raises:
            CheckpointError: the file could not be written; an earlier one is untouched.
            FileExistsError: there is such a file and `overwrite` is False.
        """
        path = os.fspath(filepath)
        if path.endswith((_WEIGHTS_ONLY, ".weights.json")):
            super().save_weights(filepath, overwrite=overwrite, **options)
        elif overwrite or not os.path.exists(path):
            weights.save_weights(self, path)
        else:
            raise FileExistsError(f"{path} exists; pass overwrite=True to replace it.")

    def load_weights(
        self, filepath, by_name=True, skip_mismatch=False, exclude=None, class_names=None, file_class_names=None
    ):
        """Loads weights by layer name, see `engine.weights.load_weights`.

        `by_name` is always on, and `skip_mismatch` never: what does not fit raises, with the `exclude` that helps.
        """
        return weights.load_weights(self, filepath, exclude, class_names, file_class_names)


@keras.saving.register_keras_serializable("mrcnn")
class InferenceModel(NamedModel):
    """A detector's graph: `[image, image_meta]` in."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)

    def predict(self, x, *args, **kwargs):
        """As of Keras; a third input, the anchors of Matterport's graph, is taken and not used."""
        if isinstance(x, (list, tuple)) and len(x) == len(self.inputs) + 1:
            logger.info("The anchors given to predict() are not used: the graph has its own.")
            x = list(x[:-1])
        return super().predict(x, *args, **kwargs)


def let_model_checkpoint_write_h5():
    """Lets `keras.callbacks.ModelCheckpoint` write any `.h5` and `.hdf5`, of weights only and of the whole model.

    Keras 3 refuses such a name before it knows the model. A `NamedModel` can write it; another model still refuses
    weights when the file is due.
    """
    cls = keras.callbacks.ModelCheckpoint
    original = cls.__init__
    if getattr(original, "accepts_h5", False):
        return

    @functools.wraps(original)
    def init(self, filepath, *args, **kwargs):
        path = os.fspath(filepath)
        # The place of save_weights_only among the positional arguments: monitor, verbose, save_best_only, it.
        weights_only = kwargs.get("save_weights_only", args[3] if len(args) > 3 else False)
        accepted = _WEIGHTS_ONLY if weights_only else ".h5"
        if path.endswith(accepted) or not path.endswith((".h5", ".hdf5")):
            original(self, filepath, *args, **kwargs)
            return
        original(self, path + accepted, *args, **kwargs)
        self.filepath = path

    init.accepts_h5 = True
    cls.__init__ = init

