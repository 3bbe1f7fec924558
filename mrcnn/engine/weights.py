"""The only door for weights: from files into a model by layer name, and from a model into a file.

Keras' own loaders will not do: `.weights.h5` is addressed by class and order, so a training graph's file puts
weights into wrong layers of the inference graph without an error, and `by_name=True` sees only outermost layers.
"""

import logging
import os

import keras
import numpy as np

from .atomic_file import write_atomically
from .class_names import match_file_classes
from .class_transfer import fits_match, transfer_classes
from .h5_layout import encode_groups
from .model_weights import NESTED_GROUPS, list_weights
from .weight_files import read_file
from .weight_names import CLASS_HEADS, CLASS_UNITS, TASK_HEADS
from .weight_report import Mismatch, WeightReport, explain_gaps, explain_mismatches, layers_of, shorten
from .weight_settings import check_settings

logger = logging.getLogger(__name__)


def read_weights(path):
    """Read a weight file into `{(layer, weight): float array}`.

    Layers are named by their leaf name ("rpn_conv_shared"); where two layers of a file share it, by their whole
    path. Layouts: see `engine.h5_layout`.

    Raises:
        FileNotFoundError, ImportError, ValueError: see `weight_files.read_file`.
    """
    found = {}
    for stored in read_file(path).weights:
        key = (stored.layer, stored.weight)
        found[key if key not in found else (stored.aliases[0], stored.weight)] = stored.value
    return found


def load_weights(model, path, exclude=None, class_names=None, file_class_names=None, config=None):
    """Give the weights of `model` the values that the file `path` has for layers of the same names.

    The model is changed only if every weight that both have fits, and each assigned value is read back and compared.
    A summary is printed.

    Args:
        model: a built `keras.Model`.
        path: str or path-like; .h5 of Keras 2 (also a full model, and Matterport's files) or 3, .keras; or .pth,
            .safetensors or .pkl of torchvision or Detectron2, which must have every weight that is not excluded.
        exclude: name or list of names of layers to leave alone; the name of a composite layer ("rpn_model") means
            all layers in it.
        class_names: the model's classes in order, the background first. The heads then take, class by class, what
            the file has for a class of the same name (and the background); other classes keep their values.
        file_class_names: the file's classes, for `class_names`; default: see `class_names.match_file_classes`.
        config: the model's `Config`, whose settings must be those that a file of torchvision or Detectron2 needs; None
            does not compare them.

    Returns:
        `WeightReport`.

    Raises:
        FileNotFoundError: there is no such file.
        ImportError: the file needs PyTorch, which is not installed.
        ValueError: the file is damaged, tries to run code or is no weight file, no layer of it is in the model,
            shapes differ (the message has the `exclude` list that helps), names of classes are unknown or do not
            fit, or a file of torchvision or Detectron2 is of another network or means something else under `config`.
    """
    if file_class_names is not None and class_names is None:
        raise ValueError("file_class_names names the file's classes; pass the model's too, as class_names.")
    exclude = [exclude] if isinstance(exclude, str) else list(exclude or [])
    stored = read_file(path)
    wanted = list_weights(model)
    left_out = _excluded(wanted, exclude)
    pairs, missing = _match([w for w in wanted if id(w) not in left_out], _Index(stored.weights))
    if not pairs and len(left_out) < len(wanted):
        raise ValueError(
            f"{stored.path} has no layer of this model, so nothing was loaded. Its layers: "
            f"{shorten(layers_of([f'{s.layer}/' for s in stored.weights])) or 'none with weights'}; the model's: "
            f"{shorten(layers_of([w.name for w in wanted]))}.{_sentence(stored.fits)}"
        )
    if config is not None and stored.configuration:
        check_settings(config, stored.configuration, stored.path, layers_of([w.name for w, _ in pairs]))
    classes = None if class_names is None else _match_classes(pairs, stored.path, class_names, file_class_names)
    values = [_value(weight, source.value, classes) for weight, source in pairs]
    mismatches = [
        Mismatch(w.layer, w.weight, tuple(value.shape), tuple(w.variable.shape))
        for (w, _), value in zip(pairs, values, strict=True)
        if tuple(value.shape) != tuple(w.variable.shape)
    ]
    absent, unused = _gaps(stored, wanted, left_out, pairs, missing, exclude) if stored.dialect else ([], [])
    if mismatches:
        explained = explain_mismatches(stored.path, mismatches, exclude, [*absent, *unused])
        raise ValueError(explained + _sentence(stored.fits))
    if absent or unused:
        raise ValueError(explain_gaps(stored.path, absent, unused, exclude) + _sentence(stored.fits))
    for (weight, _), value in zip(pairs, values, strict=True):
        _assign(weight, value, stored.path)
    report = _report(stored, wanted, left_out, pairs, missing, classes)
    _warn(report, exclude, wanted, stored)
    print(report.summary())
    return report


class _Index:
    """Finds a stored weight by the names of its layer; a name that several have finds none of them."""

    def __init__(self, stored_weights):
        self._own, self._alias = {}, {}
        for stored in stored_weights:
            for weight in dict.fromkeys((stored.weight, stored.ordinal)):
                self._own.setdefault((stored.layer, weight), []).append(stored)
                for name in stored.aliases:
                    self._alias.setdefault((name, weight), []).append(stored)

    def find(self, wanted):
        for weight in dict.fromkeys((wanted.weight, wanted.ordinal)):
            for layer in dict.fromkeys((wanted.path, wanted.layer)):
                for names in (self._own, self._alias):
                    found = names.get((layer, weight), ())
                    if len(found) == 1:
                        return found[0]
        return None


def _match(wanted, index):
    pairs, missing = [], []
    for weight in wanted:
        source = index.find(weight)
        if source is None:
            missing.append(weight)
        else:
            pairs.append((weight, source))
    return pairs, missing


