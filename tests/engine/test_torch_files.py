"""Files of PyTorch's world: read without running anything, refused where damaged, written so that others read them."""

import collections
import json
import os
import pickle
import random
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from mrcnn.engine.safetensors_files import encode_safetensors, read_safetensors
from mrcnn.engine.torch_files import encode_state, kind_of, read_state
from mrcnn.engine.weight_files import read_file

from .torch_states import arrays_of_all_kinds, detectron2_state, same_arrays, torchvision_state


def _needs(package):
    return pytest.importorskip(package, reason=f"{package} is not installed")


def _read(path):
    return read_state(path, kind_of(path))


@pytest.mark.parametrize("suffix", [".pkl", ".safetensors", ".pth"])
class TestEveryKind:
    @pytest.fixture(autouse=True)
    def _package(self, suffix):
        if suffix == ".pth":
            _needs("torch")

    def test_arrays_come_back_whatever_the_name_of_the_file(self, tmp_path, suffix):
        path = tmp_path / "weights"
        path.write_bytes(encode_state(arrays_of_all_kinds(), suffix, wrapped=False))
        assert same_arrays(_read(path), arrays_of_all_kinds())

    @pytest.mark.parametrize("kept", [0.02, 0.3, 0.7, 0.999])
    def test_truncated(self, tmp_path, suffix, kept):
        path = tmp_path / f"w{suffix}"
        content = bytes(encode_state(detectron2_state(), suffix, wrapped=True))
        path.write_bytes(content[: int(len(content) * kept)])
        with pytest.raises(ValueError, match="truncated or damaged") as caught:
            read_file(path)
        assert str(path) in str(caught.value)

    def test_half_precision_becomes_float32(self, tmp_path, suffix):
        path = tmp_path / f"w{suffix}"
        half = np.array([1.5, -0.25, 65504.0], "float16")
        path.write_bytes(encode_state({"a": half}, suffix, wrapped=False))
        assert same_arrays(_read(path), {"a": half.astype("float32")})

    def test_random_damage_is_refused_or_harmless(self, tmp_path, suffix):
        path, rng = tmp_path / f"w{suffix}", random.Random(0)
        content = bytes(encode_state(arrays_of_all_kinds(), suffix, wrapped=True))
        for _ in range(60):
            damaged = bytearray(content)
            damaged[rng.randrange(min(len(content), 400))] = rng.randrange(256)
            path.write_bytes(damaged)
            try:
                read_file(path)
            except ValueError as error:
                assert str(path) in str(error)


@pytest.mark.parametrize("wrap", [
    lambda state: {"model": state, "__author__": "somebody", "matching_heuristics": True},
    lambda state: {"state_dict": state, "epoch": 3, "optimizer": {"lr": 0.1}},
    lambda state: {"state_dict": {"model": state}},
    lambda state: {f"module.{key}": value for key, value in state.items()},
    lambda state: {"model": {f"module.{key}": value for key, value in state.items()}, "iteration": 9},
    lambda state: collections.OrderedDict(state),
    lambda state: {**state, "epoch": 3, "note": "text"},
])
@pytest.mark.parametrize("kind", ["pickle", "pth"])
def test_wrappers_and_prefixes_are_undone(tmp_path, wrap, kind):
    path = tmp_path / "w"
    if kind == "pth":
        torch = _needs("torch")
        torch.save(wrap({key: torch.from_numpy(value) for key, value in arrays_of_all_kinds().items()}), path)
    else:
        path.write_bytes(pickle.dumps(wrap(arrays_of_all_kinds())))
    assert kind_of(path) == kind
    assert same_arrays(_read(path), arrays_of_all_kinds())


@pytest.mark.parametrize("content", [{}, {"model": {}}, [1, 2], {"epoch": 3}, "text", np.zeros(3)])
def test_files_without_weights(tmp_path, content):
    (tmp_path / "w.pkl").write_bytes(pickle.dumps(content))
    with pytest.raises(ValueError, match="w.pkl holds no weights: expected a dict of arrays"):
        read_file(tmp_path / "w.pkl")


