"""Loaders of the formats that annotation tools write.

    from mrcnn.data.formats import LabelmeDataset

    dataset = LabelmeDataset()
    dataset.load_labelme("folder")
    dataset.prepare()
    dataset.validate()

| class | method | format |
|---|---|---|
| `CocoDataset` | `load_coco_json` | JSON in COCO's format, from any tool |
| `LabelmeDataset` | `load_labelme` | labelme's JSON files |
| `LabelmeFolderDataset` | `load_labelme_folders` | folders written by `labelme_json_to_dataset` |
| `LabelImageDataset` | `load_label_images` | label images: each number an object |
| `MaskFolderDataset` | `load_mask_folders` | a folder an image, a mask file an object |
| `ViaDataset` | `load_via` | JSON of the VGG Image Annotator 1 and 2 |
| `VocDataset` | `load_voc` | Pascal VOC: XML boxes, segmentation PNG |

All number their classes by name; `class_names` fixes the order where training and validation data might differ.
"""

from .coco import CocoDataset
from .label_images import LabelImageDataset
from .labelme import LabelmeDataset
from .labelme_folders import LabelmeFolderDataset
from .mask_folders import MaskFolderDataset
from .via import ViaDataset
from .voc import VocDataset

__all__ = [
    "CocoDataset",
    "LabelImageDataset",
    "LabelmeDataset",
    "LabelmeFolderDataset",
    "MaskFolderDataset",
    "ViaDataset",
    "VocDataset",
]
