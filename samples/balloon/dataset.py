"""The balloon pictures as a data set of `mrcnn`."""

from pathlib import Path

from mrcnn.data.formats import ViaDataset

ANNOTATION_FILE = "via_region_data.json"


class BalloonDataset(ViaDataset):
    """One class, "balloon": every region that was annotated with VIA is one, whatever its attributes."""

    SOURCE = "balloon"

    def load_balloon(self, dataset_dir, subset):
        """Register the annotated images of a subset; those without a region are passed over.

        Args:
            dataset_dir: folder that holds `train` and `val`, each with its images and via_region_data.json.
            subset: "train" or "val".

        Raises:
            FileNotFoundError: the folder, its annotation file or images are missing.
            ValueError: unknown subset, or malformed annotations; names file and region.
        """
        if subset not in ("train", "val"):
            raise ValueError(f"Unknown subset '{subset}': expected train or val.")
        folder = Path(dataset_dir) / subset
        if not (folder / ANNOTATION_FILE).is_file():
            raise FileNotFoundError(f"There is no file {folder / ANNOTATION_FILE}: --dataset must name the folder that "
                                    f"holds train and val, each with its images and {ANNOTATION_FILE}.")
        self.load_via(folder / ANNOTATION_FILE, folder, class_attribute=False, default_class="balloon")
