"""torchvision's Mask R-CNN, as tasks to be timed like ours, with its own compiled operations."""

import contextlib
import importlib.util

import numpy as np

from .pictures import ellipses, photograph

# A module of this name, where there is one, makes torchvision importable beside a PyTorch without CUDA.
HELPER = "tv_env"


def import_torchvision():
    """torch and torchvision.

    Raises:
        ImportError: one of them is missing or cannot be loaded.
    """
    import torch

    if importlib.util.find_spec(HELPER):
        importlib.import_module(HELPER)
    import torchvision

    return torch, torchvision


class Task:
    """What detection and training share: channels last, as it is fastest, and autocast for half precision."""

    def __init__(self, precision, image_size, batch, backbone, **options):
        self.torch, torchvision = import_torchvision()
        from torchvision.models.detection.backbone_utils import resnet_fpn_backbone

        torch = self.torch
        torch.manual_seed(0)
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.dtype = {"float32": None, "bfloat16": torch.bfloat16, "float16": torch.float16}[precision]
        network = resnet_fpn_backbone(backbone_name=backbone, weights=None, trainable_layers=5)
        for name, buffer in network.named_buffers():
            # The sums of many residual blocks with random weights would overflow, and nothing be detected.
            if name.endswith("bn3.weight"):
                buffer.fill_(0.2)
        self.model = torchvision.models.detection.MaskRCNN(
            network, num_classes=81, min_size=min(image_size), max_size=max(image_size), **options
        )
        self.model = self.model.to(self.device, memory_format=torch.channels_last)
        self.images = [_photograph(torch, *image_size, seed).to(self.device) for seed in range(batch)]

    def _precision(self):
        if self.dtype is None:
            return contextlib.nullcontext()
        return self.torch.autocast(self.device.type, self.dtype)

    def _wait(self):
        if self.device.type == "cuda":
            self.torch.cuda.synchronize()


class Detection(Task):
    """Detection on a batch of pictures, masks pasted."""

    def __init__(self, precision, image_size, batch, backbone, proposals, detections):
        # No threshold: the weights are random, and all detections shall be made.
        super().__init__(
            precision, image_size, batch, backbone, rpn_post_nms_top_n_test=proposals,
            box_detections_per_img=detections, box_score_thresh=0.0,
        )  # fmt: skip
        self.model.eval()

    def run(self):
        with self.torch.inference_mode(), self._precision():
            self.results = self.model(self.images)
        for result in self.results:
            # Ours returns whole numbers and bits in the host's memory.
            (result["masks"] > 0.5).cpu().numpy(), result["boxes"].float().cpu().numpy()
        self._wait()

    def counts(self):
        """What the last run made, by name."""
        return {"objects found": sum(len(result["labels"]) for result in self.results)}


class Training(Task):
    """One training step on a batch in the device's memory."""

    def __init__(self, precision, image_size, batch, backbone, objects, proposals, rois, positives):
        super().__init__(
            precision, image_size, batch, backbone, rpn_post_nms_top_n_train=proposals,
            box_batch_size_per_image=rois, box_positive_fraction=positives,
        )  # fmt: skip
        self.model.train()
        parameters = [p for p in self.model.parameters() if p.requires_grad]
        self.optimizer = self.torch.optim.SGD(parameters, lr=1e-5, momentum=0.9)
        self.targets = [self._target(*image_size, objects, seed) for seed in range(batch)]

    def _target(self, height, width, objects, seed):
        from torchvision.ops import masks_to_boxes

        masks = ellipses(height, width, objects, seed)
        boxes = masks_to_boxes(self.torch.as_tensor(np.moveaxis(masks, -1, 0)))
        arrays = {
            "boxes": boxes + self.torch.tensor([0.0, 0.0, 1.0, 1.0]),
            "labels": 1 + np.arange(objects) % 80,
            "masks": np.moveaxis(masks, -1, 0).astype(np.uint8),
        }
        return {name: self.torch.as_tensor(array).to(self.device) for name, array in arrays.items()}

    def run(self):
        with self._precision():
            loss = sum(self.model(self.images, self.targets).values())
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        self._wait()
        return loss.item()

    def counts(self):
        """Regions that the heads of a step see, of the whole batch."""
        heads, found = self.model.roi_heads, {}
        with contextlib.ExitStack() as hooks:
            for name, pool in (("regions", heads.box_roi_pool), ("positives", heads.mask_roi_pool)):
                hook = pool.register_forward_pre_hook(
                    lambda pool, inputs, name=name: found.update({name: sum(map(len, inputs[1]))})
                )
                hooks.callback(hook.remove)
            self.run()
        return found


def _photograph(torch, height, width, seed):
    return torch.as_tensor(photograph(height, width, seed)).permute(2, 0, 1).float() / 255
