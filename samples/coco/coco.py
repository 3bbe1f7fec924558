"""Mask R-CNN on COCO (https://cocodataset.org), years 2014 and 2017.

Layout of the data: `annotations/instances_<subset><year>.json` and the image folders `<subset><year>`;
minival and valminusminival (2014) take their images from `val2014`.

    python samples/coco/coco.py train --dataset /path/to/coco --year 2017 --model imagenet --download
    python samples/coco/coco.py train --dataset /path/to/coco --year 2017 --model last
    python samples/coco/coco.py evaluate --dataset /path/to/coco --year 2017 --model coco --limit 500
    python samples/coco/coco.py detect --model coco --image picture.jpg
"""

import argparse
import json
import os
import shutil
import sys
import tarfile
import time
import zipfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mrcnn.config import Config
from mrcnn.data.dataset import Dataset
from samples import common

DEFAULT_DATASET_YEAR = "2014"
SUBSETS = ("train", "val", "minival", "valminusminival")
SERVER = "http://images.cocodataset.org"
MINIVAL_URL = "https://dl.fbaipublicfiles.com/detectron/coco/coco_annotations_minival.tgz"

# Sum of a polygon's coordinates beyond which it is taken for garbage; it also catches infinities.
MAX_COORDINATES = 1e8

METRICS = ("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large",
           "ar1", "ar10", "ar100", "ar_small", "ar_medium", "ar_large")

CLASS_NAMES = ["BG"] + (
    "person,bicycle,car,motorcycle,airplane,bus,train,truck,boat,traffic light,fire hydrant,stop sign,"
    "parking meter,bench,bird,cat,dog,horse,sheep,cow,elephant,bear,zebra,giraffe,backpack,umbrella,"
    "handbag,tie,suitcase,frisbee,skis,snowboard,sports ball,kite,baseball bat,baseball glove,"
    "skateboard,surfboard,tennis racket,bottle,wine glass,cup,fork,knife,spoon,bowl,banana,apple,"
    "sandwich,orange,broccoli,carrot,hot dog,pizza,donut,cake,chair,couch,potted plant,bed,"
    "dining table,toilet,tv,laptop,mouse,remote,keyboard,cell phone,microwave,oven,toaster,sink,"
    "refrigerator,book,clock,vase,scissors,teddy bear,hair drier,toothbrush").split(",")


class CocoConfig(Config):
    """COCO's 80 classes at 1024 pixels; 12 GB of GPU memory hold two images."""

    NAME = "coco"
    IMAGES_PER_GPU = 2
    NUM_CLASSES = 1 + 80


class CocoInferenceConfig(CocoConfig):
    """One image at a time; all scores are kept because average precision counts them."""

    GPU_COUNT = 1
    IMAGES_PER_GPU = 1
    DETECTION_MIN_CONFIDENCE = 0


