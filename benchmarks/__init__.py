"""Measurements against other implementations; run with `python -m benchmarks.NAME` in the root of the repository."""
