"""What an exact resume needs besides the weights: a file beside a checkpoint with the state of the optimizer and of all
random generators.
"""

import io
import json
import logging
import os
import random
import re
import zipfile
from contextlib import nullcontext, suppress

import keras
import numpy as np

from .atomic_file import write_atomically
from .model_weights import list_weights

logger = logging.getLogger(__name__)

_LOST = "momentum, the optimizer's step count, learning rate changes and random state start afresh"


def companion_path(checkpoint_path):
    """Path of the training state that belongs to a weight file.

    Its name does not begin with "mask_rcnn", by which scripts find weight files.
    """
    folder, name = os.path.split(os.fspath(checkpoint_path))
    return os.path.join(folder, f"state_of_{os.path.splitext(name)[0]}.npz")


def save_training_state(model, checkpoint_path, epoch, requested_rate=None, data_seed=None):
    """Write what `restore_training_state` and `saved_data_seed` read: optimizer variables, random state, epoch, step,
    learning rate.

    Args:
        model: a compiled `keras.Model`.
        checkpoint_path: the weight file that this state belongs to.
        epoch: number of finished epochs.
        requested_rate: the learning rate the user asked for, or None.
        data_seed: seed of the order of the images, or None.

    Raises:
        CheckpointError: the file could not be written.
    """
    optimizer_state = optimizer_variables(model)
    about = {
        "epoch": epoch,
        "step": int(keras.ops.convert_to_numpy(model.optimizer.iterations.value)),
        "requested_rate": requested_rate,
        "data_seed": data_seed,
        "learning_rate": learning_rate_of(model.optimizer),
        "optimizer": [_signature(variable) for variable in optimizer_state],
        "model": [_signature(variable) for variable in _random_variables(model)],
        "python_random": random.getstate(),
        "numpy_random": _numpy_random(),
    }
    arrays = {f"optimizer_{i}": _to_host(v) for i, v in enumerate(optimizer_state)}
    arrays |= {f"model_{i}": _to_host(v) for i, v in enumerate(_random_variables(model))}
    buffer = io.BytesIO()
    np.savez(buffer, about=json.dumps(about), **arrays)
    write_atomically(companion_path(checkpoint_path), buffer.getbuffer())


def restore_training_state(keras_model, checkpoint_path):
    """Give a compiled model and the random generators the state they had when `checkpoint_path` was written.

    Call it after `compile` and right before `fit`; the weights themselves are loaded by `weights.load_weights`. The
    learning rate that callbacks had reached comes back only if the model is compiled with the rate that training
    began with: another rate is taken for the user's wish. The order of the images is that of `saved_data_seed`.

    Args:
        keras_model: compiled model of the same architecture.
        checkpoint_path: path of the weight file.

    Returns:
        True if training goes on exactly where it stopped. Otherwise False, and a warning says what is lost.

    Raises:
        ValueError: the model is not compiled.
    """
    if getattr(keras_model, "optimizer", None) is None:
        raise ValueError("Compile the model before its training state is restored: it has no optimizer yet.")
    path = companion_path(checkpoint_path)
    if not os.path.exists(path):
        logger.warning("Resuming from %s without a training state (%s is absent): %s.", checkpoint_path, path, _LOST)
        return False
    try:
        about, arrays = _read(path)
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
        logger.warning("The training state %s cannot be read (%s): %s.", path, error, _LOST)
        return False
    _set_random_state(about)
    exact = _assign(_random_variables(keras_model), about["model"], arrays, "model")
    if not exact:
        logger.warning("%s: the random state of layers differs in kind and starts afresh.", path)
    if not _restore_optimizer(keras_model, about, arrays):
        logger.warning(
            "%s: other layers are trained now, or by another optimizer: momentum, step count and learning rate start "
            "afresh.", path
        )
        return False
    if exact:
        logger.info("Training state of epoch %d, step %d restored from %s.", about["epoch"], about["step"], path)
    return exact