class CocoDataset(Dataset):
    """COCO's instances. Crowds have a negative class id, as `load_image_gt` expects."""

    def load_coco(self, dataset_dir, subset, year=DEFAULT_DATASET_YEAR, class_ids=None, class_map=None,
                  return_coco=False, auto_download=False):
        """Register a subset of COCO.

        Args:
            dataset_dir: folder that holds `annotations` and the image folders.
            subset: "train", "val", "minival" or "valminusminival" (the last two exist for 2014).
            year: "2014" or "2017", text or number.
            class_ids: COCO's own category ids to keep; None keeps all. Images without any are left out.
            class_map: unused, kept for Matterport's signature.
            return_coco: True returns the `pycocotools.coco.COCO` object.
            auto_download: True first downloads what is missing.

        Raises:
            FileNotFoundError: annotation file, image folder or images are missing.
            ValueError: malformed annotations, unknown subset, or a category id that the file lacks.
        """
        if subset not in SUBSETS:
            raise ValueError(f"Unknown COCO subset '{subset}': expected one of {', '.join(SUBSETS)}.")
        if auto_download:
            self.auto_download(dataset_dir, subset, year)
        path = os.path.join(dataset_dir, "annotations", f"instances_{subset}{year}.json")
        coco = read_annotations(path)
        unknown = sorted(set(class_ids or ()) - set(coco.cats))
        if unknown:
            raise ValueError(f"Category ids {unknown} are not in {path}, which has {sorted(coco.cats)}.")
        class_ids = sorted(class_ids or coco.cats)
        image_ids = sorted({i for c in class_ids for i in coco.catToImgs[c]}
                           if len(class_ids) < len(coco.cats) else coco.imgs)
        folder = os.path.join(dataset_dir, f"{'train' if subset == 'train' else 'val'}{year}")
        check_images(folder, [coco.imgs[i]["file_name"] for i in image_ids], path)
        for class_id in class_ids:
            self.add_class("coco", class_id, coco.cats[class_id]["name"])
        wanted = set(class_ids)
        for i in image_ids:
            self.add_image("coco", image_id=i, path=os.path.join(folder, coco.imgs[i]["file_name"]),
                           width=coco.imgs[i]["width"], height=coco.imgs[i]["height"],
                           annotations=[a for a in coco.imgToAnns[i] if a["category_id"] in wanted])
        return coco if return_coco else None

    def auto_download(self, dataset_dir, subset, year):
        """Download and unzip the images and annotations of a subset, where they are not there yet.

        Raises:
            ConnectionError: names every address, so that it can be fetched by other means.
        """
        download_coco(Path(dataset_dir), subset, str(year))

    def load_image(self, image_id):
        """The image, uint8 [H, W, 3]. Raises ValueError when its size is not the one in the annotations."""
        image, info = super().load_image(image_id), self.image_info[image_id]
        if info["source"] == "coco" and image.shape[:2] != (info["height"], info["width"]):
            raise ValueError(f"COCO image {info['id']} ({info['path']}) has height and width "
                             f"{image.shape[:2]}, its annotations say {(info['height'], info['width'])}: "
                             "replace one of the two.")
        return image

    def load_mask(self, image_id):
        """Masks bool [H, W, N] and class ids int32 [N], negative for crowds. Empty masks are left out."""
        from pycocotools import mask as mask_utils

        info = self.image_info[image_id]
        if info["source"] != "coco":
            return super().load_mask(image_id)
        height, width, annotations = info["height"], info["width"], info["annotations"]
        if not annotations:
            return np.zeros((height, width, 0), bool), np.zeros(0, np.int32)
        masks = mask_utils.decode([self.annToRLE(a, height, width) for a in annotations])
        class_ids = np.array([self.map_source_class_id(f"coco.{a['category_id']}") for a in annotations],
                             np.int32)
        class_ids[[bool(a.get("iscrowd")) for a in annotations]] *= -1
        seen = masks.any(axis=(0, 1))
        return masks[:, :, seen].astype(bool), class_ids[seen]

    def image_reference(self, image_id):
        """Where the image can be looked at on COCO's site."""
        info = self.image_info[image_id]
        if info["source"] != "coco":
            return super().image_reference(image_id)
        return f"https://cocodataset.org/#explore?id={info['id']}"

    def annToRLE(self, ann, height, width):  # noqa: N802 - Matterport's name
        """The segmentation of an annotation, in any of COCO's three forms, as pycocotools' compressed RLE."""
        from pycocotools import mask as mask_utils

        segmentation = ann["segmentation"]
        if isinstance(segmentation, list):
            return mask_utils.merge(mask_utils.frPyObjects(segmentation, height, width))
        if [height, width] != list(segmentation["size"]):
            raise ValueError(f"Annotation {ann.get('id')}: its RLE has size {segmentation['size']}, the "
                             f"image {[height, width]}.")
        if isinstance(segmentation["counts"], list):
            return mask_utils.frPyObjects(segmentation, height, width)
        return segmentation

    def annToMask(self, ann, height, width):  # noqa: N802 - Matterport's name
        """The segmentation of an annotation as a mask uint8 [height, width] of 0 and 1."""
        from pycocotools import mask as mask_utils

        return mask_utils.decode(self.annToRLE(ann, height, width))


