"""Mask R-CNN from random weights on cell nuclei, on one GPU: this package and torchvision on the same images.

    KERAS_BACKEND=jax python -m benchmarks.nucleus_gpu --dataset DIR --minutes 20 --out benchmarks/results/nucleus_gpu

This package trains for the given minutes, compilation included, on random 512-pixel crops. torchvision's
`maskrcnn_resnet50_fpn` then trains on as many images: the same crops with the same augmentation in the same order, at
the same learning rates. Both are evaluated on the nucleus sample's validation images by the same functions, which also
paste the masks.

The networks are alike where it matters for this data (ResNet-50 with group normalisation, anchors, 400 detections);
everything else is what each project does by default, and torchvision has its fast settings: bfloat16 where it is safe,
channels last, a fused optimizer. Each part writes `<part>.json` to the folder of `--out`, first when trained and again
when evaluated, and its weights to the folder of the same name in `logs`.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keras
import numpy as np

from mrcnn.data.generator import DataGenerator, EpochCounter
from mrcnn.data.masks import unmold_masks
from mrcnn.engine.callbacks import NonFiniteLossGuard
from mrcnn.engine.inference import mold_inputs
from mrcnn.engine.training import LAYER_CHOICES
from mrcnn.evaluation.coco import evaluate
from samples import common
from samples.nucleus import nucleus
from samples.nucleus.scoring import KaggleScoring
from samples.schedules import CosineOverTime, TimeBudget

PARTS = ("ours", "torchvision")
METRICS = ("mask_ap", "mask_ap50", "mask_ap75", "box_ap", "box_ap50", "box_ap75", "kaggle_score",
           "images_per_second", "step_images_per_second", "train_seconds", "images")
# Steps before the clock of a step starts, and steps that it takes.
TIMING, SMOKE_TIMING = (5, 50), (1, 2)


# === What both parts share ===


def measure(model, args):
    """COCO's average precision and Kaggle's score on the validation images, as a dict."""
    dataset = nucleus.load_dataset(args, "val")
    image_ids = list(dataset.image_ids[:2 if args.smoke else None])
    began = time.monotonic()
    scored = KaggleScoring(model, dataset, image_ids)
    numbers = evaluate(scored, dataset, image_ids=image_ids, max_detections=model.config.DETECTION_MAX_INSTANCES)
    numbers["evaluated_images"] = numbers.pop("images")
    return numbers | {"kaggle_score": float(np.mean(scored.scores)), "evaluate_seconds": time.monotonic() - began}


def training_config(args, train_set, full_masks=False):
    """The nucleus sample's configuration for random weights, of the command line's size."""
    config = nucleus.make_config(nucleus.NucleusConfig, args)
    config.STEPS_PER_EPOCH = args.steps or max(1, len(train_set.image_ids) // config.BATCH_SIZE)
    config.WORKERS = args.workers
    config.USE_MINI_MASK = not full_masks
    return config


def data_generator(dataset, config, args):
    """Batches that follow from the seed, the epoch and the place in it alone."""
    return DataGenerator(dataset, config, augmentation=nucleus.augment, seed=args.seed, steps=config.STEPS_PER_EPOCH)


def speed(steps, batch_size, began, first, ended):
    """What training took: the first step, which compiles, is left out of the images a second."""
    row = {"images": steps * batch_size, "steps": steps, "batch": batch_size, "train_seconds": ended - began,
           "first_step_seconds": first - began}
    return row | ({"images_per_second": (steps - 1) * batch_size / (ended - first)} if steps > 1 else {})


def gpu_name():
    """Name of the first NVIDIA GPU, or "none"."""
    try:
        found = subprocess.run(["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"], capture_output=True,
                               text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "none"
    return next(iter(found.stdout.strip().splitlines()), "none")


def write_row(args, part, row):
    """Write a part's numbers to `<part>.json`."""
    args.out.mkdir(parents=True, exist_ok=True)
    row = {"part": part, "gpu": gpu_name(), "seed": args.seed, "image_size": args.image_size, **row}
    text = json.dumps({**row, "versions": common.versions() | row.get("versions", {}), "command": " ".join(sys.argv)},
                      indent=2)
    (args.out / f"{part}.json").write_text(text + "\n", encoding="utf-8")


