"""Mask R-CNN on cell nuclei: the 2018 Data Science Bowl (https://www.kaggle.com/c/data-science-bowl-2018).

Layout of the data: `stage1_train/<id>/images/<id>.png` and one file a nucleus in `stage1_train/<id>/masks/`.

    python samples/nucleus/nucleus.py train --dataset /path/to/data --subset train --weights imagenet
    python samples/nucleus/nucleus.py train --dataset /path/to/data --subset train --weights last --minutes 30
    python samples/nucleus/nucleus.py evaluate --dataset /path/to/data --subset val --weights last
    python samples/nucleus/nucleus.py detect --dataset /path/to/data --subset stage1_test --weights last
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mrcnn.config import Config
from mrcnn.data.dataset import Dataset
from samples import common

RESULTS_DIR = common.ROOT_DIR / "results" / "nucleus"

# The validation images of Matterport's sample, so that results compare: all of them are in stage1_train.
VAL_IMAGE_IDS = [
    "0c2550a23b8a0f29a7575de8c61690d3c31bc897dd5ba66caec201d201a278c2",
    "92f31f591929a30e4309ab75185c96ff4314ce0a7ead2ed2c2171897ad1da0c7",
    "1e488c42eb1a54a3e8412b1f12cde530f950f238d71078f2ede6a85a02168e1f",
    "c901794d1a421d52e5734500c0a2a8ca84651fb93b19cec2f411855e70cae339",
    "8e507d58f4c27cd2a82bee79fe27b069befd62a46fdaed20970a95a2ba819c7b",
    "60cb718759bff13f81c4055a7679e81326f78b6a193a2d856546097c949b20ff",
    "da5f98f2b8a64eee735a398de48ed42cd31bf17a6063db46a9e0783ac13cd844",
    "9ebcfaf2322932d464f15b5662cae4d669b2d785b8299556d73fffcae8365d32",
    "1b44d22643830cd4f23c9deadb0bd499fb392fb2cd9526d81547d93077d983df",
    "97126a9791f0c1176e4563ad679a301dac27c59011f579e808bbd6e9f4cd1034",
    "e81c758e1ca177b0942ecad62cf8d321ffc315376135bcbed3df932a6e5b40c0",
    "f29fd9c52e04403cd2c7d43b6fe2479292e53b2f61969d25256d2d2aca7c6a81",
    "0ea221716cf13710214dcd331a61cea48308c3940df1d28cfc7fd817c83714e1",
    "3ab9cab6212fabd723a2c5a1949c2ded19980398b56e6080978e796f45cbbc90",
    "ebc18868864ad075548cc1784f4f9a237bb98335f9645ee727dac8332a3e3716",
    "bb61fc17daf8bdd4e16fdcf50137a8d7762bec486ede9249d92e511fcb693676",
    "e1bcb583985325d0ef5f3ef52957d0371c96d4af767b13e48102bca9d5351a9b",
    "947c0d94c8213ac7aaa41c4efc95d854246550298259cf1bb489654d0e969050",
    "cbca32daaae36a872a11da4eaff65d1068ff3f154eedc9d3fc0c214a4e5d32bd",
    "f4c4db3df4ff0de90f44b027fc2e28c16bf7e5c75ea75b0a9762bbb7ac86e7a3",
    "4193474b2f1c72f735b13633b219d9cabdd43c21d9c2bb4dfc4809f104ba4c06",
    "f73e37957c74f554be132986f38b6f1d75339f636dfe2b681a0cf3f88d2733af",
    "a4c44fc5f5bf213e2be6091ccaed49d8bf039d78f6fbd9c4d7b7428cfcb2eda4",
    "cab4875269f44a701c5e58190a1d2f6fcb577ea79d842522dcab20ccb39b7ad2",
    "8ecdb93582b2d5270457b36651b62776256ade3aaa2d7432ae65c14f07432d49",
]


class NucleusConfig(Config):
    """Training on random crops of enlarged images: nuclei are small and many."""

    NAME = "nucleus"
    BACKBONE = "resnet50"
    IMAGES_PER_GPU = 2
    NUM_CLASSES = 1 + 1
    IMAGE_RESIZE_MODE = "crop"
    IMAGE_MIN_DIM = 256
    IMAGE_MAX_DIM = 256
    IMAGE_MIN_SCALE = 2.0
    RPN_ANCHOR_SCALES = (8, 16, 32, 64, 128)
    RPN_NMS_THRESHOLD = 0.9
    RPN_TRAIN_ANCHORS_PER_IMAGE = 64
    POST_NMS_ROIS_TRAINING = 1000
    POST_NMS_ROIS_INFERENCE = 2000
    TRAIN_ROIS_PER_IMAGE = 128
    MAX_GT_INSTANCES = 200
    MEAN_PIXEL = np.array([43.53, 39.56, 48.22])
    USE_MINI_MASK = True
    MINI_MASK_SHAPE = (56, 56)
    DETECTION_MIN_CONFIDENCE = 0
    DETECTION_MAX_INSTANCES = 400


# What differs where nothing is pretrained: normalisation that needs no large batch and an optimizer that finds its
# own step sizes.
FROM_SCRATCH = {"NORM": "group", "OPTIMIZER": "adam", "LEARNING_RATE": 0.001, "RPN_TRAIN_ANCHORS_PER_IMAGE": 128}

# What differs with the light backbone: everything behind it is narrower too.
LIGHT = {
    **FROM_SCRATCH,
    "BACKBONE": "light",
    "IMAGES_PER_GPU": 4,
    "TOP_DOWN_PYRAMID_SIZE": 64,
    "FPN_CLASSIF_FC_LAYERS_SIZE": 256,
    "TRAIN_ROIS_PER_IMAGE": 64,
    "PRE_NMS_LIMIT": 2000,
    "POST_NMS_ROIS_TRAINING": 500,
    "POST_NMS_ROIS_INFERENCE": 1000,
}


class NucleusInferenceConfig(NucleusConfig):
    """Whole images one at a time, enlarged as in training and padded to multiples of 64."""

    GPU_COUNT = 1
    IMAGES_PER_GPU = 1
    IMAGE_RESIZE_MODE = "pad64"
    RPN_NMS_THRESHOLD = 0.7


class NucleusDataset(Dataset):
    """One class, "nucleus". Masks are read from their PNG files once and then kept as packed bits."""

    def __init__(self, class_map=None):
        super().__init__(class_map)
        self._packed = {}

    def load_nucleus(self, dataset_dir, subset):
        """Register the images of a subset.

        Args:
            dataset_dir: folder that holds `stage1_train`.
            subset: "train" (stage1_train without the validation images), "val" (`VAL_IMAGE_IDS`), or the name
                of a folder such as "stage1_train" or "stage1_test".

        Raises:
            FileNotFoundError: the folder, or an image file in it, is missing.
            ValueError: the subset holds no image.
        """
        folder = Path(dataset_dir) / ("stage1_train" if subset in ("train", "val") else subset)
        if not folder.is_dir():
            raise FileNotFoundError(f"{folder} is not a folder: --dataset must name the folder that holds "
                                    f"{folder.name}/<id>/images/<id>.png.")
        found = {entry.name for entry in folder.iterdir() if entry.is_dir()}
        if subset == "val":
            chosen = [image_id for image_id in VAL_IMAGE_IDS if image_id in found]
            if 0 < len(chosen) < len(VAL_IMAGE_IDS):
                print(f"{folder} holds {len(chosen)} of the {len(VAL_IMAGE_IDS)} validation images.")
        else:
            chosen = sorted(found - set(VAL_IMAGE_IDS) if subset == "train" else found)
        if not chosen:
            raise ValueError(f"Subset '{subset}' of {dataset_dir} holds no image: {folder} has {len(found)} "
                             f"image folders, {len(found & set(VAL_IMAGE_IDS))} of them validation images.")
        self.add_class("nucleus", 1, "nucleus")
        for image_id in chosen:
            path = folder / image_id / "images" / f"{image_id}.png"
            if not path.is_file():
                raise FileNotFoundError(f"Image {image_id} of subset '{subset}' has no file {path}: complete "
                                        f"or remove the folder {folder / image_id}.")
            self.add_image("nucleus", image_id=image_id, path=str(path))

    def load_mask(self, image_id):
        """Masks bool [H, W, N] and class ids int32 [N], all ones. Mask files without a pixel are left out.

        Raises:
            FileNotFoundError: the image has no `masks` folder, as in a test subset.
            ValueError: a mask file cannot be read or differs in size from the others; names image and file.
        """
        info = self.image_info[image_id]
        if info["source"] != "nucleus":
            return super().load_mask(image_id)
        if image_id not in self._packed:
            self._packed[image_id] = pack_masks(Path(info["path"]).parents[1] / "masks", info["id"])
        masks = unpack_masks(*self._packed[image_id])
        return masks, np.ones(masks.shape[-1], np.int32)

    def image_reference(self, image_id):
        """The image's id in the competition."""
        info = self.image_info[image_id]
        return info["id"] if info["source"] == "nucleus" else super().image_reference(image_id)


