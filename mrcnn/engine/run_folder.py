"""Names of the folders and files of a training run, as Matterport chose them.

A run writes `{model_dir}/{name}{YYYYmmdd}T{HHMM}/mask_rcnn_{name}_{epoch:04d}.h5`, `name` in lower case and epochs
counted from 1.
"""

import datetime
import logging
import os
import re
from typing import NamedTuple

logger = logging.getLogger(__name__)

_STAMP = r"\d{8}T\d{4}"
# A path may have been written on another system, so both separators count everywhere.
_CHECKPOINT = re.compile(
    rf"^(?P<folder>(?:.*[/\\])?[^/\\]*(?P<stamp>{_STAMP}))[/\\]mask_rcnn_[^/\\]*_(?P<epoch>\d{{4,}})\.h5$", re.DOTALL
)


class Run(NamedTuple):
    """Where a training run writes and how many epochs of it are finished."""

    folder: str
    checkpoint_template: str
    epoch: int


class CheckpointPath(str):
    """Path of a checkpoint that is also the pair (folder, path).

    It is a str for every function that takes a path. `path[0]`, `path[1]` and unpacking into two names give the
    folder and the whole path, as Matterport's `find_last` did up to version 2.1. Slices, other indices and `len`
    are those of the str.
    """

    __slots__ = ()

    def _pair(self):
        return os.path.dirname(str(self)), str(self)

    def __getitem__(self, key):
        if type(key) is int and key in (0, 1):
            return self._pair()[key]
        return super().__getitem__(key)

    def __iter__(self):
        return iter(self._pair())


def run_folder(model_dir, name, now=None):
    """The folder of a run of the configuration `name` that starts at `now` (a datetime; default: this minute).

    Raises:
        ValueError: `name` cannot be a part of a file name.
    """
    stamp = f"{now or datetime.datetime.now():%Y%m%dT%H%M}"
    return os.path.join(str(model_dir), f"{_file_name(name)}{stamp}")


def checkpoint_template(folder, name):
    """Path of the checkpoints in `folder`; `template.format(epoch=3)` is the third epoch's."""
    start = os.path.join(folder, f"mask_rcnn_{_file_name(name)}_")
    return start.replace("{", "{{").replace("}", "}}") + "{epoch:04d}.h5"


def parse_checkpoint(path):
    """Folder and epoch of a checkpoint's path.

    Args:
        path: str or path-like, with the separators of any system.

    Returns:
        (folder, epoch), or None where the path is not `.../{name}{time}/mask_rcnn_{name}_{epoch}.h5`.
    """
    match = _CHECKPOINT.match(os.fspath(path))
    return match and (match["folder"], int(match["epoch"]))


def locate(model_dir, name, model_path=None, now=None):
    """Where training goes on.

    Args:
        model_dir: folder of all runs.
        name: `Config.NAME`.
        model_path: the weights that were loaded. A checkpoint of a run means going on from its epoch, in the folder
            of its time stamp under `model_dir`: the same folder, or one that may be written to where the checkpoint
            lies elsewhere.
        now: datetime of a new run; default: this minute.

    Returns:
        `Run`; epoch 0 and a new folder where `model_path` is no checkpoint of a run.
    """
    match = _CHECKPOINT.match(os.fspath(model_path)) if model_path is not None else None
    if match is None:
        folder, epoch = run_folder(model_dir, name, now), 0
    else:
        folder, epoch = os.path.join(str(model_dir), f"{_file_name(name)}{match['stamp']}"), int(match["epoch"])
        print(f"Re-starting from epoch {epoch}")
    return Run(folder, checkpoint_template(folder, name), epoch)


def find_last(model_dir, name):
    """The newest checkpoint of the newest run of `name` that has one.

    Returns:
        `CheckpointPath`.

    Raises:
        FileNotFoundError: there is none; the message says what is there.
    """
    model_dir, name = str(model_dir), _file_name(name)
    if not os.path.isdir(model_dir):
        raise FileNotFoundError(f"There is no folder {model_dir} to find a checkpoint in: check model_dir.")
    folders = sorted(
        entry for entry in os.listdir(model_dir)
        if entry.startswith(name) and os.path.isdir(os.path.join(model_dir, entry))
    )
    empty = []
    for entry in reversed(folders):
        last = _last_in(os.path.join(model_dir, entry), name)
        if last is None:
            empty.append(entry)
            continue
        if empty:
            logger.warning("%s has no checkpoint yet; taking the one in %s.", ", ".join(empty), entry)
        return CheckpointPath(os.path.join(model_dir, entry, last))
    found = f"{', '.join(folders)} there hold none" if folders else f"no folder there begins with {name!r}"
    raise FileNotFoundError(
        f"No checkpoint of {name!r} (Config.NAME) in {model_dir}: {found}. Train at least one epoch first, or check "
        "model_dir and NAME."
    )


def _last_in(folder, name):
    """The file of the latest epoch. In a folder of this very name, files of other endings count as earlier."""
    files = [file for file in os.listdir(folder) if file.startswith("mask_rcnn") and file.endswith(".h5")]
    of_epochs = {}
    for file in files:
        match = re.fullmatch(rf"mask_rcnn_{re.escape(name)}_(\d{{4,}})\.h5", file, re.DOTALL)
        if match:
            of_epochs[int(match[1])] = file
    if of_epochs:
        return of_epochs[max(of_epochs)]
    # Another configuration's name may begin with this one, and its folders must not be mistaken for this one's.
    is_own = re.fullmatch(rf"{re.escape(name)}{_STAMP}", os.path.basename(folder), re.DOTALL)
    return max(files) if files and is_own else None


def _file_name(name):
    if not name or re.search(r"[/\\\0]", name):
        raise ValueError(f"Config.NAME is {name!r}; it names folders and files, so it needs a text without / and \\.")
    return name.lower()
