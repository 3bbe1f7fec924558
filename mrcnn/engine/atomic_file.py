"""Writing files so that a failure never costs the file that was there before."""

import contextlib
import errno
import os

_CURES = {
    errno.ENOSPC: "free some disk space or choose another model_dir",
    errno.EDQUOT: "free some of your disk quota or choose another model_dir",
    errno.EFBIG: "raise the file size limit of this process (ulimit -f) or choose another file system",
    errno.EACCES: "choose a model_dir that this user may write to",
    errno.EPERM: "choose a model_dir that this user may write to",
    errno.EROFS: "choose a model_dir on a file system that is not read-only",
    errno.ENOENT: "create the folder first",
    errno.ENOTDIR: "a part of this path is a file: choose another model_dir",
    errno.ENAMETOOLONG: "choose a shorter Config.NAME or model_dir",
}


class CheckpointError(OSError):
    """A checkpoint could not be written. Checkpoints written earlier are intact.

    The message names the path, the reason and what to do; `errno` is the one of the operating system.
    """


def write_atomically(path, content):
    """Put `content` into the file `path`, wholly or not at all.

    The bytes go to a temporary file in the same folder, are forced to the disk and only then take the name
    `path`, so a reader and a crash see either the earlier file or the complete new one.

    Args:
        path: str or path-like.
        content: bytes-like object.

    Raises:
        CheckpointError: the file could not be written; the temporary file is removed and an earlier file at
            `path` is untouched.
    """
    path = os.fspath(path)
    folder, name = os.path.split(path)
    # The process id keeps two processes that save into one folder from writing into one temporary file.
    temporary = os.path.join(folder, f".{name}.{os.getpid()}.part")
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.remove(temporary)
        if isinstance(error, OSError):
            raise checkpoint_error(path, error) from error
        raise
    _sync_folder(folder or os.curdir)


def checkpoint_error(path, error):
    """The `CheckpointError` that tells the user about the OSError `error` met while writing `path`."""
    reason = error.strerror or str(error) or type(error).__name__
    cure = _CURES.get(error.errno, "check the disk and the folder's permissions")
    told = CheckpointError(
        f"Could not write {path}: {reason}. To mend: {cure}. "
        "Files written earlier, also an earlier one at this path, are intact."
    )
    told.errno = error.errno
    return told


def _sync_folder(folder):
    """Make the new name itself survive a power cut, where the platform lets a folder be synchronised."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