def pack_masks(folder, image_id):
    """Read the mask files of one image: ((H, W), boxes int32 [N, (y1, x1, y2, x2)] px, list of packed bits).

    Only the bits within a mask's box are kept: about 100 bytes a nucleus, 5 MB for the whole training set.
    """
    import cv2

    paths = sorted(folder.glob("*.png"))
    if not paths:
        raise FileNotFoundError(f"Image {image_id} has no masks in {folder}: subsets without masks, such as "
                                "stage1_test, can only be used with detect.")
    shape, boxes, bits = None, [], []
    for path in paths:
        mask = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        if mask is None:
            raise ValueError(f"Image {image_id}: mask file {path} cannot be read: restore it.")
        shape = shape or mask.shape
        if mask.shape != shape:
            raise ValueError(f"Image {image_id}: mask {path} has {mask.shape[0]}x{mask.shape[1]} pixels, "
                             f"those before it have {shape[0]}x{shape[1]}.")
        x, y, width, height = cv2.boundingRect(mask)
        if width:
            boxes.append((y, x, y + height, x + width))
            bits.append(np.packbits(mask[y:y + height, x:x + width] > 0))
    return shape, np.array(boxes, np.int32).reshape(-1, 4), bits


def unpack_masks(shape, boxes, bits):
    """The inverse of `pack_masks`: masks bool [H, W, N]."""
    masks = np.zeros((*shape, len(bits)), bool)
    for i, (y1, x1, y2, x2) in enumerate(boxes):
        size = (y2 - y1, x2 - x1)
        masks[y1:y2, x1:x2, i] = np.unpackbits(bits[i], count=size[0] * size[1]).reshape(size)
    return masks


