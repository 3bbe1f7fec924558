"""Training on several devices at once, each with its part of every batch.

Whether the losses and the step are the same numbers as on one device depends on the backend:

- JAX divides one program for the whole batch among the devices: they are the same, up to rounding.
- On TensorFlow each device divides the sum of a loss by the number of samples in its own images, and the devices' mean
  is taken, as in Matterport's `ParallelModel`. That is the same number where all parts of the batch have equally many
  samples: always for the weight decay, as a rule for `rpn_class_loss` and `mrcnn_class_loss`, whose samples have a
  fixed size. `rpn_bbox_loss`, `mrcnn_bbox_loss` and `mrcnn_mask_loss` count positives: an object weighs more beside few
  others. The devices draw the same random numbers, each for its own images; the gradient of each is clipped by itself,
  to its share of `GRADIENT_CLIP_NORM`; batch norm in training mode sees one device's images, and the first device's
  moving statistics are the ones that checkpoints keep.
"""

import warnings
from collections.abc import Callable
from contextlib import nullcontext
from typing import NamedTuple

import keras

from ..ops.backend import kernel


class BatchSharing(NamedTuple):
    """How a model is trained on `device_count` devices.

    Attributes:
        device_count: number of devices that share a batch.
        model_scope: makes the context manager in which the model is built and compiled.
        fit_scope: makes the one in which its training state is restored and it is fitted.
    """

    device_count: int = 1
    model_scope: Callable = nullcontext
    fit_scope: Callable = nullcontext

    def check(self, batch_size):
        """Raises ValueError for a batch that does not divide by the devices."""
        if batch_size % self.device_count:
            raise ValueError(
                f"BATCH_SIZE = {batch_size}: the model was made for {self.device_count} devices, and the batch does "
                "not divide by their number. Set IMAGES_PER_GPU and GPU_COUNT before the model is made."
            )


def share_batches(config):
    """Chooses the devices: up to `GPU_COUNT` of those that exist, of a number that divides the batch.

    A line is printed where they are fewer than `GPU_COUNT`. CPUs count where there is no GPU; of those there is one
    unless the backend was told to make more.

    Returns:
        `BatchSharing`.
    """
    if config.GPU_COUNT == 1:
        return BatchSharing()
    devices = kernel("sharing_devices")()
    count = largest_divisor(config.BATCH_SIZE, min(config.GPU_COUNT, max(1, len(devices))))
    if count < config.GPU_COUNT:
        print(_explanation(config.GPU_COUNT, config.BATCH_SIZE, len(devices), count))
    return BatchSharing(count, *kernel("share_batches")(devices[:count])) if count > 1 else BatchSharing()


def largest_divisor(number, limit):
    """The largest divisor of `number` that is at most `limit`."""
    return next(divisor for divisor in range(limit, 0, -1) if number % divisor == 0)


def _explanation(wanted, batch, here, used):
    reasons = []
    if not here:
        reasons.append(f"{keras.backend.backend()} trains on 1 device")
    elif here < wanted:
        reasons.append(f"{_devices(here)} {'is' if here == 1 else 'are'} here")
    if used < min(wanted, here):
        reasons.append(f"{batch} images do not divide by {min(wanted, here)}")
    share = f"{_devices(used)}, {batch // used} images on each" if here > 1 else "it"
    return f"GPU_COUNT={wanted}, but {' and '.join(reasons)}: the batch of {batch} runs on {share}."


def _devices(count):
    return "1 device" if count == 1 else f"{count} devices"


def ParallelModel(keras_model, gpu_count):  # noqa: N802
    """Gives `keras_model` back: `GPU_COUNT` of the configuration is what trains on several devices.

    It warns so. The model gets the attribute `inner_model`, itself, by which scripts know Matterport's wrapper and
    reach the layers in it.
    """
    warnings.warn(
        f"ParallelModel has nothing to wrap: set GPU_COUNT = {gpu_count} in the configuration, and training shares "
        "every batch among that many devices. The model is returned as it is.",
        stacklevel=2,
    )
    # Keras would take an ordinary attribute for a layer of the model, and the model for a part of itself.
    object.__setattr__(keras_model, "inner_model", keras_model)
    return keras_model
