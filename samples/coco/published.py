"""The AP of published weights of torchvision and Detectron2 on COCO's validation images.

    python samples/coco/published.py torchvision_maskrcnn_r50_fpn WEIGHTS --dataset /path/to/coco --year 2017
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mrcnn import FasterRCNN, KeypointRCNN, MaskRCNN
from mrcnn.configurations import READY
from mrcnn.evaluation import evaluate
from samples import common
from samples.coco.dataset import CocoDataset

# torchvision's classes are COCO's category ids, of which ten are nobody's.
CATEGORY_IDS = 91
ARCHITECTURES = {"fasterrcnn": FasterRCNN, "keypointrcnn": KeypointRCNN, "maskrcnn": MaskRCNN}


class InClassesOfDataset:
    """A model whose classes are COCO's category ids, with those of the data set instead; the rest is dropped."""

    def __init__(self, model, dataset):
        self.model, self.config = model, model.config
        self.class_ids = np.zeros(CATEGORY_IDS, int)
        for class_id, info in enumerate(dataset.class_info[1:], start=1):
            self.class_ids[info["id"]] = class_id

    def detect(self, images):
        """As of the model."""
        return [self._translate(result) for result in self.model.detect(images)]

    def _translate(self, result):
        class_ids = self.class_ids[result["class_ids"]]
        known = class_ids > 0
        kept = {key: value[..., known] if key == "masks" else value[known] for key, value in result.items()}
        return kept | {"class_ids": class_ids[known]}


def main(argv=None):
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("configuration", choices=READY, help="what the weights were trained as")
    parser.add_argument("weights", help="the published file: .pth, .pkl or .safetensors")
    parser.add_argument("--dataset", required=True, metavar="DIR", help="folder with 'annotations' and images")
    parser.add_argument("--year", choices=("2014", "2017"), default="2017")
    parser.add_argument("--limit", type=common.positive(int), help="images to evaluate (default: all)")
    parser.add_argument("--out", metavar="FILE", help="also write the numbers to this JSON file")
    args = parser.parse_args(argv)
    dataset = CocoDataset()
    architecture = ARCHITECTURES[args.configuration.split("_")[1]]
    subset = "val" if args.year == "2017" else "minival"
    coco = dataset.load_coco(
        args.dataset, subset, args.year, return_coco=True, keypoints=architecture.learns_keypoints
    )
    dataset.prepare()
    config = READY[args.configuration]()
    model = architecture("inference", config, "logs")
    model.load_weights(args.weights)
    if config.NUM_CLASSES == CATEGORY_IDS:
        model = InClassesOfDataset(model, dataset)
    numbers = evaluate(model, dataset, limit=args.limit, max_detections=100, coco=coco)
    if args.out:
        Path(args.out).write_text(json.dumps(numbers, indent=2))
    return numbers


if __name__ == "__main__":
    main()
