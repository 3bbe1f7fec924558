"""Kernels for PyTorch."""

import torch


def top_k(values, k):
    """See `ops.sampling.top_k`. `torch.topk` leaves the order of equal values open, a stable sort does not."""
    values, indices = torch.sort(values, dim=-1, descending=True, stable=True)
    return values[..., :k], indices[..., :k].to(torch.int32)