def read_annotations(path):
    """A COCO annotation file as a `pycocotools.coco.COCO` object, without what cannot be used.

    Annotations of unknown images or categories, and polygons with fewer than three points, are left out and
    counted in one printed line each.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the file is no JSON or lacks a field; a bad RLE, with the annotation's id.
    """
    from mrcnn.evaluation.ground_truth import coco_index

    began = time.monotonic()
    try:
        with open(path, encoding="utf-8") as source:
            content = json.load(source)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"Annotation file {path} does not exist. --dataset must name the folder that "
                                "holds 'annotations'; --download fetches the data.") from error
    except (OSError, ValueError) as error:
        raise ValueError(f"Annotation file {path} cannot be read as JSON: {error}") from error
    check_fields(content, path)
    content["annotations"] = clean_annotations(content, path)
    coco = coco_index(content)
    print(f"{path}: {len(coco.imgs)} images, {len(coco.anns)} annotations, {len(coco.cats)} categories "
          f"({time.monotonic() - began:.1f} s)")
    return coco


def check_fields(content, path):
    """Raise ValueError where `content` lacks a part or a field that is needed."""
    fields = {"images": ("id", "file_name", "height", "width"), "categories": ("id", "name"),
              "annotations": ("id", "image_id", "category_id", "segmentation", "bbox", "area")}
    if not isinstance(content, dict):
        raise ValueError(f"{path} must hold a JSON object, it holds a {type(content).__name__}.")
    for part, names in fields.items():
        if not isinstance(content.get(part), list):
            raise ValueError(f"{path} has no list '{part}': it is not a COCO instances file.")
        for position, entry in enumerate(content[part]):
            for name in names:
                if not isinstance(entry, dict) or name not in entry:
                    raise ValueError(f"{path}: {part}[{position}] has no '{name}': {str(entry)[:80]}")


def clean_annotations(content, path):
    """The annotations of `content` that can be used; see `read_annotations`."""
    images = {image["id"]: (image["height"], image["width"]) for image in content["images"]}
    categories = {category["id"] for category in content["categories"]}
    no_image, no_category = "annotations of images not in the file", "annotations of unknown categories"
    no_polygon, part_dropped = "annotations without a usable polygon", "bad polygons of usable annotations"
    kept, counts = [], dict.fromkeys((no_image, no_category, no_polygon, part_dropped), 0)
    for ann in content["annotations"]:
        if ann["image_id"] not in images:
            counts[no_image] += 1
        elif ann["category_id"] not in categories:
            counts[no_category] += 1
        elif isinstance(ann["segmentation"], dict):
            check_rle(ann, images[ann["image_id"]], path)
            kept.append(ann)
        else:
            parts = ann["segmentation"] if isinstance(ann["segmentation"], list) else []
            good = [part for part in parts if is_polygon(part)]
            if good:
                counts[part_dropped] += len(parts) - len(good)
                kept.append({**ann, "segmentation": good})
            else:
                counts[no_polygon] += 1
    for what, count in counts.items():
        if count:
            print(f"{path}: left out {count} {what}")
    return kept


def is_polygon(part):
    """Whether [x1, y1, x2, y2, ...] has three points or more and only finite, sensible numbers."""
    try:
        return len(part) >= 6 and len(part) % 2 == 0 and sum(map(abs, part)) < MAX_COORDINATES
    except TypeError:
        return False


def check_rle(ann, shape, path):
    """Raise ValueError, naming the annotation, unless its RLE is sound and covers the image `shape` (H, W).

    pycocotools decodes without looking: a wrong RLE would give a garbled mask, or none, hours later.
    """
    rle, size = ann["segmentation"], list(shape)
    where = f"{path}: annotation {ann['id']} of image {ann['image_id']} has a bad RLE"
    if rle.get("size") != size or not isinstance(rle.get("counts"), list | str):
        raise ValueError(f"{where}: expected 'counts' (list or text) and 'size' {size}, the image's height "
                         f"and width, got size {rle.get('size')}.")
    try:
        counts = rle["counts"] if isinstance(rle["counts"], list) else rle_counts(rle["counts"])
        total = sum(counts) if min(counts, default=0) >= 0 else -1
    except (IndexError, TypeError, ValueError) as error:
        raise ValueError(f"{where}: its counts cannot be decoded ({error}).") from error
    if total != size[0] * size[1]:
        raise ValueError(f"{where}: its run lengths must not be negative and add up to {size[0] * size[1]}.")


