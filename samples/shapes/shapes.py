"""Mask R-CNN on squares, circles and triangles: a complete project that needs no download.

The pictures are drawn while training, so nothing is stored; the same seed and index always give the same
picture. `ShapesDataset` shows how to teach Mask R-CNN a dataset of your own: override `load_image`,
`load_mask` and `image_reference`.

    python samples/shapes/shapes.py train                       # from random weights, then evaluates
    python samples/shapes/shapes.py evaluate --model last
    python samples/shapes/shapes.py detect --model last --image picture.png
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mrcnn import utils
from mrcnn.config import Config
from samples import common, schedules

# First picture index of each subset: far enough apart that no training picture is ever evaluated on.
TRAIN_OFFSET, VAL_OFFSET, TEST_OFFSET = 0, 10_000_000, 20_000_000

# Ends within ten minutes on two cores.
EPOCHS = 7

# A shape of which less than this part can be seen is left out.
MIN_VISIBLE = 0.6

# A shape differs from the background and from the other shapes by at least this much (0-255) in one colour channel.
MIN_CONTRAST = 60


class ShapesConfig(Config):
    """Small enough to train on a few CPU cores."""

    NAME = "shapes"
    BACKBONE = "light"
    NORM = "group"
    OPTIMIZER = "adam"
    LEARNING_RATE = 0.001
    IMAGES_PER_GPU = 4
    NUM_CLASSES = 1 + 3
    IMAGE_MIN_DIM = 128
    IMAGE_MAX_DIM = 128
    RPN_ANCHOR_SCALES = (16, 32, 64, 128, 256)
    RPN_TRAIN_ANCHORS_PER_IMAGE = 64
    TRAIN_ROIS_PER_IMAGE = 32
    POST_NMS_ROIS_TRAINING = 256
    POST_NMS_ROIS_INFERENCE = 128
    TOP_DOWN_PYRAMID_SIZE = 64
    FPN_CLASSIF_FC_LAYERS_SIZE = 256
    MAX_GT_INSTANCES = 8
    DETECTION_MAX_INSTANCES = 16
    # Shapes of one class may overlap.
    DETECTION_NMS_THRESHOLD = 0.5
    STEPS_PER_EPOCH = 200
    VALIDATION_STEPS = 10


class ShapesInferenceConfig(ShapesConfig):
    """One picture at a time; low scores are kept because average precision counts them."""

    IMAGES_PER_GPU = 1
    DETECTION_MIN_CONFIDENCE = 0.05


class ShapesDataset(utils.Dataset):
    """Pictures of 1 to 4 overlapping shapes on a plain, slightly noisy background.

    Args:
        count: number of pictures. When it is above zero the dataset is loaded and prepared at once.
        seed: seed of all pictures.
        offset: index of the first picture; datasets with the same seed and other index ranges share none.
        height, width: size of the pictures in pixels, at least 32.
    """

    def __init__(self, count=0, seed=0, offset=0, height=128, width=128):
        super().__init__()
        self.seed = seed
        self.offset = offset
        if count:
            self.load_shapes(count, height, width)
            self.prepare()

    def load_shapes(self, count, height, width):
        """Register `count` pictures of `height` x `width` pixels: decided here, drawn when loaded."""
        if min(height, width) < 32:
            raise ValueError(f"Pictures of {height}x{width} pixels are too small: use at least 32x32.")
        for class_id, name in enumerate(("square", "circle", "triangle"), start=1):
            self.add_class("shapes", class_id, name)
        for index in range(self.offset, self.offset + count):
            bg_color, shapes = self.random_image(height, width, np.random.default_rng([self.seed, index]))
            self.add_image("shapes", image_id=index, path=None, width=width, height=height, bg_color=bg_color,
                           shapes=shapes)

    def random_shape(self, height, width, rng, colors):
        """One shape: (name, color as three ints, (x, y, s)) with centre x, y and half side s in pixels.

        `colors` are those already in the picture; the shape's own is added to the list.
        """
        name = ("square", "circle", "triangle")[rng.integers(3)]
        color = rng.integers(0, 256, 3)
        while min(np.abs(color - other).max() for other in colors) < MIN_CONTRAST:
            color = rng.integers(0, 256, 3)
        colors.append(color)
        side = min(height, width)
        s = int(rng.integers(side // 12, side // 4 + 1))
        margin = side // 8
        x, y = rng.integers(margin, width - margin), rng.integers(margin, height - margin)
        return name, tuple(int(c) for c in color), (int(x), int(y), s)

    def random_image(self, height, width, rng):
        """One picture: (background color, visible shapes from back to front)."""
        bg_color = rng.integers(0, 256, 3)
        colors = [bg_color]
        shapes = [self.random_shape(height, width, rng, colors) for _ in range(rng.integers(1, 5))]
        whole = [self._silhouette(height, width, shape) for shape in shapes]
        seen, covered = [], np.zeros((height, width), bool)
        for shape, mask in zip(reversed(shapes), reversed(whole), strict=True):
            if (mask & ~covered).sum() >= MIN_VISIBLE * mask.sum():
                seen.append(shape)
                covered |= mask
        return tuple(int(c) for c in bg_color), seen[::-1]

    def draw_shape(self, image, shape, dims, color):
        """Draw one shape into `image` [H, W, 3] or [H, W] (uint8, in place) and return it."""
        import cv2

        x, y, s = dims
        if shape == "square":
            cv2.rectangle(image, (x - s, y - s), (x + s, y + s), color, -1)
        elif shape == "circle":
            cv2.circle(image, (x, y), s, color, -1)
        elif shape == "triangle":
            half = round(s / np.sin(np.radians(60)))
            points = np.array([[x, y - s], [x - half, y + s], [x + half, y + s]], np.int32)
            cv2.fillPoly(image, [points], color)
        else:
            raise ValueError(f"Unknown shape '{shape}': expected square, circle or triangle.")
        return image

    def load_image(self, image_id):
        """The picture, uint8 [H, W, 3]: shapes from back to front, then a little noise."""
        info = self.image_info[image_id]
        image = np.full((info["height"], info["width"], 3), info["bg_color"], np.uint8)
        for shape, color, dims in info["shapes"]:
            self.draw_shape(image, shape, dims, color)
        rng = np.random.default_rng([self.seed, info["id"], 1])
        noise = rng.normal(0, rng.uniform(0, 8), image.shape)
        return np.clip(image + noise, 0, 255).astype(np.uint8)

    def load_mask(self, image_id):
        """Masks bool [H, W, N] of what is visible of each shape, and class ids int32 [N]."""
        info = self.image_info[image_id]
        masks = np.zeros((info["height"], info["width"], len(info["shapes"])), bool)
        covered = np.zeros(masks.shape[:2], bool)
        for i in reversed(range(len(info["shapes"]))):
            whole = self._silhouette(*covered.shape, info["shapes"][i])
            masks[:, :, i] = whole & ~covered
            covered |= whole
        return masks, np.array([self.class_names.index(s[0]) for s in info["shapes"]], np.int32)

    def image_reference(self, image_id):
        """The shapes of the picture, for people who look at it."""
        info = self.image_info[image_id]
        return info["shapes"] if info["source"] == "shapes" else super().image_reference(image_id)

    def _silhouette(self, height, width, shape):
        """Bool [height, width]: the pixels of the whole shape, hidden or not."""
        name, _, dims = shape
        return self.draw_shape(np.zeros((height, width), np.uint8), name, dims, 1).astype(bool)


def make_config(base, args, **more):
    """`base` with the command line's wishes."""
    return common.configure(base, BACKBONE=args.backbone, NORM=args.norm, IMAGE_MIN_DIM=args.image_size,
                            IMAGE_MAX_DIM=args.image_size, STEPS_PER_EPOCH=args.steps,
                            LEARNING_RATE=args.learning_rate,
                            IMAGES_PER_GPU=args.batch if base is ShapesConfig else None, **more)