def read_row(args, part):
    """A part's numbers, or None if it has not run."""
    path = args.out / f"{part}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


# === This package ===


class Progress(keras.callbacks.Callback):
    """Counts steps, takes times and notes each epoch's learning rate, for the other part to repeat."""

    def __init__(self, warm_up=1):
        super().__init__()
        self.warm_up, self.steps, self.rates = warm_up, 0, []
        self.began = self.first = self.ended = 0.0

    def on_train_begin(self, logs=None):
        self.began = time.monotonic()

    def on_epoch_begin(self, epoch, logs=None):
        self.rates.append(float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate)))

    def on_train_batch_end(self, batch, logs=None):
        self.steps += 1
        if self.steps == self.warm_up:
            # Reading the loss waits for the accelerator.
            float(logs["loss"])
            self.first = time.monotonic()

    def on_train_end(self, logs=None):
        self.ended = time.monotonic()


class Repeated(keras.utils.PyDataset):
    """One batch, over and over: what is timed with it is the model without the loading of images."""

    def __init__(self, batch, steps):
        super().__init__()
        self.batch, self.steps = batch, steps

    def __len__(self):
        return self.steps

    def __getitem__(self, index):
        return self.batch


def run_ours(args):
    """Train and evaluate this package's Mask R-CNN."""
    if keras.backend.backend() == "jax" and not args.smoke:
        import jax

        if jax.default_backend() == "cpu":
            raise RuntimeError("JAX sees no GPU: install it with CUDA (`pip install jax[cuda12]`), or use --smoke.")
    if args.precision == "bfloat16":
        keras.config.set_dtype_policy("mixed_bfloat16")
    train_set = nucleus.load_dataset(args, "train")
    config = training_config(args, train_set)
    model = common.build_model("training", config, args.logs)
    model.set_trainable(LAYER_CHOICES["all"], verbose=0)
    model.compile(config.LEARNING_RATE)
    data, progress = data_generator(train_set, config, args), Progress()
    callbacks = [EpochCounter(data), TimeBudget(args.minutes), CosineOverTime(config.LEARNING_RATE, args.minutes),
                 NonFiniteLossGuard(), progress]
    # As `MaskRCNN.train`, with a seed for the batches and without a checkpoint every epoch.
    history = model.keras_model.fit(data, epochs=1 if args.smoke else 1_000_000, shuffle=False, verbose=2,
                                    callbacks=callbacks).history
    weights = args.logs / "ours.weights.h5"
    weights.parent.mkdir(parents=True, exist_ok=True)
    model.save_weights(str(weights))
    row = {**speed(progress.steps, config.BATCH_SIZE, progress.began, progress.first, progress.ended),
           "precision": args.precision, "steps_per_epoch": config.STEPS_PER_EPOCH, "rates": progress.rates,
           "loss": history["loss"]}
    write_row(args, "ours", row)

    warm_up, steps = SMOKE_TIMING if args.smoke else TIMING
    timer = Progress(warm_up)
    model.keras_model.fit(Repeated(data[0], warm_up + steps), shuffle=False, verbose=0, callbacks=[timer])
    row["step_images_per_second"] = steps * config.BATCH_SIZE / (timer.ended - timer.first)
    detector = common.build_model("inference", nucleus.make_config(nucleus.NucleusInferenceConfig, args), args.logs)
    detector.load_weights(str(weights), by_name=True)
    write_row(args, "ours", row | measure(detector, args))


