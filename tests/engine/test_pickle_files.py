"""Pickles: read without running anything, and without memory that is not the file's."""

import collections
import importlib
import os
import pickle

import numpy as np
import pytest

from mrcnn.engine.pickle_files import encode_pickle, read_pickle
from mrcnn.engine.torch_files import kind_of, read_state
from mrcnn.engine.weight_files import read_file

from .torch_states import arrays_of_all_kinds, same_arrays

# Pieces of pickles, each of which leaves one value.
_NDARRAY, _ORDERED = b"cnumpy\nndarray\n", b"ccollections\nOrderedDict\n"
_RECONSTRUCT, _SCALAR = b"cnumpy.core.multiarray\n_reconstruct\n", b"cnumpy.core.multiarray\nscalar\n"
_FROM_BUFFER = b"cnumpy.core.numeric\n_frombuffer\n"
_LETTERS = b"C\x08AAAAAAAA"


def _call(function, *arguments):
    return function + b"(" + b"".join(arguments) + b"tR"


def _type(code):
    return _call(b"cnumpy\ndtype\n", b"U" + bytes([len(code)]) + code.encode(), b"\x89", b"\x88")


# The state of a type with one field.
_FIELDS = b"(K\x03U\x01|N(U\x01at}U\x01a(" + _type("f4") + b"K\x00tsK\x08K\x01K\x00t"


def _array(kind, content, shape=b"K\x01\x85"):
    empty = _call(_RECONSTRUCT, _NDARRAY, b"K\x00\x85", b"U\x01b")
    return empty + b"(K\x01" + shape + kind + b"\x89" + content + b"tb"


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("kind", [dict, collections.OrderedDict])
def test_every_protocol(tmp_path, protocol, kind):
    arrays = {
        **arrays_of_all_kinds(),
        "fortran": np.asfortranarray(np.ones((2, 3))), "whole": np.arange(3), "true": np.array([True]),
        "axes": np.arange(24.0).reshape(2, 3, 4).transpose(1, 2, 0),
        "long": np.arange(2000, dtype="float32").reshape(2, 1000)[:, ::2],
    }
    plain = {
        "number": np.float32(3), "list": [1, (2,)], "tuple": (1, 2, 3, 4), "text": "ä\n", "bytes": b"\xff\x00",
        "none": None, "truth": [True, False], "numbers": [-5, 300, 10**6, 2**70, 1.5], 7: {}, "again": kind(a=1),
    }
    (tmp_path / "w.pkl").write_bytes(pickle.dumps(kind({**arrays, **plain}), protocol))
    assert kind_of(tmp_path / "w.pkl") == "pickle"
    read = read_pickle(tmp_path / "w.pkl")
    assert {key: read[key] for key in plain} == plain
    assert same_arrays({key: read[key] for key in arrays}, arrays)


def test_python_2(tmp_path):
    """Whose text and bytes were one type, also as the numbers of an array."""
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntU\x01btR(I1\n(I2\ntcnumpy\ndtype\n"
        b"(U\x02f4I0\nI1\ntR(I3\nU\x01<NNNI-1\nI-1\nI0\ntbI00\nU\x08\x00\x00\x80?\x00\x00\x00\xc0tb"
    )
    (tmp_path / "w.pkl").write_bytes(b"\x80\x02}U\x05modelccollections\nOrderedDict\n(((U\x01a" + array + b"tltRs.")
    assert same_arrays(read_state(tmp_path / "w.pkl", "pickle"), {"a": np.array([1, -2], "float32")})


def test_sets(tmp_path):
    (tmp_path / "w.pkl").write_bytes(pickle.dumps([{1, "b"}, frozenset([2])], 4))
    assert read_pickle(tmp_path / "w.pkl") == [{1, "b"}, frozenset([2])]


def test_other_byte_order(tmp_path):
    (tmp_path / "w.pkl").write_bytes(pickle.dumps({"a": np.arange(3, dtype=">f4")}))
    assert same_arrays(read_state(tmp_path / "w.pkl", "pickle"), {"a": np.arange(3, dtype="float32")})


def test_written_ones_are_read_by_the_plain_unpickler_and_name_nothing_that_numpy_1_lacks():
    content = encode_pickle({"model": arrays_of_all_kinds()})
    assert b"numpy._core" not in content and same_arrays(pickle.loads(content)["model"], arrays_of_all_kinds())


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize(
    ("function", "named"),
    [
        (os.mkdir, os.mkdir.__module__), (eval, "builtins"), (getattr, "builtins"),
        (importlib.import_module, "importlib"),
    ],
)
def test_code_is_not_run_and_is_named(tmp_path, protocol, function, named):
    trap = tmp_path / "trap"
    arguments = (str(trap),) if function is os.mkdir else (f"__import__('os').mkdir({str(trap)!r})",)

    class Hostile:
        def __reduce__(self):
            return function, arguments

    path = tmp_path / "w.pkl"
    path.write_bytes(pickle.dumps({"model": {"a": np.zeros(3), "b": Hostile()}}, protocol))
    named = "__builtin__" if protocol == 2 and named == "builtins" else named
    with pytest.raises(ValueError, match=rf"w\.pkl is refused.*asks for {named}\.{function.__name__}.*Nothing"):
        read_file(path)
    assert not trap.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x02cnumpy\nload\n.", b"\x80\x02cnumpy.testing._private.utils\nruncall\n.", b"\x80\x02cos\nsystem\n.",
        b"\x80\x04\x8c\x05numpy\x8c\x11ndarray.__class__\x93.", b"\x80\x02X\x01\x00\x00\x00aQ.",
        b"\x80\x02c_codecs\nencode\nX\x01\x00\x00\x00aX\x05\x00\x00\x00rot13\x86R.", b"cos\nsystem\n(S'true'\ntR.",
        b"\x80\x02(X\x01\x00\x00\x00aios\nsystem\n.", b"\x80\x02\x82\x01.",
        b"\x80\x02ccollections\nOrderedDict\n)\x81.",
        b"\x80\x05\x97.", b"\x80\x02P1\n.",
    ],
)
def test_nothing_but_arrays_is_found(tmp_path, content):
    (tmp_path / "w.pkl").write_bytes(content)
    with pytest.raises(ValueError, match="w.pkl is refused"):
        read_file(tmp_path / "w.pkl")