def _excluded(wanted, exclude):
    """The ids of the `ModelWeight`s that `exclude` names.

    A leaf layer wins over a composite layer of the same name, so that Matterport's "mrcnn_mask" stays the last
    convolution wherever it lives.
    """
    leaves = {w.layer for w in wanted}
    chosen = set()
    for name in exclude:
        for weight in wanted:
            if weight.layer == name or (name not in leaves and name in weight.path.split("/")):
                chosen.add(id(weight))
    return chosen


def _match_classes(pairs, path, class_names, file_class_names):
    """The `ClassMatch` of model and file; None where no weight of the heads is loaded."""
    for weight, source in pairs:
        if weight.layer in CLASS_UNITS:
            counts = [shape[-1] // CLASS_UNITS[weight.layer] for shape in (weight.variable.shape, source.value.shape)]
            return match_file_classes(path, counts, class_names, file_class_names)
    logger.warning("class_names is without effect: no weight that depends on classes is loaded from %s.", path)
    return None


def _value(weight, stored, classes):
    """What `weight` is to hold: the file's array, or its own with the file's entries of the classes both have."""
    unit = CLASS_UNITS.get(weight.layer)
    if classes is None or unit is None or not fits_match(weight.variable.shape, stored.shape, classes, unit):
        return stored
    return transfer_classes(_host_array(weight.variable), stored, classes, unit)


def _gaps(stored, wanted, left_out, pairs, missing, exclude):
    """Names of the weights that only the model has, and that only the file has.

    A network may resemble another in part: Keras' files may fill a part of a model, others may not. What the file has
    for a task that the model lacks does no harm.
    """
    absent = tuple(head for head in TASK_HEADS if not any(w.layer.startswith(head) for w in wanted))
    unused = _unused(stored, wanted, left_out, pairs)
    more = [name for name in unused if not name.startswith(absent) and layers_of([name])[0] not in exclude]
    return [w.name for w in missing], more


def _sentence(text):
    return f" {text}" if text else ""


def _unused(stored, wanted, left_out, pairs):
    """Weights of the file that are neither loaded nor excluded, "layer/weight"."""
    used = {id(source) for _, source in pairs}
    names_left_out = {name for w in wanted if id(w) in left_out for name in (w.layer, w.path)}
    return [
        f"{s.layer}/{s.weight}"
        for s in stored.weights
        if id(s) not in used and not names_left_out & {s.layer, *s.aliases}
    ]


def _assign(weight, value, path):
    weight.variable.assign(value)
    held = keras.ops.convert_to_numpy(weight.variable.value)
    if not np.array_equal(held, value.astype(held.dtype), equal_nan=True):
        raise ValueError(f"{weight.name} does not hold the value of {path} after the assignment.")


def _report(stored, wanted, left_out, pairs, missing, classes):
    return WeightReport(
        path=stored.path,
        loaded=tuple(w.name for w, _ in pairs),
        excluded=tuple(w.name for w in wanted if id(w) in left_out),
        missing=tuple(w.name for w in missing),
        unused=(*_unused(stored, wanted, left_out, pairs), *stored.unknown),
        classes=classes,
        fits=stored.fits,
    )


def _warn(report, exclude, wanted, stored):
    known = {part for w in wanted for part in w.path.split("/")} | set(stored.layer_names) | set(CLASS_HEADS)
    strange = [name for name in exclude if name not in known]
    if strange:
        logger.warning("exclude=%s names no layer of the model or of %s.", strange, report.path)
    broken = layers_of([w.name for w in wanted if not _is_finite(w.variable)])
    if broken:
        logger.warning("%s: values that are not finite in %s.", report.path, shorten(broken))


def _is_finite(variable):
    return bool(np.isfinite(keras.ops.convert_to_numpy(variable.value)).all())


def save_weights(model, path):
    """Write the weights of `model` in the Keras-2 by-name layout of Matterport's files, atomically.

    A leaf layer is a group under its own name, wherever it lives; the region proposal network's layers lie in the
    group `rpn_model`. Kernels are float32 under half precision.

    Raises:
        CheckpointError: the file could not be written; an earlier file at `path` is untouched.
        ValueError: two weights would have the same name.
    """
    write_atomically(os.fspath(path), encode_groups(_groups(model)))


def _groups(model):
    weights = list_weights(model)
    shared = _shared_names(weights)
    by_outermost = {}
    for weight in weights:
        by_outermost.setdefault(weight.group, []).append(weight)
    groups = {}
    for layer in model.layers:
        members = by_outermost.get(layer.name, [])
        if not members:
            groups.setdefault(layer.name, [])
        for weight in members:
            group, name = _address(weight, shared)
            groups.setdefault(group, []).append((name, _host_array(weight.variable)))
    for group, members in groups.items():
        names = [name for name, _ in members]
        if len(set(names)) < len(names):
            raise ValueError(f"Two weights of the group {group} have one name among {names}: name their layers.")
    return groups


def _shared_names(weights):
    """Leaf names that layers in different places of the model share."""
    places = {}
    for weight in weights:
        places.setdefault(weight.layer, set()).add(weight.path)
    return {layer for layer, paths in places.items() if len(paths) > 1}


def _address(weight, shared):
    """Group and name of a weight in the file."""
    inside = weight.path.split("/", 1)[-1]
    if weight.layer in shared and inside != weight.path:
        return weight.group, f"{inside}/{weight.weight}"
    if weight.group in NESTED_GROUPS:
        return weight.group, weight.name
    return weight.layer, weight.name


def _host_array(variable):
    array = np.asarray(keras.ops.convert_to_numpy(variable.value))
    return array if array.dtype in (np.float32, np.float64) else array.astype(np.float32)