def saved_data_seed(checkpoint_path):
    """Seed of the order of the images in the run that wrote `checkpoint_path`; None where that is not known."""
    try:
        with np.load(companion_path(checkpoint_path), allow_pickle=False) as stored:
            return json.loads(str(stored["about"])).get("data_seed")
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile):
        return None


def optimizer_variables(model):
    """All variables of the model's optimizer, made first if training has not made them yet."""
    optimizer = model.optimizer
    if not optimizer.built:
        # Only TensorFlow's models have a strategy; variables made outside its scope would not be mirrored.
        strategy = getattr(model, "distribute_strategy", None)
        with strategy.scope() if strategy is not None else nullcontext():
            optimizer.build(model.trainable_variables)
    return list(optimizer.variables)


def _restore_optimizer(model, about, arrays):
    variables = optimizer_variables(model)
    wished = learning_rate_of(model.optimizer)
    if not _assign(variables, about["optimizer"], arrays, "optimizer"):
        return False
    asked = about["requested_rate"]
    if wished is not None and asked is not None and not np.isclose(wished, asked, rtol=1e-5, atol=0.0):
        _rate_variable(model.optimizer).assign(wished)
        logger.info("Learning rate %g is used instead of the checkpoint's %g.", wished, about["learning_rate"])
    return True


def _assign(variables, signatures, arrays, kind):
    """Assign all or nothing; whether the variables are of the saved kinds and shapes."""
    if [_signature(variable) for variable in variables] != signatures:
        return False
    for index, variable in enumerate(variables):
        variable.assign(arrays[f"{kind}_{index}"])
    return True


def _signature(variable):
    """Name and shape, by which a variable is known in another process, where automatic numbers may differ."""
    name = variable.path.split("/", 1)[-1]
    return [re.sub(r"_\d+", "_#", name), list(variable.shape)]


def _random_variables(model):
    """The model's variables that are no weights: random seeds and counters."""
    weights = {id(weight.variable) for weight in list_weights(model)}
    return [variable for variable in model.variables if id(variable) not in weights]


def _rate_variable(optimizer):
    """The variable of a constant learning rate; None under a schedule."""
    for variable in optimizer.variables:
        if variable.path.rsplit("/", 1)[-1] == "learning_rate":
            return variable
    return None


def learning_rate_of(optimizer):
    """The constant learning rate of an optimizer; None under a schedule."""
    variable = _rate_variable(optimizer)
    return None if variable is None else float(keras.ops.convert_to_numpy(variable.value))


def _to_host(variable):
    array = np.asarray(keras.ops.convert_to_numpy(variable.value))
    # Numpy's own format does not know bfloat16.
    return array if array.dtype.kind in "biuf" else array.astype(np.float32)


def _numpy_random():
    state = np.random.get_state(legacy=False)
    return {**state, "state": {"key": state["state"]["key"].tolist(), "pos": int(state["state"]["pos"])}}


def _set_random_state(about):
    version, numbers, gauss = about["python_random"]
    random.setstate((version, tuple(numbers), gauss))
    state = dict(about["numpy_random"])
    state["state"] = {"key": np.array(state["state"]["key"], dtype=np.uint32), "pos": state["state"]["pos"]}
    np.random.set_state(state)


def _read(path):
    with np.load(path, allow_pickle=False) as stored:
        arrays = {key: stored[key] for key in stored.files}
    return json.loads(str(arrays.pop("about"))), arrays


def remove_older_companions(checkpoint_path):
    """Remove the training states of the run's earlier epochs."""
    newest = companion_path(checkpoint_path)
    folder, name = os.path.split(newest)
    pattern = re.escape(re.sub(r"\d+\.npz$", "", name)) + r"\d+\.npz"
    for entry in os.listdir(folder or os.curdir):
        if entry != name and re.fullmatch(pattern, entry, re.DOTALL):
            with suppress(OSError):
                os.remove(os.path.join(folder, entry))