@pytest.mark.parametrize(
    ("content", "named"),
    [
        # The eight letters would be the address of an object.
        (_ORDERED + _call(_NDARRAY, b"K\x01\x85", _type("O"), _LETTERS) + b"\x85R", "type 'O'"),
        (_call(_SCALAR, _type("O"), _LETTERS), "type 'O'"),
        (_call(_FROM_BUFFER, _LETTERS, _type("O"), b"K\x01\x85", b"U\x01C"), "type 'O'"),
        (_array(_type("O8"), _LETTERS), "type 'O8'"),
        (_array(_type("V8"), _LETTERS), "type 'V8'"),
        (_call(_SCALAR, _type("V8") + _FIELDS + b"b", _LETTERS), "type 'V8'"),
        (_array(_type("f4") + _FIELDS + b"b", _LETTERS), "records"),
        (_array(_type("U2"), _LETTERS), "type 'U2'"),
        (_call(_NDARRAY, b"K\x02\x85", _type("f4"), _LETTERS), "a call of what is no function"),
        (_call(_RECONSTRUCT, _ORDERED, b"K\x00\x85", b"U\x01b"), "an array of a class of its own"),
        (_array(_NDARRAY, _LETTERS), "something else than numbers"),
        (_array(_type("f4"), b"]"), "something else than numbers"),
        (b"c_codecs\nencode\nN}U\x08__name__U\x06HACKEDs\x86b", "a change of a value of the type function"),
        (_NDARRAY + b"N}U\x01aU\x01bs\x86b", "a change of a value of the type object"),
        (_ORDERED + b")R}U\x09__class__" + _NDARRAY + b"sb", "a change of a value of the type dict"),
        (b"]}b", "a change of a value of the type list"),
        (b"})" + b"\x85" * 100_000 + b"K\x01s", "a key of the type tuple"),
    ],
)
def test_no_object_but_arrays_of_numbers_is_made_or_changed(tmp_path, content, named):
    (tmp_path / "w.pkl").write_bytes(b"\x80\x03" + content + b".")
    with pytest.raises(ValueError, match=f"w.pkl is refused.*asks for .*{named}"):
        read_pickle(tmp_path / "w.pkl")


@pytest.mark.parametrize(
    "content",
    [
        _array(_type("f4"), _LETTERS, b"K\x03\x85"),
        _array(_type("f4"), _LETTERS, b"K\x01\x85"),
        _array(_type("f4"), _LETTERS, b"J\xff\xff\xff\xff\x85"),
        # Whose product is a multiple of two to the 64.
        _array(_type("f4"), b"C\x00", b"\x8a\x05\x00\x00\x00\x00\x01\x8a\x05\x00\x00\x00\x00\x01\x86"),
        b"\x8e" + (2**50).to_bytes(8, "little"),
        b"\x96" + (2**36).to_bytes(8, "little"),
        b"X\xff\xff\xff\xff",
        b"K\x01r\xff\xff\xff\xffh\x00",
        b"K\x01a", b"K\x01K\x02\x86e", b"}K\x01s", b"}(K\x01u", b"R", b"", b"K\x01K\x02\x93", b"t",
    ],
)
def test_what_does_not_fit_is_damage_and_takes_no_memory(tmp_path, content):
    (tmp_path / "w.pkl").write_bytes(b"\x80\x05" + content + b".")
    with pytest.raises(ValueError, match="w.pkl cannot be read as a pickle: it is truncated or damaged"):
        read_pickle(tmp_path / "w.pkl")


@pytest.mark.parametrize("content", [b"}q\x00U\x05modelh\x00s", b"]" * 300_000 + b"a" * 299_999])
def test_a_wrapper_in_itself_and_endless_depth(tmp_path, content):
    (tmp_path / "w.pkl").write_bytes(b"\x80\x02" + content + b".")
    with pytest.raises(ValueError, match="w.pkl holds no weights"):
        read_file(tmp_path / "w.pkl")
