"""The Data Science Bowl's images as a data set of `mrcnn`."""

from pathlib import Path

import numpy as np

from mrcnn import utils
from samples.nucleus.masks import pack_masks, unpack_masks

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


class NucleusDataset(utils.Dataset):
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
