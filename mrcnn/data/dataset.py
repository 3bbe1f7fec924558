"""The base class of every user's dataset."""

import numpy as np

from .read_image import read_image
from .report import image_info_of, image_label, logger, warn_once

_MADE_BY_PREPARE = frozenset(
    "num_classes class_ids class_names num_images class_from_source_map image_from_source_map "
    "sources source_class_ids".split()
)


class Dataset:
    """Images and classes of one or several sources.

    Subclass it: a method of yours calls `add_class` and `add_image`, and `load_mask` is
    overridden (`load_image` and `image_reference` if need be). Then:

        dataset = MyDataset()
        dataset.load_my_files(folder)
        dataset.prepare()

    Classes and images are numbered by the order they were added in; class 0 is the background.
    The ids that a source itself uses are kept beside them.
    """

    # Names of an object's keypoints, where the data set has any, in the order of `load_keypoints`.
    keypoint_names = ()
    # Pairs of positions in `keypoint_names` that a picture joins by a line.
    skeleton = ()
    # How far annotators place each keypoint apart, as COCO's evaluation wants it (its 17 have their own).
    keypoint_sigmas = None

    def __init__(self, class_map=None):
        self._image_ids = []
        self.image_info = []
        self.class_info = [{"source": "", "id": 0, "name": "BG"}]

    def __getattr__(self, name):
        if name in _MADE_BY_PREPARE:
            raise AttributeError(
                f"{type(self).__name__}.{name} does not exist yet: call prepare() on the dataset after the "
                "last add_class() and add_image()."
            )
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def add_class(self, source, class_id, class_name):
        """Add a class, unless its source already has one of that id.

        Args:
            source: name of the data source, without a dot.
            class_id: the id that the source uses; need not follow the one before.
            class_name: text; what follows a comma is cut off for display.
        """
        if "." in source:
            raise ValueError(f"The source name {source!r} must not contain a dot; rename it in add_class().")
        if any(info["source"] == source and info["id"] == class_id for info in self.class_info):
            return
        self.class_info.append({"source": source, "id": class_id, "name": class_name})

    def add_image(self, source, image_id, path, **kwargs):
        """Add an image.

        Args:
            source: name of the data source.
            image_id: the id that the source uses, number or text.
            path: its file, or its address (http, https, ftp); None for images made by `load_image`.
            **kwargs: anything that `load_mask` needs later; kept in `image_info`.
        """
        self.image_info.append({"id": image_id, "source": source, "path": path, **kwargs})

    def append_data(self, class_info, image_info):
        """Add classes (source, id, name) and images as dicts, as they are kept inside."""
        self.class_info.extend(class_info)
        self.image_info.extend(image_info)

    def prepare(self, class_map=None):
        """Number classes and images; call it after the last `add_class` and `add_image`.

        May be called again after more were added. `class_map` is not used.
        """
        self.num_classes = len(self.class_info)
        self.class_ids = np.arange(self.num_classes)
        self.class_names = [str(info["name"]).split(",")[0] for info in self.class_info]
        self.num_images = len(self.image_info)
        self._image_ids = np.arange(self.num_images)
        self.class_from_source_map = _positions(self.class_info)
        self.image_from_source_map = _positions(self.image_info)
        self.sources = list(dict.fromkeys(info["source"] for info in self.class_info))
        # The background belongs to every source.
        self.source_class_ids = {
            source: [
                index for index, info in enumerate(self.class_info) if index == 0 or info["source"] == source
            ]
            for source in self.sources
        }
        self._warn_of_duplicates()

    def _warn_of_duplicates(self):
        twice = [f'{source} "{image_id}"' for source, image_id in repeated_images(self.image_info)]
        if twice:
            named = ", ".join(twice[:5]) + (", ..." if len(twice) > 5 else "")
            logger.warning(
                f"{len(twice)} image ids were added more than once: {named}. Each is kept and counts several "
                "times; give add_image() different ids or skip the repeats."
            )

    def map_source_class_id(self, source_class_id):
        """Class number for "source.id", for example "coco.44"."""
        if source_class_id not in self.class_from_source_map:
            raise KeyError(
                f"No class {source_class_id!r}; there are {', '.join(list(self.class_from_source_map)[:10])}."
            )
        return self.class_from_source_map[source_class_id]

    def get_source_class_id(self, class_id, source):
        """The id that `source` uses for a class number."""
        info = self.class_info[class_id]
        if info["source"] != source:
            raise ValueError(
                f"Class {class_id} ({info['name']}) is of source {info['source']!r}, not {source!r}."
            )
        return info["id"]

    @property
    def image_ids(self):
        """Numbers of all images, int [N]; an empty list before `prepare`."""
        return self._image_ids

    def source_image_link(self, image_id):
        """Path or address of an image's file."""
        return self.image_info[image_id]["path"]

    def load_image(self, image_id):
        """Read an image: [H, W, 3] in its file's depth; grey is repeated, alpha is dropped."""
        return read_image(image_info_of(self, image_id)["path"], image_label(self, image_id))

    def load_mask(self, image_id):
        """Masks and classes of an image's objects; to be overridden.

        Returns:
            masks: bool [H, W, N], one for each object, of the size that `load_image` gives.
            class_ids: int32 [N], class numbers; a crowd's is negative.
        """
        warn_once(
            self,
            "default load_mask",
            f"{image_label(self, image_id)} has no objects: {type(self).__name__} uses the default "
            "load_mask(). Override it to return the masks and their class ids.",
        )
        return np.empty([0, 0, 0]), np.empty([0], np.int32)

    def load_keypoints(self, image_id):
        """Keypoints of an image's objects; to be overridden, together with `keypoint_names`, for a `KeypointRCNN`.

        Returns:
            [N, K, (y, x, visibility)] in pixels of the image that `load_image` gives, an entry for each mask that
            `load_mask` gives; visibility 0 means not annotated, 1 hidden, 2 visible.
        """
        raise NotImplementedError(
            f"{type(self).__name__} has no keypoints: override load_keypoints() to return an array [N, K, 3] of (y, x, "
            "visibility), and set keypoint_names to the names of the K keypoints."
        )

    def validate(self, config=None, limit=None, workers=8, verbose=1):
        """Look at all images and masks, and print everything that is wrong in one table.

        Args:
            config: its NUM_CLASSES and IMAGE_CHANNEL_COUNT are what the data must fit. None means the dataset's own
                classes and three channels.
            limit: look at so many images only, evenly spread; None means all.
            workers: threads.
            verbose: 0 prints nothing.

        Returns:
            `validate.ValidationReport`.
        """
        from .validate import validate

        return validate(self, config, limit, workers, verbose)

    def annotated_boxes(self, image_id):
        """Boxes of an image's objects as they were drawn, before anything is cut off; to be overridden.

        `validate` tells from them what lies outside the image.

        Returns:
            float [N, (y1, x1, y2, x2)] in pixels, or None if they are not known.
        """
        return None

    def image_reference(self, image_id):
        """Text that helps a person find the image; to be overridden. Empty here."""
        return ""


def repeated_images(image_info):
    """Images of one id that were added several times: {(source, id as text): list of their positions}."""
    positions = {}
    for position, info in enumerate(image_info):
        positions.setdefault((info["source"], str(info["id"])), []).append(position)
    return {key: found for key, found in positions.items() if len(found) > 1}


def _positions(infos):
    """ "source.id" -> position."""
    return {f"{info['source']}.{info['id']}": index for index, info in enumerate(infos)}