def augment(image, masks, rng=np.random):
    """Random flips, quarter turns, zoom, brightness and blur, for `train(augmentation=...)`.

    Nuclei have no upright position, so all eight orientations are equally likely (four for images that are
    not square). What a zoom-out uncovers is black, as is the padding of inference.

    Args:
        image: uint8 [H, W, C]; masks: bool [H, W, N].
        rng: numpy RandomState; the data generator gives one for each image.

    Returns:
        new image and masks of the same shapes and dtypes.
    """
    import cv2

    for axis in (0, 1):
        if rng.uniform() < 0.5:
            image, masks = np.flip(image, axis), np.flip(masks, axis)
    if image.shape[0] == image.shape[1] and rng.uniform() < 0.5:
        image, masks = np.swapaxes(image, 0, 1), np.swapaxes(masks, 0, 1)
    image, masks = np.ascontiguousarray(image), np.ascontiguousarray(masks)
    if rng.uniform() < 0.5:
        image, masks = zoom(image, masks, rng.uniform(0.7, 1.4))
    if rng.uniform() < 0.5:
        image = np.clip(np.arange(256) * rng.uniform(0.8, 1.5), 0, 255).astype(np.uint8)[image]
    if rng.uniform() < 0.2:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 2.0)).reshape(image.shape)
    return image, masks


def zoom(image, masks, factor):
    """Enlarge (`factor` above 1) or shrink image [H, W, C] and masks [H, W, N] about the centre."""
    import cv2

    height, width = image.shape[:2]
    shift_y, shift_x = (1 - factor) * (height - 1) / 2, (1 - factor) * (width - 1) / 2
    matrix = np.array([[factor, 0, shift_x], [0, factor, shift_y]])
    zoomed = cv2.warpAffine(image, matrix, (width, height), flags=cv2.INTER_LINEAR)
    # Nearest neighbour on each axis by itself is one gather, whatever the number of masks.
    rows = np.rint((np.arange(height) - shift_y) / factor).astype(int)
    cols = np.rint((np.arange(width) - shift_x) / factor).astype(int)
    result = np.zeros_like(masks)
    inside_y, inside_x = (rows >= 0) & (rows < height), (cols >= 0) & (cols < width)
    result[np.ix_(inside_y, inside_x)] = masks[np.ix_(rows[inside_y], cols[inside_x])]
    return zoomed.reshape(image.shape), result


