"""The safetensors format: eight bytes with the length of a JSON header, the header, the arrays one after the other."""

import json
import math

import numpy as np

_DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "|i1", "U8": "|u1",
    "BOOL": "|b1",
}  # fmt: skip
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}
_ALIGNMENT = 8
_METADATA = "__metadata__"


def read_safetensors(path):
    """The arrays of the file `path`, {key: array}; bfloat16, which numpy lacks, becomes float32.

    Raises:
        ValueError: the file is truncated or damaged, or has a type of numbers that is not known here.
    """
    with open(path, "rb") as file:
        content = file.read()
    start = 8 + int.from_bytes(content[:8], "little")
    try:
        header = json.loads(content[8:start])
        return {key: _array(content, start, **entry) for key, entry in header.items() if key != _METADATA}
    except KeyError as error:
        raise ValueError(
            f"{path} has numbers of the type {error}; known are {', '.join([*_DTYPES, 'BF16'])}. Save the weights as "
            "float32 with the program that wrote them."
        ) from error
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(
            f"{path} cannot be read as safetensors: it is truncated or damaged ({len(content)} bytes; {error}). Delete "
            "it and download or copy it again."
        ) from error


def _array(content, start, dtype, shape, data_offsets):
    begin, end = data_offsets
    stored = np.dtype("<u2" if dtype == "BF16" else _DTYPES[dtype])
    if not 0 <= begin <= end <= len(content) - start or end - begin != math.prod(shape) * stored.itemsize:
        raise ValueError(f"an array of the shape {shape} should lie in the bytes {begin} to {end} of the data")
    array = np.frombuffer(content, stored, math.prod(shape), start + begin).reshape(shape)
    # bfloat16 is the upper half of a float32.
    return (array.astype("<u4") << 16).view("<f4") if dtype == "BF16" else array


def encode_safetensors(state):
    """The bytes of a safetensors file.

    Args:
        state: {key: array} of one of the types of the format.
    """
    header, parts, end = {_METADATA: {"format": "pt"}}, [], 0
    for key, value in state.items():
        stored = np.ascontiguousarray(value, value.dtype.newbyteorder("<"))
        begin, end = end, end + stored.nbytes
        header[key] = {"dtype": _NAMES[stored.dtype.str], "shape": list(value.shape), "data_offsets": [begin, end]}
        parts.append(stored.tobytes())
    encoded = json.dumps(header, separators=(",", ":")).encode("utf8")
    encoded += b" " * (-len(encoded) % _ALIGNMENT)
    return b"".join([len(encoded).to_bytes(8, "little"), encoded, *parts])
