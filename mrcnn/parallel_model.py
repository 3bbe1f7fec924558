"""Matterport's import path of the wrapper for several GPUs; `GPU_COUNT` in the configuration does its work."""

from .engine.data_parallel import ParallelModel

__all__ = ["ParallelModel"]
