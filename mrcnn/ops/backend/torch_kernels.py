"""Kernels for PyTorch."""

import keras
import torch


def top_k(values, k):
    """See `ops.sampling.top_k`. A stable sort, as `torch.topk` leaves the order of equals open."""
    values, indices = torch.sort(values, dim=-1, descending=True, stable=True)
    return values[..., :k], indices[..., :k].to(torch.int32)


def grouped_conv(x, kernel, strides, padding, groups):
    """See `generic.grouped_conv`. PyTorch has it as one operation."""
    return keras.ops.conv(x, kernel, strides, padding, data_format="channels_last")
