"""How fast, how large, and how far from what the machine can do: `python -m benchmarks --help`."""
