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
import os
import subprocess
import sys
from pathlib import Path

from samples import common

from .ours import run_ours
from .peer import run_torchvision
from .shared import read_row

PARTS = {"ours": run_ours, "torchvision": run_torchvision}
METRICS = ("mask_ap", "mask_ap50", "mask_ap75", "box_ap", "box_ap50", "box_ap75", "kaggle_score",
           "images_per_second", "step_images_per_second", "train_seconds", "images")


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
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.nucleus_gpu", description="Mask R-CNN from random weights on nuclei: this package "
        "and torchvision on one GPU, on the same images.")
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
        PARTS[args.only](args)
    else:
        for part in PARTS:
            subprocess.run([sys.executable, "-m", "benchmarks.nucleus_gpu", *argv, "--only", part], check=True)
    if args.only != "ours":
        print_table({part: read_row(args, part) for part in PARTS})


if __name__ == "__main__":
    main()
