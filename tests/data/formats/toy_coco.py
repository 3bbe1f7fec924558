"""Small files in COCO's format."""

import json

import numpy as np
from pycocotools import mask as mask_utils
from skimage.io import imsave

HEIGHT, WIDTH = 40, 60
TRIANGLE = [10.0, 5.0, 30.0, 5.0, 20.0, 25.0]


def rle(mask, compressed):
    """A mask as COCO's RLE, as text or as a list of counts."""
    if compressed:
        encoded = mask_utils.encode(np.asfortranarray(mask.astype(np.uint8)))
        return {"size": list(mask.shape), "counts": encoded["counts"].decode()}
    flat = mask.T.reshape(-1).astype(np.int8)
    edges = np.flatnonzero(np.diff(flat)) + 1
    counts = np.diff([0, *edges, flat.size]).tolist()
    return {"size": list(mask.shape), "counts": [0, *counts] if flat[0] else counts}


def annotation(number, segmentation, image_id=1, category_id=7, **more):
    """One annotation with no more than masks need."""
    return {"id": number, "image_id": image_id, "category_id": category_id, "segmentation": segmentation, **more}


def write_coco(folder, annotations, name="annotations.json", images_dir="images", **changes):
    """Write two images of `HEIGHT` x `WIDTH` and a JSON file into `folder`; returns the JSON file's path."""
    (folder / images_dir).mkdir(parents=True, exist_ok=True)
    entries = [{"id": i, "file_name": f"{i}.png", "height": HEIGHT, "width": WIDTH} for i in (1, 2)]
    for entry in entries:
        imsave(folder / images_dir / entry["file_name"], np.full((HEIGHT, WIDTH, 3), entry["id"], np.uint8),
               check_contrast=False)
    content = {"images": entries, "annotations": annotations,
               "categories": [{"id": 90, "name": "dog"}, {"id": 7, "name": "cat"}], **changes}
    path = folder / name
    path.write_text(json.dumps(content))
    return path
