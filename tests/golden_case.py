"""Reading the peer implementation's cases: configuration, weights, arrays."""

import importlib.util
import json

import numpy as np

from mrcnn.config import Config


class Case:
    """One `.npz` file of the golden folder.

    Attributes:
        arrays: the file's arrays by key.
        config: the configuration it was made with.
    """

    def __init__(self, folder, name):
        self.folder = folder
        self.arrays = np.load(folder / f"{name}.npz")
        self.info = json.loads(str(self.arrays["info"]))
        self.config = config_of(self.info["config"])

    def __getitem__(self, key):
        return self.arrays[key]

    def weights(self):
        """`{(layer, weight): array}` that the case was computed with."""
        spec = importlib.util.spec_from_file_location("golden_weights", self.folder / "weights.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module.all_weights(self.config.BACKBONE, self.config.NUM_CLASSES)


def config_of(values):
    """A `Config` with the given attributes."""
    derived = ("BATCH_SIZE", "IMAGE_SHAPE", "IMAGE_META_SIZE")
    arrays = ("MEAN_PIXEL", "BBOX_STD_DEV", "RPN_BBOX_STD_DEV")
    attributes = {
        key: np.array(value) if key in arrays else value
        for key, value in values.items()
        if key not in derived and hasattr(Config, key)
    }
    return type("GoldenConfig", (Config,), attributes)()


def assign(model, weights):
    """Gives every weight of a Keras model the array with its layer's and its own name."""
    for variable in model.weights:
        if "seed_generator" not in variable.path:
            variable.assign(weights[tuple(variable.path.split("/")[-2:])])


def sample(tensor, case, key):
    """The entries of a tensor that the file keeps under `<key>/sample`."""
    return np.asarray(tensor).ravel()[:: int(case[f"{key}/k"])]
