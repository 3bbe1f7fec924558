"""What a benchmark reports: rows, where they were measured, and the table that shows them."""

import importlib.metadata
import json
import os
import platform
import statistics
from dataclasses import asdict, dataclass, field

PACKAGES = ("mrcnn", "keras", "tensorflow", "jax", "torch", "torchvision", "numpy", "opencv-python")
COLUMNS = ("name", "median_s", "min_s", "max_s", "floor_s", "ratio_to_floor", "peak_mib")


@dataclass
class Row:
    """One measured thing.

    Attributes:
        name: what was measured.
        seconds: the single times.
        floor_s: time of the network's multiplications alone, None where there is no network.
        peak_mib: highest resident memory of the process that measured, None where it was shared.
        parts: seconds of each part by name, measured apart.
        settings: backend, precision, image_size, batch, backbone.
        notes: further figures by name.
    """

    name: str
    seconds: list
    floor_s: float = None
    peak_mib: float = None
    parts: dict = field(default_factory=dict)
    settings: dict = field(default_factory=dict)
    notes: dict = field(default_factory=dict)

    @property
    def median_s(self):
        return statistics.median(self.seconds)

    @property
    def ratio_to_floor(self):
        return self.median_s / self.floor_s if self.floor_s else None

    def as_dict(self):
        """Everything of it, flat, for JSON."""
        numbers = {
            "median_s": self.median_s,
            "min_s": min(self.seconds),
            "max_s": max(self.seconds),
            "ratio_to_floor": self.ratio_to_floor,
        }
        return asdict(self) | numbers | self.settings | {"versions": versions(), "machine": machine()}


def versions():
    """Installed versions of the packages that matter, by name."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def machine():
    """The processor, its number of cores that may be used, and the vector instructions it says it has."""
    described = {"cores": len(os.sched_getaffinity(0)), "system": platform.system()}
    try:
        with open("/proc/cpuinfo") as file:
            lines = dict(line.split(":", 1) for line in file.read().split("\n\n")[0].splitlines() if ":" in line)
    except OSError:
        return described | {"processor": platform.processor()}
    values = {name.strip(): value.strip() for name, value in lines.items()}
    flags = values.get("flags", "").split()
    vectors = [flag for flag in flags if flag.startswith(("avx", "amx"))]
    return described | {"processor": values.get("model name", "unknown"), "vectors": " ".join(vectors)}


def show(rows, file=None):
    """Prints the rows as a Markdown table, their parts and notes below."""
    cells = [COLUMNS] + [[_cell(row.as_dict()[column]) for column in COLUMNS] for row in rows]
    widths = [max(len(line[i]) for line in cells) for i in range(len(COLUMNS))]
    cells.insert(1, ["-" * width for width in widths])
    for line in cells:
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |", file=file)
    for row in rows:
        if row.parts:
            total = sum(row.parts.values())
            shares = ", ".join(f"{name} {value:.4f} ({value / total:.1%})" for name, value in row.parts.items())
            print(f"\nParts of {row.name}, seconds: {shares}.", file=file)
        if row.notes:
            notes = ", ".join(f"{name} {_cell(value)}" for name, value in row.notes.items())
            print(f"\nNotes on {row.name}: {notes}.", file=file)


def write(rows, path):
    """Writes the rows to a JSON file."""
    with open(path, "w") as file:
        json.dump([row.as_dict() for row in rows], file, indent=1)
        file.write("\n")


def _cell(value):
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
