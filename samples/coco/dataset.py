"""COCO as a data set of `mrcnn`."""

import os
from pathlib import Path

from mrcnn.data import formats
from mrcnn.engine.coco_classes import COCO_CLASS_NAMES
from samples.coco.annotations import read_annotations
from samples.coco.download import download_coco

DEFAULT_DATASET_YEAR = "2014"
SUBSETS = ("train", "val", "minival", "valminusminival")

CLASS_NAMES = list(COCO_CLASS_NAMES)


class CocoDataset(formats.CocoDataset):
    """COCO's own folders and files. Crowds have a negative class id, as `load_image_gt` expects."""

    def load_coco(self, dataset_dir, subset, year=DEFAULT_DATASET_YEAR, class_ids=None, class_map=None,
                  return_coco=False, auto_download=False, keypoints=False):
        """Register a subset of COCO.

        Args:
            dataset_dir: folder that holds `annotations` and the image folders.
            subset: "train", "val", "minival" or "valminusminival" (the last two exist for 2014).
            year: "2014" or "2017", text or number.
            class_ids: COCO's own category ids to keep; None keeps all. Images without any are left out.
            class_map: unused, kept for Matterport's signature.
            return_coco: True returns the `pycocotools.coco.COCO` object.
            auto_download: True first downloads what is missing.
            keypoints: True reads the people and their keypoints: `person_keypoints_<subset><year>.json`.

        Raises:
            FileNotFoundError: annotation file, image folder or images are missing.
            ValueError: malformed annotations, unknown subset, or a category id that the file lacks.
        """
        if subset not in SUBSETS:
            raise ValueError(f"Unknown COCO subset '{subset}': expected one of {', '.join(SUBSETS)}.")
        kind = "person_keypoints" if keypoints else "instances"
        if auto_download:
            self.auto_download(dataset_dir, subset, year, kind)
        path = os.path.join(dataset_dir, "annotations", f"{kind}_{subset}{year}.json")
        coco = read_annotations(path)
        unknown = sorted(set(class_ids or ()) - set(coco.cats))
        if unknown:
            raise ValueError(f"Category ids {unknown} are not in {path}, which has {sorted(coco.cats)}.")
        class_ids = sorted(class_ids or coco.cats)
        image_ids = sorted({i for c in class_ids for i in coco.catToImgs[c]}
                           if len(class_ids) < len(coco.cats) else coco.imgs)
        folder = os.path.join(dataset_dir, f"{'train' if subset == 'train' else 'val'}{year}")
        if not os.path.isdir(folder):
            raise FileNotFoundError(f"Image folder {folder} does not exist: coco.py and keypoints.py fetch it with "
                                    "--download.")
        self.add_coco({"categories": coco.loadCats(class_ids), "images": coco.loadImgs(image_ids),
                       "annotations": coco.dataset["annotations"]}, folder, path)
        return coco if return_coco else None

    def auto_download(self, dataset_dir, subset, year, kind="instances"):
        """Download and unzip the images and annotations of a subset, where they are not there yet; `kind` is
        "instances" or "person_keypoints".

        Raises:
            ConnectionError: names every address, so that it can be fetched by other means.
        """
        download_coco(Path(dataset_dir), subset, str(year), kind)

    def image_reference(self, image_id):
        """Where the image can be looked at on COCO's site."""
        info = self.image_info[image_id]
        if info["source"] != "coco":
            return super().image_reference(image_id)
        return f"https://cocodataset.org/#explore?id={info['id']}"
