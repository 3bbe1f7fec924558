"""torchvision's part of the comparison on nuclei."""

import math
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from mrcnn.data.masks import unmold_masks
from mrcnn.engine.inference import mold_inputs
from samples.nucleus import nucleus

from .shared import SMOKE_TIMING, TIMING, data_generator, measure, read_row, speed, training_config, write_row


class Peer:
    """torchvision's Mask R-CNN behind the two attributes that `evaluate` needs: `detect` and `config`."""

    def __init__(self, network, config, device):
        self.network, self.config, self.device = network.eval(), config, device

    def detect(self, images, verbose=0):
        """As `MaskRCNN.detect`, on the same enlarged and padded images, in float32."""
        return [self._detect(image) for image in images]

    def _detect(self, image):
        import torch

        (molded,), _, ((top, left, bottom, right),) = mold_inputs([image], self.config)
        with torch.inference_mode():
            found = self.network([torch.from_numpy(molded).permute(2, 0, 1).to(self.device)])[0]
        found = {name: value.cpu().numpy() for name, value in found.items()}
        height, width = image.shape[:2]
        zoom_y, zoom_x = height / (bottom - top), width / (right - left)
        boxes = (found["boxes"][:, [1, 0, 3, 2]] - [top, left, top, left]) * [zoom_y, zoom_x, zoom_y, zoom_x]
        boxes = np.rint(np.clip(boxes, 0, [height, width, height, width])).astype(np.int32)
        keep = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
        # Not torchvision's own paste: at the small original size even true masks would not score above 0.87 with it.
        masks = unmold_masks(found["masks"][keep, 0], boxes[keep], (height, width))
        return {"rois": boxes[keep], "class_ids": found["labels"][keep].astype(np.int32),
                "scores": found["scores"][keep], "masks": masks}


def peer_network(args, device):
    """torchvision's Mask R-CNN for images that are already resized, centred and, in a batch, of one size."""
    import torch
    from torchvision.models.detection import MaskRCNN
    from torchvision.models.detection.anchor_utils import AnchorGenerator
    from torchvision.models.detection.backbone_utils import resnet_fpn_backbone

    backbone = resnet_fpn_backbone(backbone_name="resnet18" if args.smoke else "resnet50", weights=None,
                                   norm_layer=lambda channels: torch.nn.GroupNorm(32, channels), trainable_layers=5)
    scales = nucleus.NucleusConfig.RPN_ANCHOR_SCALES
    network = MaskRCNN(
        backbone, num_classes=nucleus.NucleusConfig.NUM_CLASSES,
        rpn_anchor_generator=AnchorGenerator(tuple((scale,) for scale in scales), ((0.5, 1.0, 2.0),) * len(scales)),
        rpn_post_nms_top_n_test=nucleus.NucleusConfig.POST_NMS_ROIS_INFERENCE,
        box_detections_per_img=nucleus.NucleusConfig.DETECTION_MAX_INSTANCES,
        min_size=args.image_size, max_size=args.image_size, image_mean=[0.0, 0.0, 0.0], image_std=[1.0, 1.0, 1.0])
    # No resizing on the way in, whatever the size, and none of the boxes and small masks on the way out.
    network.transform.resize = lambda image, target=None: (image, target)
    network.transform.batch_images = lambda images, size_divisible=32: torch.stack(images).contiguous(
        memory_format=torch.channels_last)
    network.transform.postprocess = lambda result, image_shapes, original_sizes: result
    # Boxes are decoded in the type of these outputs, and bfloat16 knows only every second pixel beyond 256.
    for module in (network.rpn.head, network.roi_heads.box_predictor):
        module.register_forward_hook(lambda module, inputs, outputs: _as_float32(outputs))
    return network.to(device, memory_format=torch.channels_last)


def _as_float32(outputs):
    """The tensors of a nest of tuples and lists in float32."""
    if isinstance(outputs, (tuple, list)):
        return type(outputs)(_as_float32(part) for part in outputs)
    return outputs.float()


def peer_batch(inputs):
    """A generator's batch with full-size masks as torchvision wants it: images [B, 3, H, W] and a target an image."""
    import torch

    images, _, class_ids, boxes, masks = inputs
    targets = []
    for row, count in enumerate(np.count_nonzero(class_ids, axis=1)):
        targets.append({"boxes": torch.from_numpy(boxes[row, :count][:, [1, 0, 3, 2]]),
                        "labels": torch.from_numpy(class_ids[row, :count].astype(np.int64)),
                        "masks": torch.from_numpy(masks[row, :, :, :count].transpose(2, 0, 1).astype(np.uint8))})
    return torch.from_numpy(images).permute(0, 3, 1, 2), targets


def peer_batches(dataset, config, args, total):
    """The batches of `total` steps, loaded ahead by threads: those that `run_ours` saw, in its order."""

    def load(step):
        # A generator each, as its epoch is state that threads at work in two epochs cannot share.
        generator = data_generator(dataset, config, args)
        generator.epoch, index = divmod(step, config.STEPS_PER_EPOCH)
        return peer_batch(generator[index][0])

    with ThreadPoolExecutor(config.WORKERS) as pool:
        ahead = min(total, config.WORKERS + 2)
        waiting = deque(pool.submit(load, step) for step in range(ahead))
        for step in range(total):
            batch = waiting.popleft().result()
            if step + ahead < total:
                waiting.append(pool.submit(load, step + ahead))
            yield batch


