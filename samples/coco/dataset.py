"""COCO as a data set of `mrcnn`."""

import os
from pathlib import Path

import numpy as np

from mrcnn import utils
from samples.coco.annotations import read_annotations
from samples.coco.download import download_coco

DEFAULT_DATASET_YEAR = "2014"
SUBSETS = ("train", "val", "minival", "valminusminival")

CLASS_NAMES = ["BG"] + (
    "person,bicycle,car,motorcycle,airplane,bus,train,truck,boat,traffic light,fire hydrant,stop sign,"
    "parking meter,bench,bird,cat,dog,horse,sheep,cow,elephant,bear,zebra,giraffe,backpack,umbrella,"
    "handbag,tie,suitcase,frisbee,skis,snowboard,sports ball,kite,baseball bat,baseball glove,"
    "skateboard,surfboard,tennis racket,bottle,wine glass,cup,fork,knife,spoon,bowl,banana,apple,"
    "sandwich,orange,broccoli,carrot,hot dog,pizza,donut,cake,chair,couch,potted plant,bed,"
    "dining table,toilet,tv,laptop,mouse,remote,keyboard,cell phone,microwave,oven,toaster,sink,"
    "refrigerator,book,clock,vase,scissors,teddy bear,hair drier,toothbrush").split(",")


class CocoDataset(utils.Dataset):
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
