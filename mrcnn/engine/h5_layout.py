"""The weight files of Keras on disk: read three layouts, write the one that Matterport's files have.

- Keras 2 (and 1) by name: the root, or its group `model_weights` in a full-model file, has the attribute
  `layer_names`; each layer is a group with the attribute `weight_names` ("conv1/kernel:0").
- Keras 3 `.weights.h5` and the `.keras` archive: groups are addressed by class and order, and each `vars` group
  carries the layer's own name as an attribute (Keras 3.8 and later).
"""

import io
import os
import zipfile

import h5py
import numpy as np

from .stored_weights import StoredWeight, WeightFile
from .weight_names import KNOWN_WEIGHTS, canonical_weight, matterport_resnet_name, weights_by_order

# HDF5 keeps attributes in an object header of at most 64 KiB; Keras splits longer lists into name0, name1, ...
_ATTRIBUTE_LIMIT = 64512
# Keras 2 flips kernels by these attributes: they name the convention of the numbers, not the writer.
_BACKEND, _KERAS_VERSION = "tensorflow", "2.5.0"


def read_h5(path):
    """Read every weight of the file `path` (.h5 of Keras 1, 2 or 3, or .keras) into memory.

    Optimizer variables, random seeds and integer counters are left out.

    Returns:
        `WeightFile`.

    Raises:
        ValueError: the file is not a weight file, is damaged, or its layout has no layer names.
    """
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                source = io.BytesIO(archive.read("model.weights.h5"))
        else:
            source = path
        with h5py.File(source, "r") as root:
            weights, layer_names = _read_root(root, path)
    except PermissionError:
        raise
    except (OSError, RuntimeError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} cannot be read as a weight file: {_diagnosis(path, error)}") from error
    return WeightFile(path, tuple(weights), tuple(layer_names))


def _diagnosis(path, error):
    size = os.path.getsize(path)
    if size == 0:
        return "the file is empty. Delete it and download or copy it again."
    with open(path, "rb") as file:
        start = file.read(64)
    if start.startswith(b"\x89HDF\r\n\x1a\n") or start.startswith(b"PK"):
        return f"it is truncated or damaged ({size} bytes; {error}). Delete it and download or copy it again."
    return (
        f"it is not HDF5 but begins with {start[:24]!r} ({size} bytes). A web page or a pointer file may have "
        "been saved in its place; delete it and download it again."
    )


def _read_root(root, path):
    for group in (root, root.get("model_weights")):
        if isinstance(group, h5py.Group) and ("layer_names" in group.attrs or "layer_names0" in group.attrs):
            names = _read_names(group, "layer_names")
            return [weight for name in names for weight in _read_named_group(group[name], name)], names
    if "layers" in root:
        return _read_keras_3(root, path)
    raise ValueError(
        f"{path} is an HDF5 file but holds no Keras weights: neither the attribute layer_names nor a group "
        f"model_weights or layers is in it (it has {sorted(root)[:8]})."
    )


def _read_names(group, attribute):
    """The strings of an attribute that may be split into several and may hold bytes or str."""
    if attribute in group.attrs:
        raw = list(group.attrs[attribute])
    else:
        raw, part = [], 0
        while f"{attribute}{part}" in group.attrs:
            raw.extend(group.attrs[f"{attribute}{part}"])
            part += 1
    return [name.decode("utf8") if isinstance(name, bytes) else str(name) for name in raw]


def _read_named_group(group, group_name):
    names = _read_names(group, "weight_names")
    values = [np.asarray(group[name]) for name in names]
    paths = [name.rsplit(":", 1)[0].split("/") for name in names]
    parents = [tuple(path[:-1]) or (group_name,) for path in paths]
    weights = [canonical_weight(path[-1], parent[-1]) for path, parent in zip(paths, parents, strict=True)]
    # The group's name is the layer's own; inside, TensorFlow may have written conv1_1/kernel:0 for conv1.
    if len({parent[-1] for parent in parents}) == 1:
        by_order = weights_by_order([value.shape for value in values])
        # A name that is understood stands above the order, in which beta may come before gamma.
        ordinals = [w if w in KNOWN_WEIGHTS else o for w, o in zip(weights, by_order, strict=True)]
        layers = [group_name] * len(names)
    else:
        layers, ordinals = [parent[-1] for parent in parents], weights
    full_paths = [_full_path(group_name, parent) for parent in parents]
    return [
        _stored(*row) for row in zip(layers, weights, ordinals, values, full_paths, strict=True) if _is_float(row[3])
    ]


