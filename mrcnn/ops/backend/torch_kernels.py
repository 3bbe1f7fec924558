"""Kernels for PyTorch."""

import torch


def top_k(values, k):
    """See `ops.sampling.top_k`. A stable sort, as `torch.topk` leaves the order of equals open."""
    values, indices = torch.sort(values, dim=-1, descending=True, stable=True)
    return values[..., :k], indices[..., :k].to(torch.int32)
