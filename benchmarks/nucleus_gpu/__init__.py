"""Nuclei from random weights beside torchvision: `python -m benchmarks.nucleus_gpu --help`."""