def rle_counts(text):
    """Run lengths of COCO's compressed form: six bits a character, from the fourth run on as differences."""
    counts, position = [], 0
    while position < len(text):
        value, shift, more = 0, 0, True
        while more:
            code = ord(text[position]) - 48
            if not 0 <= code < 64:
                raise ValueError(f"character {text[position]!r} at position {position}")
            value |= (code & 31) << shift
            shift, position, more = shift + 5, position + 1, bool(code & 32)
        if code & 16:
            value -= 1 << shift
        counts.append(value + counts[-2] if len(counts) > 2 else value)
    return counts


def check_images(folder, names, path):
    """Raise FileNotFoundError unless `folder` holds all files `names` of the annotation file `path`."""
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"Image folder {folder} does not exist: --download fetches it.")
    present = set(os.listdir(folder))
    missing = [name for name in names
               if name not in present and not os.path.exists(os.path.join(folder, name))]
    if missing:
        raise FileNotFoundError(f"{len(missing)} of the {len(names)} images in {path} are not in {folder}, "
                                f"first {missing[0]}: complete the folder or take them out of the file.")


def download_coco(folder, subset, year):
    """Download and unpack what is missing of a subset; see `CocoDataset.auto_download`."""
    images = f"{'train' if subset == 'train' else 'val'}{year}"
    annotations = f"annotations/instances_{subset}{year}.json"
    wanted = {images: f"{SERVER}/zips/{images}.zip",
              annotations: MINIVAL_URL if "minival" in subset else
              f"{SERVER}/annotations/annotations_trainval{year}.zip"}
    missing = {part: url for part, url in wanted.items() if not (folder / part).exists()}
    for part, url in missing.items():
        try:
            archive = common.fetch(url, folder / url.rsplit("/", 1)[1])
        except ConnectionError as error:
            raise ConnectionError(f"{error}\nCOCO {subset}{year} needs these archives, unpacked in {folder}: "
                                  + ", ".join(missing.values())) from error
        print(f"Unpacking {archive}")
        unpack(archive, folder, images if part == images else None)
        print(f"{archive} is no longer needed")


def unpack(archive, folder, images):
    """Unpack an archive beside its goal, then move into `folder` the directory `images`, or the annotations.

    Moving last keeps an interrupted run from leaving a half-filled folder that looks complete.
    """
    temporary = folder / f".unpacking_{archive.name}"
    try:
        if archive.suffix == ".zip":
            with zipfile.ZipFile(archive) as source:
                source.extractall(temporary)
        else:
            with tarfile.open(archive) as source:
                source.extractall(temporary, filter="data")
    except (zipfile.BadZipFile, tarfile.TarError, EOFError) as error:
        raise ValueError(f"Archive {archive} is damaged ({error}): delete it and start again.") from error
    if images:
        (temporary / images).rename(folder / images)
    else:
        (folder / "annotations").mkdir(exist_ok=True)
        for path in temporary.rglob("instances_*.json"):
            path.replace(folder / "annotations" / path.name)
    shutil.rmtree(temporary)


def build_coco_results(dataset, image_ids, rois, class_ids, scores, masks):
    """Detections of one image as a list of COCO result dictionaries.

    Args:
        dataset: the dataset whose class ids these are.
        image_ids: COCO's ids of the image: a list of one.
        rois: boxes [N, (y1, x1, y2, x2)] in pixels, or None for no detection.
        class_ids, scores: [N].
        masks: bool [H, W, N].

    Returns:
        list of {"image_id", "category_id", "bbox" (x, y, width, height), "score", "segmentation" (RLE)}.
    """
    from mrcnn.evaluation.ground_truth import encode_masks

    if rois is None or not len(rois):
        return []
    rows = list(zip(rois, class_ids, scores, encode_masks(masks), strict=True))
    return [{"image_id": int(image_id), "category_id": dataset.get_source_class_id(class_id, "coco"),
             "bbox": [float(x1), float(y1), float(x2 - x1), float(y2 - y1)], "score": float(score),
             "segmentation": rle}
            for image_id in image_ids for (y1, x1, y2, x2), class_id, score, rle in rows]