def rle_encode(mask):
    """A mask [H, W] as Kaggle's run text: "start length start length ...", by columns, from 1."""
    pixels = np.concatenate([[0], np.asarray(mask).T.reshape(-1).astype(bool).astype(np.int8), [0]])
    runs = np.flatnonzero(np.diff(pixels)) + 1
    runs[1::2] -= runs[::2]
    return " ".join(map(str, runs))


def rle_decode(rle, shape):
    """Run text back to a mask bool [H, W].

    Raises:
        ValueError: the text is no list of pairs, a run is empty, or runs overlap or leave the image.
    """
    try:
        numbers = np.array(rle.split(), np.int64)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"Run lengths must be whole numbers, got {rle[:60]!r}.") from error
    if len(numbers) % 2:
        raise ValueError(f"Run lengths must be pairs of start and length, got {len(numbers)} numbers.")
    starts, lengths = numbers[::2] - 1, numbers[1::2]
    ends = starts + lengths
    size = shape[0] * shape[1]
    bounds = np.concatenate([[0], np.stack([starts, ends], axis=1).reshape(-1), [size]])
    if (lengths < 1).any() or (np.diff(bounds) < 0).any():
        raise ValueError(f"Run lengths {rle[:60]!r} are empty, out of order, overlapping or outside an "
                         f"image of {shape[0]}x{shape[1]} pixels (positions 1 to {size}).")
    change = np.zeros(size + 1, np.int8)
    np.add.at(change, starts, 1)
    np.add.at(change, ends, -1)
    return np.cumsum(change[:-1], dtype=np.int8).astype(bool).reshape(shape[1], shape[0]).T


def mask_to_rle(image_id, mask, scores):
    """Masks [H, W, N] of one image as lines of the submission file, "image_id, runs".

    Kaggle forbids overlap: a pixel goes to the mask with the highest score. Masks of which nothing remains
    are left out; an image without masks is one line without runs.
    """
    free = np.ones(mask.shape[:2], bool)
    lines = []
    for i in np.argsort(-np.asarray(scores), kind="stable"):
        own = mask[:, :, i].astype(bool) & free
        free &= ~own
        if own.any():
            lines.append(f"{image_id}, {rle_encode(own)}")
    return "\n".join(lines) if lines else f"{image_id},"


def make_config(base, args):
    """`base` with the command line's wishes; whole images are padded, so the side concerns training only."""
    training = base is NucleusConfig
    light = args.backbone == "light"
    chosen = dict(LIGHT if light else FROM_SCRATCH if args.from_scratch else {}) | {
        "BACKBONE": args.backbone, "STEPS_PER_EPOCH": args.steps,
        "IMAGE_MIN_DIM": args.image_size if training else None,
        "IMAGE_MAX_DIM": args.image_size if training else None}
    if not training or args.batch:
        chosen["IMAGES_PER_GPU"] = args.batch if training else 1
    return common.configure(base, **chosen)


def load_dataset(args, subset):
    """A prepared dataset of one subset."""
    dataset = NucleusDataset()
    dataset.load_nucleus(args.dataset, subset)
    dataset.prepare()
    print(f"{subset}: {len(dataset.image_ids)} images")
    return dataset