def pictures(args, config, count, offset):
    """A prepared dataset of `count` pictures at the network's input size."""
    return ShapesDataset(count, args.seed, offset, config.IMAGE_MAX_DIM, config.IMAGE_MAX_DIM)


def train(args):
    """Train from random weights (or `--model`), then evaluate and write the numbers, curves and pictures."""
    from mrcnn import visualize

    config = make_config(ShapesConfig, args)
    config.display()
    model = common.build_model("training", config, args.logs)
    common.load_weights(model, args.model or "none")
    began = time.monotonic()
    epochs = args.epochs or EPOCHS
    rate = schedules.warm_cosine(config.LEARNING_RATE, epochs * config.STEPS_PER_EPOCH)
    history = schedules.run_schedule(model, pictures(args, config, args.count, TRAIN_OFFSET),
                                     pictures(args, config, 64, VAL_OFFSET), [("all", rate, epochs, 1.0)],
                                     minutes=args.minutes)
    seconds = time.monotonic() - began
    folder = common.run_folder(args, model)
    if history:
        visualize.plot_training_curves(history, save_path=str(folder / "losses.png"))
    measure(args, model.find_last(), folder, {"train_seconds": seconds, "epochs": epochs,
                                              "steps_per_epoch": config.STEPS_PER_EPOCH, "history": history})


