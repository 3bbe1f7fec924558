"""Turns weight files of torchvision and Detectron2 into ours and back: `python -m mrcnn.convert IN OUT`.

Neither a model nor TensorFlow is needed, and PyTorch only for .pth. Every number comes back as it was.
"""

import argparse
import os

from .engine.atomic_file import write_atomically
from .engine.dialects.dialect import how
from .engine.dialects.recognise import DIALECTS, describe_fit
from .engine.h5_layout import encode_groups, read_h5
from .engine.torch_files import SUFFIXES, encode_state, kind_of
from .engine.weight_files import checked_path, read_foreign

_OURS = ".h5"
# Matterport kept these layers in a model of its own.
_RPN, _RPN_GROUP = "rpn_", "rpn_model"
# An .h5 does not tell which settings its weights were trained with.
_EXPECTS = {
    "torchvision": "torchvision puts the stride into the 3x3 convolutions, divides pixels by image_std, does not align "
    "regions, and has eps = 0.0 in the batch norms of COCO_V1's first models, 1e-5 in others",
    "detectron2": "Detectron2's R-50 and R-101 have MODEL.RESNETS.STRIDE_IN_1X1 = True, MODEL.PIXEL_STD = [1, 1, 1], "
    'POOLER_TYPE = "ROIAlignV2", POOLER_SAMPLING_RATIO = 0 and eps = 1e-5 in batch norms',
}


def convert(source, target, to=None):
    """Write the weights of `source` into `target`, whose ending says the kind of file.

    Args:
        source: a file of torchvision or Detectron2 (.pth, .safetensors, .pkl), whatever its name; or ours.
        target: a path that ends with .h5 for a foreign source, and with .pth, .safetensors or .pkl for ours.
        to: "torchvision" or "detectron2": whose names and shapes a foreign target has. Default: Detectron2's for
            .pkl, torchvision's for others. Not for a foreign source.

    Returns:
        the table of what went where, as text.

    Raises:
        CheckpointError: `target` could not be written; an earlier file there is untouched.
        FileNotFoundError, ImportError, ValueError: see `engine.weight_files.read_file`; or `target` has another
            ending, or the program that it is for has no place for some weights, or `to` is given for our layout.
    """
    source, target = checked_path(source), os.fspath(target)
    suffix, kind = os.path.splitext(target)[1], kind_of(source)
    allowed = (_OURS,) if kind else SUFFIXES
    if suffix not in allowed:
        whose = "weights of torchvision or Detectron2" if kind else "weights in our layout"
        raise ValueError(f"{source} holds {whose}, so the other file must end with {' or '.join(allowed)}: {target}.")
    if kind and to:
        raise ValueError(f"{target} gets our names: --to {to} is for weights in our layout. Leave it out.")
    if kind:
        return _import(source, target, kind)
    return _export(source, target, suffix, DIALECTS[to or ("detectron2" if suffix == ".pkl" else "torchvision")])


def _import(source, target, kind):
    dialect, moved, unknown = read_foreign(source, kind)
    groups = {}
    for row in moved:
        layer, weight = row.name
        group = _RPN_GROUP if layer.startswith(_RPN) else layer
        groups.setdefault(group, []).append((f"{layer}/{weight}", row.ours))
    write_atomically(target, encode_groups(groups))
    fits = describe_fit(dialect.name, {row.name: row.ours.shape for row in moved})
    lines = [_row(row.entry.key, row.theirs, "/".join(row.name), row.ours, row.entry) for row in moved]
    left_out = [f"left out, of no layer known here: {key}" for key in unknown]
    return "\n".join([*lines, *left_out, f"{len(moved)} weights of {dialect.name} written to {target}. {fits}"])


def _export(source, target, suffix, dialect):
    weights = {(stored.layer, stored.weight): stored.value for stored in read_h5(source).weights}
    moved = dialect.write(weights, source)
    state = {row.entry.key: row.theirs for row in moved}
    write_atomically(target, encode_state(state, suffix, wrapped=dialect is DIALECTS["detectron2"]))
    lines = [_row("/".join(row.name), row.ours, row.entry.key, row.theirs, row.entry) for row in moved]
    written = f"{len(moved)} weights written to {target}, with the names of {dialect.name}."
    return "\n".join([*lines, f"{written} They must have been trained with its settings: {_EXPECTS[dialect.name]}."])


def _row(name, array, other_name, other_array, entry):
    return f"{name:<58} {_shape(array):<18} -> {other_name:<58} {_shape(other_array):<18} {how(entry)}"


def _shape(array):
    return "x".join(str(side) for side in array.shape)


def main(arguments=None):
    """The command. It prints the table; what is wrong with a file is one line and the exit status 1."""
    parser = argparse.ArgumentParser(prog="python -m mrcnn.convert", description=__doc__)
    parser.add_argument("source", metavar="IN", help="the file to read: of torchvision, of Detectron2, or ours")
    parser.add_argument("target", metavar="OUT", help="the file to write: .h5 is ours; .pth, .safetensors, .pkl")
    parser.add_argument("--to", choices=sorted(DIALECTS), help="whose names OUT has; by its ending where not given")
    options = parser.parse_args(arguments)
    try:
        print(convert(options.source, options.target, options.to))
    except (ValueError, OSError, ImportError) as error:
        parser.exit(1, f"{error}\n")


if __name__ == "__main__":
    main()