def train(args):
    """Train (heads first when the weights are pretrained), then evaluate on the validation images."""
    from mrcnn import visualize

    train_set, val_set = load_dataset(args, args.subset or "train"), load_dataset(args, "val")
    config = make_config(NucleusConfig, args)
    if not args.steps:
        config.STEPS_PER_EPOCH = max(1, len(train_set.image_ids) // config.BATCH_SIZE)
    config.VALIDATION_STEPS = max(1, len(val_set.image_ids) // config.BATCH_SIZE)
    config.display()
    model = common.build_model("training", config, args.logs)
    weights = args.weights or "imagenet"
    common.load_weights(model, weights)
    epochs, rate = args.epochs or (1000 if args.minutes else 40), args.learning_rate or config.LEARNING_RATE
    stages = [("all", rate, epochs, 1.0)]
    if weights.lower() in ("coco", "imagenet"):
        # Fresh heads would wreck the pretrained features: they learn alone first.
        stages.insert(0, ("heads", rate, epochs // 2, 0.2))
    began = time.monotonic()
    history = common.run_schedule(model, train_set, val_set, stages, augment, args.minutes)
    extra = {"train_seconds": time.monotonic() - began, "history": history, "start_weights": weights}
    folder = common.run_folder(args, model)
    if history:
        visualize.plot_training_curves(history, save_path=str(folder / "losses.png"))
    measure(args, val_set, model.find_last(), folder, extra)


def evaluate(args):
    """Evaluate `--weights` on the images of `--subset`."""
    measure(args, load_dataset(args, args.subset or "val"), args.weights or "last", None, {})


def measure(args, dataset, weights, folder, extra):
    """COCO's average precision and Kaggle's score of `weights` on `dataset` into metrics.json."""
    from mrcnn.evaluation import coco as coco_evaluation

    config = make_config(NucleusInferenceConfig, args)
    model = common.build_model("inference", config, args.logs)
    path = common.load_weights(model, str(weights))
    folder = folder or common.run_folder(args, model)
    image_ids = dataset.image_ids[:args.limit]
    began = time.monotonic()
    scored = KaggleScoring(model, dataset, image_ids)
    numbers = coco_evaluation.evaluate(scored, dataset, image_ids=image_ids,
                                       max_detections=config.DETECTION_MAX_INSTANCES)
    numbers |= {"kaggle_score": float(np.mean(scored.scores)), "seconds": time.monotonic() - began}
    common.write_metrics(folder, {**numbers, **extra, "seed": args.seed, "weights": path})


class KaggleScoring:
    """A model that also scores its detections by Kaggle's metric, so that each image is seen only once.

    `detect` must be given the images of `image_ids` in order; `.scores` has a number for each.
    """

    def __init__(self, model, dataset, image_ids):
        self.model, self.dataset = model, dataset
        self.image_ids = iter(image_ids)
        self.scores = []

    def __getattr__(self, name):
        return getattr(self.model, name)

    def detect(self, images, **options):
        """As `MaskRCNN.detect`."""
        from mrcnn.evaluation.kaggle import kaggle_score

        results = self.model.detect(images, **options)
        for result in results:
            truth, _ = self.dataset.load_mask(next(self.image_ids))
            self.scores.append(kaggle_score(truth, result["masks"]))
        return results


def detect(args):
    """Write the submission file and a picture of each image of `--subset`."""
    model = common.build_model("inference", make_config(NucleusInferenceConfig, args), args.logs)
    common.load_weights(model, args.weights or "last")
    dataset = load_dataset(args, args.subset or "stage1_test")
    folder = common.run_folder(args, model, RESULTS_DIR / f"submit_{time.strftime('%Y%m%dT%H%M%S')}")
    lines = ["ImageId,EncodedPixels"]
    for image_id in dataset.image_ids[:args.limit]:
        image, source_id = dataset.load_image(image_id), dataset.image_info[image_id]["id"]
        result = model.detect([image])[0]
        lines.append(mask_to_rle(source_id, result["masks"], result["scores"]))
        common.save_picture(image, result, dataset.class_names, folder / f"{source_id}.png", show_bbox=False,
                            captions=[""] * len(result["scores"]))
        print(f"{source_id}: {len(result['scores'])} nuclei")
    (folder / "submit.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"Submission: {folder / 'submit.csv'}")


def parse(argv=None):
    """The command line as a namespace."""
    parser = argparse.ArgumentParser(description="Mask R-CNN on cell nuclei.")
    parser.add_argument("command", choices=("train", "evaluate", "detect"))
    parser.add_argument("--dataset", required=True, metavar="DIR", help="folder that holds stage1_train")
    parser.add_argument("--weights", help="coco, imagenet, last, none or a path (default: imagenet to train, "
                        "else last)")
    parser.add_argument("--subset", help="train, val or a folder such as stage1_train (default: train to "
                        "train, val to evaluate, stage1_test to detect)")
    parser.add_argument("--from-scratch", action="store_true", help="group normalisation and Adam, for training "
                        "from random weights (always on with --backbone light)")
    parser.add_argument("--limit", type=common.positive(int), help="images to evaluate or detect")
    parser.add_argument("--learning-rate", type=common.positive(float))
    return common.add_run_arguments(parser).parse_args(argv)


def main(argv=None):
    """Run one command."""
    args = parse(argv)
    common.begin(args.seed)
    {"train": train, "evaluate": evaluate, "detect": detect}[args.command](args)


if __name__ == "__main__":
    main()
