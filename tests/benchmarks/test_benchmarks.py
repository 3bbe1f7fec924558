"""The benchmarks count what they say, and every command runs."""

import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from benchmarks.floor import Product, count_products, measure_floor
from benchmarks.pictures import ellipses, photograph
from benchmarks.rows import Row, machine, show, versions
from benchmarks.sides import Side, alternate, sides
from mrcnn.layers.window_conv import WindowConv2D

ROOT = Path(__file__).parents[2]
KEYS = {"name", "median_s", "min_s", "max_s", "floor_s", "ratio_to_floor", "peak_mib", "parts", "backend",
        "precision", "image_size", "batch", "backbone", "versions", "machine"}  # fmt: skip


class Echo:
    """A task for the tests of `Side`."""

    def __init__(self, word="hello"):
        self.word = word

    def say(self, more):
        return self.word + more

    def run(self):
        pass

    def fail(self):
        raise ValueError("no such luck")


class TestFloor:
    @pytest.mark.parametrize(
        ("product", "count"),
        [
            (Product("conv", (2, 8, 8, 3), (3, 3, 3, 5), (1, 1), "same"), 2 * 8 * 8 * 3 * 3 * 3 * 5),
            (Product("conv", (1, 9, 9, 3), (3, 3, 3, 5), (2, 2), "valid"), 4 * 4 * 3 * 3 * 3 * 5),
            (Product("conv", (1, 9, 9, 3), (1, 1, 3, 5), (2, 2), "same"), 5 * 5 * 3 * 5),
            (Product("deconv", (1, 4, 4, 3), (2, 2, 5, 3), (2, 2), "valid"), 4 * 4 * 2 * 2 * 5 * 3),
            (Product("matmul", (7, 3), (3, 5)), 7 * 3 * 5),
        ],
    )
    def test_multiplications(self, product, count):
        assert product.multiplications() == count

    def test_counts_what_a_model_does(self):
        layers = keras.layers
        model = keras.Sequential([
            keras.Input((8, 8, 3)), layers.Conv2D(4, 3, padding="same"), layers.Conv2DTranspose(2, 2, strides=2),
            WindowConv2D(6, 16), layers.Flatten(), layers.Dense(5),
        ])  # fmt: skip
        products = count_products(lambda: model(np.zeros((2, 8, 8, 3), "float32")))
        assert products == {
            Product("conv", (2, 8, 8, 3), (3, 3, 3, 4), (1, 1), "same"): 1,
            Product("deconv", (2, 8, 8, 4), (2, 2, 2, 4), (2, 2), "valid"): 1,
            Product("matmul", (2, 512), (512, 6)): 1,
            Product("matmul", (2, 6), (6, 5)): 1,
        }

    def test_time_and_rate_belong_together(self):
        floor = measure_floor({Product("matmul", (64, 64), (64, 64)): 3}, "float32", repeats=2)
        assert floor["multiplications"] == pytest.approx(3 * 64**3 / 1e9)
        assert floor["rate"] == pytest.approx(floor["multiplications"] / floor["seconds"])


class TestSides:
    def test_calls_cross_the_process(self):
        with sides(lambda: Side("tests.benchmarks.test_benchmarks:Echo", {"word": "good "})) as (side,):
            assert side.call("say", "day") == "good day"
            assert side.time() >= 0 and side.peak_mib() > 1
            with pytest.raises(RuntimeError, match="no such luck"):
                side.call("fail")
            assert [len(times) for times in alternate([side, side], repeats=3)] == [3, 3]

    def test_a_side_that_cannot_start_says_why(self):
        with pytest.raises(RuntimeError, match="unexpected keyword argument 'volume'"):
            Side("tests.benchmarks.test_benchmarks:Echo", {"volume": 11})


def test_row_has_every_key():
    names = ("backend", "precision", "image_size", "batch", "backbone")
    found = Row("x", [0.3, 0.1, 0.2], floor_s=0.1, settings=dict.fromkeys(names, 1)).as_dict()
    assert set(found) >= KEYS and found["median_s"] == 0.2 and found["ratio_to_floor"] == pytest.approx(2)
    assert "numpy" in versions() and machine()["cores"] >= 1


def test_table(capsys):
    show([Row("one thing", [0.25], parts={"a": 0.2, "b": 0.05}, notes={"objects": 3})])
    printed = capsys.readouterr().out
    assert "| one thing | 0.25" in printed and "a 0.2000 (80.0%)" in printed and "objects 3" in printed


def test_pictures_are_the_same_again():
    np.testing.assert_array_equal(photograph(60, 80, 3), photograph(60, 80, 3))
    masks = ellipses(60, 80, 5)
    assert masks.shape == (60, 80, 5) and masks.any(axis=(0, 1)).all()


def benchmark(tmp_path, *args):
    path = tmp_path / "rows.json"
    command = [sys.executable, "-m", "benchmarks", *args, "--repeats", "1", "--json", str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout, json.loads(path.read_text())


@pytest.mark.slow
@pytest.mark.parametrize(("command", "expected"), [
    ("detect", ["detect"]),
    pytest.param("train", ["train", "train, fed by the loader"], marks=pytest.mark.longest),
    pytest.param("memory", ["memory, Detection", "memory, Training"], marks=pytest.mark.longest),
])  # fmt: skip
def test_command(tmp_path, command, expected):
    printed, rows = benchmark(tmp_path, command, "--image-size", "128", "--runs", "20", "--no-peer")
    assert [row["name"] for row in rows] == expected
    assert all(set(row) >= KEYS and row["name"] in printed for row in rows)
    if command == "detect":
        assert rows[0]["ratio_to_floor"] > 0.5 and {"host", "backbone", "proposals", "pasting"} <= set(rows[0]["parts"])


@pytest.mark.longest
@pytest.mark.slow
def test_data_command(tmp_path):
    _, rows = benchmark(tmp_path, "data", "--image-size", "256")
    assert "load_image_gt, mini masks, flip" in [row["name"] for row in rows]


@pytest.mark.longest
@pytest.mark.slow
def test_ops_command(tmp_path):
    _, rows = benchmark(tmp_path, "ops", "--no-peer")
    assert len(rows) == 10


@pytest.mark.longest
@pytest.mark.slow
def test_devices_command(tmp_path):
    arguments = "devices", "--image-size", "128", "--devices"
    _, rows = benchmark(tmp_path, *arguments, "1")
    (row,) = rows
    assert row["batch"] == 1 and row["notes"]["images a second"] == pytest.approx(1 / row["median_s"])
    with pytest.raises(AssertionError, match="999 devices were asked for"):
        benchmark(tmp_path, *arguments, "999")