def evaluate_coco(model, dataset, coco, eval_type="bbox", limit=0, image_ids=None):
    """Detect in the images and print COCO's twelve numbers.

    Args:
        model: has `detect`.
        dataset: a `CocoDataset`.
        coco: the object that `load_coco(return_coco=True)` returned.
        eval_type: "bbox" for boxes or "segm" for masks.
        limit: only the first so many images; 0 for all.
        image_ids: images of the dataset to use; None for all.

    Returns:
        {"box_ap": ..., ...} or {"mask_ap": ..., ...}: the twelve numbers, -1 where nothing of a size exists.
    """
    if eval_type not in ("bbox", "segm"):
        raise ValueError(f"eval_type must be 'bbox' or 'segm', got {eval_type!r}.")
    image_ids = (dataset.image_ids if image_ids is None else image_ids)[:limit or None]
    results, began = [], time.monotonic()
    for image_id in image_ids:
        found = model.detect([dataset.load_image(image_id)], verbose=0)[0]
        results += build_coco_results(dataset, [dataset.image_info[image_id]["id"]], found["rois"],
                                      found["class_ids"], found["scores"], found["masks"])
    print(f"{len(results)} detections in {len(image_ids)} images, {time.monotonic() - began:.1f} s")
    numbers = score_results(coco, results, [dataset.image_info[i]["id"] for i in image_ids], eval_type)
    kind = "box" if eval_type == "bbox" else "mask"
    return {f"{kind}_{name}": number for name, number in zip(METRICS, numbers, strict=True)}


def score_results(coco, results, coco_image_ids, eval_type):
    """pycocotools' twelve numbers of `results` (see `build_coco_results`) as a list, printed as well."""
    from pycocotools.cocoeval import COCOeval

    # pycocotools takes areas from the boxes where there are any: wrong for the size classes of masks.
    other = "segmentation" if eval_type == "bbox" else "bbox"
    rows = [{key: value for key, value in row.items() if key != other} for row in results]
    if not rows:
        print("Nothing was detected: all numbers are 0.")
        return [0.0] * len(METRICS)
    evaluation = COCOeval(coco, coco.loadRes(rows), eval_type)
    evaluation.params.imgIds = coco_image_ids
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return [float(number) for number in evaluation.stats]


def make_config(base, args, dataset=None, **more):
    """`base` with the command line's wishes and the classes of `dataset`."""
    size = args.image_size
    return common.configure(
        base, NUM_CLASSES=dataset.num_classes if dataset else None, BACKBONE=args.backbone,
        IMAGE_MAX_DIM=size,
        IMAGE_MIN_DIM=size and round(size * CocoConfig.IMAGE_MIN_DIM / CocoConfig.IMAGE_MAX_DIM),
        STEPS_PER_EPOCH=args.steps, IMAGES_PER_GPU=args.batch if base is CocoConfig else None, **more)


def has_coco_classes(config):
    """Whether all layers of such a model fit COCO's weights: it has as many classes."""
    return config.NUM_CLASSES == CocoConfig.NUM_CLASSES


def load_dataset(args, *subsets):
    """A prepared dataset of the year's subsets, and the COCO object of the last one."""
    dataset = CocoDataset()
    for subset in subsets:
        coco = dataset.load_coco(args.dataset, subset, args.year, return_coco=True,
                                 auto_download=args.download)
    dataset.prepare()
    return dataset, coco


def val_subset(args):
    """The subset to validate on: 5,000 images in both years."""
    return "val" if args.year == "2017" else "minival"