# === torchvision ===


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
    """Train and evaluate torchvision's Mask R-CNN on what `ours.json` says this package saw."""
    import torch
    import torchvision

    ours = read_row(args, "ours")
    if ours is None:
        raise FileNotFoundError(f"{args.out / 'ours.json'} does not exist: run `--only ours` first. It says how many "
                                "images to train on, and at what rates.")
    for name, value in (("seed", args.seed), ("image_size", args.image_size), ("batch", args.batch)):
        if ours[name] != value:
            raise ValueError(f"--{name.replace('_', '-')} is {value}, but {args.out / 'ours.json'} was made with "
                             f"{ours[name]}: give the same.")
    if not (torch.cuda.is_available() or args.smoke):
        raise RuntimeError("PyTorch sees no GPU: install it with CUDA, or use --smoke.")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(args.seed)
    torch.backends.cudnn.benchmark = True
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.allow_tf32 = True
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
           "loss": losses, "versions": {"torch": torch.__version__, "torchvision": torchvision.__version__}}
    write_row(args, "torchvision", row)

    row["step_images_per_second"] = time_peer(trainer, next(peer_batches(train_set, config, args, 1)), args.smoke)
    detector = Peer(network, nucleus.make_config(nucleus.NucleusInferenceConfig, args), device)
    write_row(args, "torchvision", row | measure(detector, args))


# === The command ===


def print_table(rows):
    """Both parts side by side; the ratio is this package over torchvision."""
    print(f"\n{'':24}" + "".join(f"{part:>14}" for part in rows) + f"{'ratio':>10}")
    for name in METRICS:
        values = [row.get(name) for row in rows.values()]
        texts = ["-" if value is None else f"{value:.3f}" for value in values]
        known = len(values) == 2 and None not in values and values[1]
        print(f"{name:24}" + "".join(f"{text:>14}" for text in texts)
              + f"{f'{values[0] / values[1]:.3f}' if known else '-':>10}")


def parse(argv=None):
    """The command line as a namespace; --smoke replaces sizes by small ones."""
    parser = argparse.ArgumentParser(description="Mask R-CNN from random weights on nuclei: this package and "
                                     "torchvision on one GPU, on the same images.")
    parser.add_argument("--dataset", required=True, metavar="DIR", help="folder that holds stage1_train")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder of ours.json and torchvision.json (default: "
                        "benchmarks/results/nucleus_gpu; with --smoke logs/nucleus_gpu_smoke)")
    parser.add_argument("--only", choices=PARTS, help="run one part; torchvision needs ours.json")
    parser.add_argument("--minutes", type=common.positive(float), default=20.0, help="training time of this package")
    parser.add_argument("--batch", type=common.positive(int), default=8, help="images in a batch (default: 8)")
    parser.add_argument("--image-size", type=common.positive(int), default=512, help="side of the crops (default: 512)")
    parser.add_argument("--workers", type=common.positive(int), default=min(8, os.cpu_count() or 1),
                        help="threads that load images (default: %(default)s)")
    parser.add_argument("--precision", choices=("float32", "bfloat16"), help="of convolutions and matrix products in "
                        "training (default: float32 for this package, bfloat16 for torchvision)")
    parser.add_argument("--rate-scale", type=common.positive(float), default=1.0, help="factor of torchvision's "
                        "learning rates, to find its best")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--smoke", action="store_true", help="three steps on a CPU with small networks: does it run?")
    args = parser.parse_args(argv)
    name = "logs/nucleus_gpu_smoke" if args.smoke else "benchmarks/results/nucleus_gpu"
    args.out = args.out or common.ROOT_DIR / name
    args.logs = common.DEFAULT_LOGS_DIR / args.out.name
    args.backbone, args.norm, args.steps = "resnet50", "group", None
    if args.smoke:
        args.backbone, args.steps, args.batch, args.image_size = "light", 3, 2, 128
    return args


def main(argv=None):
    """Run the parts, each in its own process so that the GPU's memory is free again, and print the table."""
    argv = sys.argv[1:] if argv is None else list(argv)
    args = parse(argv)
    if args.only == "torchvision":
        # Should Keras wake JAX, it must not take the GPU's memory for itself.
        os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    if args.only:
        common.begin(args.seed)
        args.precision = args.precision or ("bfloat16" if args.only == "torchvision" and not args.smoke else "float32")
        {"ours": run_ours, "torchvision": run_torchvision}[args.only](args)
    else:
        for part in PARTS:
            subprocess.run([sys.executable, "-m", "benchmarks.nucleus_gpu", *argv, "--only", part], check=True)
    if args.only != "ours":
        print_table({part: read_row(args, part) for part in PARTS})


if __name__ == "__main__":
    main()