def evaluate(args):
    """Evaluate the weights `--model` on pictures never trained on."""
    measure(args, args.model or "last", None, {})


def measure(args, weights, folder, extra):
    """Average precision of `weights` on new pictures into metrics.json; pictures of the first ones."""
    from mrcnn.evaluation import coco as coco_evaluation

    config = make_config(ShapesInferenceConfig, args)
    model = common.build_model("inference", config, args.logs)
    path = common.load_weights(model, str(weights))
    folder = folder or common.run_folder(args, model)
    dataset = pictures(args, config, args.test_count, TEST_OFFSET)
    began = time.monotonic()
    numbers = coco_evaluation.evaluate(model, dataset)
    numbers["seconds"] = time.monotonic() - began
    save_comparison(model, dataset, folder / "detections.png")
    common.write_metrics(folder, {**numbers, **extra, "seed": args.seed, "weights": path})


def save_comparison(model, dataset, path, count=6, min_score=0.7):
    """Truth and detections of the first pictures side by side as one PNG."""
    from mrcnn import visualize
    from mrcnn.data.masks import extract_bboxes

    images, truths, results = [], [], []
    for image_id in dataset.image_ids[:count]:
        image = dataset.load_image(image_id)
        masks, class_ids = dataset.load_mask(image_id)
        found = model.detect([image])[0]
        keep = found["scores"] >= min_score
        images.append(image)
        truths.append({"rois": extract_bboxes(masks), "class_ids": class_ids, "masks": masks})
        results.append({"rois": found["rois"][keep], "class_ids": found["class_ids"][keep],
                        "scores": found["scores"][keep], "masks": found["masks"][:, :, keep]})
    visualize.display_comparison(images, truths, results, dataset.class_names, save_path=str(path))
    print(f"Pictures: {path}")


def detect(args):
    """Draw the detections in `--image`, or in `--count` generated pictures."""
    config = make_config(ShapesInferenceConfig, args, DETECTION_MIN_CONFIDENCE=0.5)
    model = common.build_model("inference", config, args.logs)
    common.load_weights(model, args.model or "last")
    folder = common.run_folder(args, model)
    if args.image:
        images = {Path(args.image).stem: common.read_image(args.image)}
        names = ["BG", "square", "circle", "triangle"]
    else:
        dataset = pictures(args, config, args.test_count, TEST_OFFSET)
        images = {f"shapes_{i:04d}": dataset.load_image(i) for i in dataset.image_ids}
        names = dataset.class_names
    for stem, image in images.items():
        result = model.detect([image])[0]
        path = folder / f"{stem}_detections.png"
        common.save_picture(image, result, names, path)
        print(f"{path}: " + (", ".join(names[i] for i in result["class_ids"]) or "nothing found"))


def parse(argv=None):
    """The command line as a namespace."""
    parser = argparse.ArgumentParser(description="Mask R-CNN on squares, circles and triangles.")
    parser.add_argument("command", choices=("train", "evaluate", "detect"))
    parser.add_argument("--model", help="weights: last, none, coco, imagenet or a path "
                        "(default: none to train, else last)")
    parser.add_argument("--image", help="detect: picture file (default: generated pictures)")
    parser.add_argument("--count", type=common.positive(int), default=4000, help="training pictures")
    parser.add_argument("--test-count", type=common.positive(int), help="pictures to evaluate (default: 200) "
                        "or detect (default: 4)")
    parser.add_argument("--learning-rate", type=common.positive(float))
    args = common.add_run_arguments(parser).parse_args(argv)
    args.test_count = args.test_count or (4 if args.command == "detect" else 200)
    return args


def main(argv=None):
    """Run one command; returns None."""
    args = parse(argv)
    common.begin(args.seed)
    {"train": train, "evaluate": evaluate, "detect": detect}[args.command](args)


if __name__ == "__main__":
    main()