def train(args):
    """Train in Matterport's three stages, scaled to `--epochs`; then evaluate."""
    from mrcnn import visualize

    train_set, _ = load_dataset(args, *(("train",) if args.year == "2017" else ("train", "valminusminival")))
    val_set, coco = load_dataset(args, val_subset(args))
    config = make_config(CocoConfig, args, train_set)
    config.display()
    model = common.build_model("training", config, args.logs)
    weights = args.model or "imagenet"
    common.load_weights(model, weights, has_coco_classes(config))
    epochs, rate = args.epochs or 160, config.LEARNING_RATE
    scratch = weights.lower() == "none"
    # Random features must learn from the start; the names behind "4+" are ResNet's.
    middle = "4+" if not scratch and str(config.BACKBONE).startswith("resnet") else "all"
    stages = [("all" if scratch else "heads", rate, max(1, epochs // 4), 0.25),
              (middle, rate, max(1, epochs * 3 // 4), 0.75), ("all", rate / 10, epochs, 1.0)]
    began = time.monotonic()
    history = common.run_schedule(model, train_set, val_set, stages, flip_half, args.minutes)
    extra = {"train_seconds": time.monotonic() - began, "history": history, "start_weights": weights}
    folder = common.run_folder(args, model)
    if history:
        visualize.plot_training_curves(history, save_path=str(folder / "losses.png"))
    measure(args, val_set, coco, model.find_last(), folder, extra)


def flip_half(image, masks, rng=np.random):
    """Mirror every second image left to right: Matterport's only augmentation for COCO."""
    return (image[:, ::-1], masks[:, ::-1]) if rng.uniform() < 0.5 else (image, masks)


def evaluate(args):
    """Evaluate `--model` on the first `--limit` validation images."""
    measure(args, *load_dataset(args, val_subset(args)), args.model or "coco", None, {})


def measure(args, dataset, coco, weights, folder, extra):
    """COCO's twelve numbers for boxes and for masks of `weights`, printed and into metrics.json."""
    from mrcnn.evaluation import coco as coco_evaluation

    config = make_config(CocoInferenceConfig, args, dataset)
    model = common.build_model("inference", config, args.logs)
    path = common.load_weights(model, str(weights), has_coco_classes(config))
    folder = folder or common.run_folder(args, model)
    began = time.monotonic()
    numbers = coco_evaluation.evaluate(model, dataset, limit=args.limit or 500, max_detections=100, coco=coco)
    numbers["seconds"] = time.monotonic() - began
    common.write_metrics(folder, {**numbers, **extra, "seed": args.seed, "weights": path, "year": args.year})


def detect(args):
    """Write pictures of the detections in `--image`, or in the first `--limit` validation images."""
    dataset = None if args.image else load_dataset(args, val_subset(args))[0]
    config = make_config(CocoInferenceConfig, args, dataset, DETECTION_MIN_CONFIDENCE=0.7)
    model = common.build_model("inference", config, args.logs)
    common.load_weights(model, args.model or "coco", has_coco_classes(config))
    folder = common.run_folder(args, model)
    names = dataset.class_names if dataset else CLASS_NAMES
    paths = args.image or [dataset.image_info[i]["path"] for i in dataset.image_ids[:args.limit or 8]]
    for path in paths:
        image = common.read_image(path)
        result = model.detect([image])[0]
        target = folder / f"{Path(path).stem}_detections.png"
        common.save_picture(image, result, names, target)
        print(f"{target}: " + (", ".join(names[i] for i in result["class_ids"]) or "nothing found"))


def parse(argv=None):
    """The command line as a namespace. Raises SystemExit when it makes no sense."""
    parser = argparse.ArgumentParser(description="Mask R-CNN on COCO.")
    parser.add_argument("command", choices=("train", "evaluate", "detect"))
    parser.add_argument("--dataset", metavar="DIR", help="folder with 'annotations' and the image folders")
    parser.add_argument("--year", choices=("2014", "2017"), default=DEFAULT_DATASET_YEAR)
    parser.add_argument("--model", help="weights: coco, imagenet, last, none or a path (default: imagenet to "
                        "train, else coco)")
    parser.add_argument("--limit", type=common.positive(int), help="images to evaluate (default: 500) or "
                        "detect (default: 8)")
    parser.add_argument("--download", nargs="?", const=True, default=False, metavar="True",
                        type=lambda text: text.lower() in ("true", "yes", "1"), help="fetch missing data")
    parser.add_argument("--image", nargs="+", metavar="FILE", help="detect: picture files")
    args = common.add_run_arguments(parser).parse_args(argv)
    if not args.dataset and not (args.command == "detect" and args.image):
        parser.error(f"{args.command} needs --dataset" + (" or --image" if args.command == "detect" else ""))
    return args


def main(argv=None):
    """Run one command."""
    args = parse(argv)
    common.begin(args.seed)
    {"train": train, "evaluate": evaluate, "detect": detect}[args.command](args)


if __name__ == "__main__":
    main()
