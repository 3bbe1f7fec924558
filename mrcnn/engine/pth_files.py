"""PyTorch's own files: the one place outside `ops/backend` that names it, and only when such a file is met."""

import io
import pickle
import re

import numpy as np

# Before it, a file could run code in spite of `weights_only` (CVE-2025-32434).
_OLDEST = (2, 6)


def read_pth(path):
    """The object in the file `path`, with numpy arrays for tensors; half precision becomes float32.

    PyTorch reads it with `weights_only`, which runs nothing that the file asks for.

    Raises:
        ImportError: PyTorch is not installed, or one that is not safe.
        ValueError: the file is damaged, or holds more than tensors and plain containers.
    """
    torch = _torch(path)
    try:
        return _as_arrays(torch, torch.load(path, map_location="cpu", weights_only=True))
    except pickle.UnpicklingError as error:
        named = re.search(r"GLOBAL (\S+)", str(error))
        if not named:
            raise _damaged(path, error) from error
        raise ValueError(
            f"{path} is refused: besides tensors it asks for {named[1]}, which could run a stranger's code. Nothing of "
            "it was run. If you trust the file, open it with the program that wrote it and save its weights as "
            ".safetensors."
        ) from error
    # Random bytes can make PyTorch raise almost anything.
    except Exception as error:
        raise _damaged(path, error) from error


def encode_pth(content):
    """The bytes of a file of PyTorch with `content`: dicts of arrays, which become tensors, numbers and text.

    Raises:
        ImportError: see `read_pth`.
    """
    torch = _torch("a .pth file")
    buffer = io.BytesIO()
    torch.save(_as_tensors(torch, content), buffer)
    return buffer.getbuffer()


def _torch(path):
    try:
        import torch
    except ImportError as error:
        raise ImportError(
            f"Only PyTorch reads and writes {path}, and it is not installed here: pip install torch. Without it: use "
            "a .safetensors file, or convert this one where PyTorch is installed."
        ) from error
    if tuple(int(number) for number in torch.__version__.split(".")[:2]) < _OLDEST:
        raise ImportError(
            f"PyTorch {torch.__version__} can be made to run code by a weight file: pip install 'torch>="
            f"{'.'.join(map(str, _OLDEST))}' to read and write {path}, or use a .safetensors file."
        )
    return torch


def _damaged(path, error):
    reason = str(error).strip().split("\n")[0]
    return ValueError(
        f"{path} cannot be read as a file of PyTorch: it is truncated or damaged, or a scripted model "
        f"({type(error).__name__}: {reason}). Delete it and download or copy it again, or save its state dict."
    )


def _as_arrays(torch, value):
    if isinstance(value, dict):
        return {key: _as_arrays(torch, part) for key, part in value.items()}
    if not isinstance(value, torch.Tensor):
        return value
    return (value.float() if value.dtype in (torch.float16, torch.bfloat16) else value).detach().numpy()


def _as_tensors(torch, value):
    if isinstance(value, dict):
        return {key: _as_tensors(torch, part) for key, part in value.items()}
    return torch.from_numpy(value) if isinstance(value, np.ndarray) else value