class PeerTrainer:
    """One training step of torchvision's network with its fast settings; gradients are clipped as is usual there."""

    def __init__(self, network, config, device, precision):
        import torch

        self.torch, self.network, self.device = torch, network.train(), device
        self.parameters = [p for p in network.parameters() if p.requires_grad]
        self.optimizer = torch.optim.Adam(self.parameters, config.LEARNING_RATE, fused=device.type == "cuda" or None)
        self.clip_norm = config.GRADIENT_CLIP_NORM
        self.autocast = {"device_type": device.type, "dtype": torch.bfloat16, "enabled": precision == "bfloat16"}

    def set_rate(self, rate):
        """The learning rate from here on."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate

    def step(self, batch):
        """Learn from one batch of `peer_batch`; returns the loss, still on the device."""
        images, targets = batch
        images = images.to(self.device)
        targets = [{name: value.to(self.device) for name, value in target.items()} for target in targets]
        with self.torch.autocast(**self.autocast):
            loss = sum(self.network(list(images), targets).values())
        self.optimizer.zero_grad()
        loss.backward()
        self.torch.nn.utils.clip_grad_norm_(self.parameters, self.clip_norm)
        self.optimizer.step()
        return loss.detach()


def train_peer(trainer, batches, rates, steps_per_epoch):
    """Train through all batches; returns (steps, began, first, ended, loss of each epoch's last batch)."""
    began, first, steps, losses = time.monotonic(), None, 0, []
    for batch in batches:
        if steps % steps_per_epoch == 0:
            trainer.set_rate(rates[steps // steps_per_epoch])
        loss = trainer.step(batch)
        steps += 1
        if steps == 1:
            float(loss)
            first = time.monotonic()
        if steps % steps_per_epoch == 0:
            losses.append(float(loss))
            print(f"epoch {len(losses)} of {len(rates)}: loss {losses[-1]:.4f}, {time.monotonic() - began:.0f} s",
                  flush=True)
            if not math.isfinite(losses[-1]):
                raise FloatingPointError(f"torchvision's loss is {losses[-1]} in epoch {len(losses)}: lower "
                                         "--rate-scale.")
    float(loss)
    return steps, began, first, time.monotonic(), losses


def time_peer(trainer, batch, smoke):
    """Images a second on one batch from the host's memory, without learning."""
    trainer.set_rate(0.0)
    warm_up, steps = SMOKE_TIMING if smoke else TIMING
    for step in range(warm_up + steps):
        loss = trainer.step(batch)
        if step == warm_up - 1:
            float(loss)
            began = time.monotonic()
    float(loss)
    return steps * len(batch[0]) / (time.monotonic() - began)


def run_torchvision(args):
    """Train, time and evaluate torchvision's Mask R-CNN on what `ours.json` says this package saw."""
    import torch

    ours = _row_of_ours(args)
    device = _prepared_device(args)
    args.steps = ours["steps_per_epoch"]
    train_set = nucleus.load_dataset(args, "train")
    config = training_config(args, train_set, full_masks=True)
    network = peer_network(args, device)
    trainer = PeerTrainer(network, config, device, args.precision)
    rates = [rate * args.rate_scale for rate in ours["rates"]]
    batches = peer_batches(train_set, config, args, ours["steps"])
    *times, losses = train_peer(trainer, batches, rates, config.STEPS_PER_EPOCH)
    args.logs.mkdir(parents=True, exist_ok=True)
    torch.save(network.state_dict(), args.logs / "torchvision.pt")
    row = {**speed(times[0], config.BATCH_SIZE, *times[1:]), "precision": args.precision, "rates": rates,
           "loss": losses, "versions": _versions()}
    write_row(args, "torchvision", row)

    row["step_images_per_second"] = time_peer(trainer, next(peer_batches(train_set, config, args, 1)), args.smoke)
    detector = Peer(network, nucleus.make_config(nucleus.NucleusInferenceConfig, args), device)
    write_row(args, "torchvision", row | measure(detector, args))


def _row_of_ours(args):
    """What `ours.json` holds, made with the same options."""
    ours = read_row(args, "ours")
    if ours is None:
        raise FileNotFoundError(f"{args.out / 'ours.json'} does not exist: run `--only ours` first. It says how many "
                                "images to train on, and at what rates.")
    for name, value in (("seed", args.seed), ("image_size", args.image_size), ("batch", args.batch)):
        if ours[name] != value:
            raise ValueError(f"--{name.replace('_', '-')} is {value}, but {args.out / 'ours.json'} was made with "
                             f"{ours[name]}: give the same.")
    return ours


def _prepared_device(args):
    """The GPU, or with --smoke the CPU; PyTorch seeded and with its fast settings."""
    import torch

    if not (torch.cuda.is_available() or args.smoke):
        raise RuntimeError("PyTorch sees no GPU: install it with CUDA, or use --smoke.")
    torch.manual_seed(args.seed)
    torch.backends.cudnn.benchmark = True
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.allow_tf32 = True
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _versions():
    import torch
    import torchvision

    return {"torch": torch.__version__, "torchvision": torchvision.__version__}