def _is_float(array):
    """Whether the array can be a weight: seeds and counters are integers."""
    return array.dtype.kind == "f"


def _full_path(group_name, parent):
    return "/".join(parent if parent[0] == group_name else (group_name, *parent))


def _stored(layer, weight, ordinal, value, full_path, other_names=()):
    leaf = full_path.rsplit("/", 1)[-1]
    stem, _, number = leaf.rpartition("_")
    unnumbered = stem if number.isdigit() and stem else leaf
    names = (full_path, leaf, unnumbered, matterport_resnet_name(layer), *other_names)
    aliases = tuple(dict.fromkeys(name for name in names if name and name != layer))
    return StoredWeight(layer, weight, ordinal, value, aliases)


def _read_keras_3(root, path):
    found, layer_names, unnamed = [], [], []

    def visit(place, group):
        if not isinstance(group, h5py.Group) or not place.endswith("/vars") or place.startswith("optimizer/"):
            return
        arrays = [np.asarray(group[key]) for key in sorted(group, key=int)]
        arrays = [array for array in arrays if _is_float(array)]
        if "name" in group.attrs:
            name = _text(group.attrs["name"])
            layer_names.append(name)
            above = list(_names_above(root, place))
            # A wrapper (TimeDistributed) keeps what it wraps as `layer`, and users know it by the wrapper's name.
            wrapper = above[-1:] if place.endswith("/layer/vars") else []
            weights = weights_by_order([array.shape for array in arrays])
            found.extend(
                _stored(name, w, w, a, "/".join([*above, name]), wrapper) for w, a in zip(weights, arrays, strict=True)
            )
        elif arrays:
            unnamed.append(place)

    root.visititems(visit)
    if unnamed:
        raise ValueError(
            f"{path} was written by an early Keras 3 and addresses layers by class and order only (for example "
            f"{unnamed[0]}): its weights could land in wrong layers without any error. Load it with the program "
            "that wrote it, then save there with Keras 3.8 or later, or in the by-name .h5 layout."
        )
    return found, layer_names


def _names_above(root, place):
    parts = place.split("/")[:-1]
    for depth in range(1, len(parts)):
        above = root.get("/".join(parts[:depth]) + "/vars")
        if above is not None and "name" in above.attrs:
            yield _text(above.attrs["name"])


def _text(value):
    return value.decode("utf8") if isinstance(value, bytes) else str(value)


def encode_groups(groups):
    """The bytes of a Keras-2 by-name HDF5 file.

    Args:
        groups: {group name: [(weight name without ":0", array), ...]} in file order; a layer without weights has
            an empty list.

    Returns:
        bytes-like object. The file is made in memory because HDF5 itself cannot report a full disk cleanly.
    """
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as root:
        _write_names(root, "layer_names", list(groups))
        # Old Keras calls decode() on these two: numpy's bytes come back as bytes from every h5py, Python's do not.
        root.attrs["backend"] = np.bytes_(_BACKEND)
        root.attrs["keras_version"] = np.bytes_(_KERAS_VERSION)
        for group_name, weights in groups.items():
            group = root.create_group(group_name)
            _write_names(group, "weight_names", [f"{name}:0" for name, _ in weights])
            for name, value in weights:
                group.create_dataset(f"{name}:0", data=value)
    return buffer.getbuffer()


def _write_names(group, attribute, names):
    encoded = np.array([name.encode("utf8") for name in names], dtype=None if names else "S1")
    if encoded.nbytes <= _ATTRIBUTE_LIMIT:
        group.attrs[attribute] = encoded
        return
    step = _ATTRIBUTE_LIMIT // encoded.itemsize
    for part, start in enumerate(range(0, len(encoded), step)):
        group.attrs[f"{attribute}{part}"] = encoded[start : start + step]