class TestSafetensors:
    def test_the_formats_own_package_reads_and_writes_the_same(self, tmp_path):
        package = _needs("safetensors.numpy")
        state = {key: np.ascontiguousarray(value) for key, value in arrays_of_all_kinds().items()}
        path = tmp_path / "w.safetensors"
        path.write_bytes(encode_safetensors(state))
        assert same_arrays(package.load_file(path), state)
        package.save_file(state, path, metadata={"format": "np"})
        assert same_arrays(read_safetensors(path), state)

    def test_bfloat16(self, tmp_path):
        values = np.array([1.0, -2.5, 3.0e38], "float32")
        upper = (values.view("uint32") >> 16).astype("uint16")
        header = json.dumps({"a": {"dtype": "BF16", "shape": [3], "data_offsets": [0, 6]}}).encode()
        path = tmp_path / "w.safetensors"
        path.write_bytes(len(header).to_bytes(8, "little") + header + upper.tobytes())
        read = read_safetensors(path)["a"]
        assert read.dtype == np.float32
        np.testing.assert_array_equal(read, (upper.astype("uint32") << 16).view("float32"))

    @pytest.mark.parametrize(
        ("entry", "reason"),
        [
            ({"dtype": "F8_E4M3", "shape": [4], "data_offsets": [0, 4]}, "type 'F8_E4M3'; known are F64"),
            ({"dtype": "F32", "shape": [1], "data_offsets": [0, 8]}, "damaged.*shape"),
            ({"dtype": "F32", "shape": [2], "data_offsets": [-4, 4]}, "damaged"),
            ({"dtype": "F32", "shape": [2]}, "damaged"),
            ([], "damaged"),
            ("deep", "damaged"),
        ],
    )
    def test_foreign_entries(self, tmp_path, entry, reason):
        header = json.dumps({"a": entry}).encode().replace(b'"deep"', b"[" * 100_000)
        path = tmp_path / "w.safetensors"
        path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(8))
        with pytest.raises(ValueError, match=reason):
            read_file(path)


class TestPth:
    @pytest.mark.parametrize("zipped", [True, False])
    def test_code_is_not_run_and_is_named(self, tmp_path, zipped):
        torch = _needs("torch")
        trap = tmp_path / "trap"

        class Hostile:
            def __reduce__(self):
                return os.mkdir, (str(trap),)

        path = tmp_path / "w.pth"
        torch.save({"model": {"a": torch.zeros(3), "b": Hostile()}}, path, _use_new_zipfile_serialization=zipped)
        with pytest.raises(ValueError, match=rf"w\.pth is refused.*asks for {os.mkdir.__module__}\.mkdir.*Nothing"):
            read_file(path)
        assert not trap.exists()

    @pytest.mark.parametrize("zipped", [True, False])
    def test_both_formats_and_half_precision(self, tmp_path, zipped):
        torch = _needs("torch")
        path = tmp_path / "w.pth"
        tensors = {
            "a": torch.tensor([1.0, -2.5], dtype=torch.bfloat16), "b": torch.tensor([0.5], dtype=torch.float16),
            "c": torch.nn.Parameter(torch.tensor([[3.0, 4.0]]).T),
        }
        torch.save(tensors, path, _use_new_zipfile_serialization=zipped)
        expected = {"a": [1.0, -2.5], "b": [0.5], "c": [[3.0], [4.0]]}
        assert kind_of(path) == "pth"
        assert same_arrays(_read(path), {key: np.array(value, "float32") for key, value in expected.items()})

    def test_a_scripted_model_is_refused(self, tmp_path):
        torch = _needs("torch")
        torch.jit.script(torch.nn.Linear(2, 2)).save(str(tmp_path / "w.pth"))
        with pytest.raises(ValueError, match="w.pth cannot be read.*state dict"):
            read_file(tmp_path / "w.pth")

    def test_pytorch_loads_what_is_written(self, tmp_path):
        torch = _needs("torch")
        path = tmp_path / "w.pth"
        path.write_bytes(encode_state(torchvision_state(), ".pth", wrapped=False))
        read = torch.load(path, weights_only=True)
        assert same_arrays({key: value.numpy() for key, value in read.items()}, torchvision_state())

    def test_a_pytorch_that_runs_code_all_the_same_is_not_used(self, tmp_path, monkeypatch):
        monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(__version__="2.5.1+cpu"))
        path = tmp_path / "w.pth"
        path.write_bytes(b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.")
        with pytest.raises(ImportError, match=r"PyTorch 2\.5\.1.*torch>=2\.6.*w\.pth"):
            read_file(path)

    def test_without_pytorch_one_error_says_what_to_install(self, tmp_path, monkeypatch):
        monkeypatch.setitem(sys.modules, "torch", None)
        path = tmp_path / "w.pth"
        path.write_bytes(b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.")
        with pytest.raises(ImportError, match=r"w\.pth.*pip install torch.*safetensors"):
            read_file(path)
