"""What a data set holds: classes, objects, their sizes, and how well the anchors fit them."""

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np

from .anchors import generate_anchors
from .boxes import compute_overlaps
from .checks import checked_masks
from .masks import extract_bboxes
from .resize import plan_resize

# An object whose best anchor of the same centre stays below this is left to the one anchor that fits it least badly.
POOR_OVERLAP = 0.5

# Between two square anchors that are a factor of 2 apart no square stays below an IoU of 0.5, and a factor of sqrt 2
# brings all of them to 0.7, the RPN's bound for a positive anchor: farther leaves gaps, closer gains nothing.
LEAST_FACTOR, MOST_FACTOR = 2 ** 0.5, 2.0


@dataclass(frozen=True)
class DatasetStatistics:
    """What `describe` found. C classes with the background, I images, N objects without crowds.

    Attributes:
        class_names: [C] texts, position 0 the background.
        image_ids: [I], the images that were looked at.
        image_shape: (height, width) of the network's input where every image gets the same, else None.
        objects_per_image: int [I].
        images_per_class: int [C], images with at least one object of the class.
        class_ids: int [N].
        sizes: float [N, (height, width)] of the objects' boxes, pixels of the network's input; of the image itself
            where no config was given.
        crowds: number of crowds; they count nowhere else.
        anchor_scales, anchor_ratios: the config's; None without one.
    """

    class_names: list
    image_ids: np.ndarray
    image_shape: tuple | None
    objects_per_image: np.ndarray
    images_per_class: np.ndarray
    class_ids: np.ndarray
    sizes: np.ndarray
    crowds: int
    anchor_scales: tuple | None
    anchor_ratios: tuple | None

    @property
    def class_counts(self):
        """Objects of each class: int [C]."""
        return np.bincount(self.class_ids, minlength=len(self.class_names))

    @property
    def sides(self):
        """Square root of each object's box area: float [N] pixels, to be compared with RPN_ANCHOR_SCALES."""
        return np.sqrt(self.sizes.prod(axis=1))

    @property
    def aspect_ratios(self):
        """Width / height of each object's box: float [N], to be compared with RPN_ANCHOR_RATIOS."""
        return self.sizes[:, 1] / self.sizes[:, 0]

    @property
    def anchor_overlaps(self):
        """Each object's `best_anchor_overlaps` with the config's anchors: float [N]; None without a config."""
        if self.anchor_scales is None:
            return None
        return best_anchor_overlaps(self.sizes, self.anchor_scales, self.anchor_ratios)

    @property
    def poor_share(self):
        """Share of the objects whose best anchor overlaps them by less than 0.5; None without config or objects."""
        if self.anchor_scales is None or len(self.sizes) == 0:
            return None
        return float(np.mean(self.anchor_overlaps < POOR_OVERLAP))

    def display(self):
        """Prints everything as a table, with a suggestion for the anchors."""
        print("\n".join(_lines(self)))


def describe(dataset, config=None, limit=None):
    """Reads the images and masks of a data set and counts what is in them.

    Args:
        dataset: prepared Dataset.
        config: sizes are counted after its resize (IMAGE_*; "crop" without the cut), and its RPN_ANCHOR_SCALES and
            RPN_ANCHOR_RATIOS are judged. None counts sizes in the images as they are and judges no anchors.
        limit: look at so many images only, evenly spread over the data set; None means all.

    Returns:
        DatasetStatistics.

    Raises:
        ValueError: no images, a limit below 1, or `load_mask` returned what cannot be; the text names the image.
    """
    image_ids = _chosen(dataset, limit)
    # Without a config every class of the data set may occur.
    settings = config or SimpleNamespace(NUM_CLASSES=dataset.num_classes)
    counts, class_ids, sizes, crowds = [], [], [], 0
    images_per_class = np.zeros(dataset.num_classes, dtype=int)
    for image_id in image_ids:
        shape = np.shape(dataset.load_image(image_id))
        masks, ids = checked_masks(dataset, settings, image_id, shape)
        real = ids > 0
        boxes = extract_bboxes(masks[..., real]).astype(float)
        scale = 1.0 if config is None else _scale(shape, config)
        counts.append(len(boxes))
        class_ids.append(ids[real])
        sizes.append((boxes[:, 2:] - boxes[:, :2]) * scale)
        crowds += int(np.count_nonzero(~real))
        images_per_class[np.unique(ids[real])] += 1
    return DatasetStatistics(
        class_names=list(dataset.class_names),
        image_ids=image_ids,
        image_shape=_input_shape(config),
        objects_per_image=np.array(counts),
        images_per_class=images_per_class,
        class_ids=np.concatenate(class_ids),
        sizes=np.concatenate(sizes),
        crowds=crowds,
        anchor_scales=None if config is None else tuple(config.RPN_ANCHOR_SCALES),
        anchor_ratios=None if config is None else tuple(config.RPN_ANCHOR_RATIOS),
    )


def best_anchor_overlaps(sizes, scales, ratios):
    """IoU of each object with the anchor of most like shape, both on one centre.

    Args:
        sizes: [N, (height, width)] pixels.
        scales: sides of the square anchors, pixels.
        ratios: width / height of the anchors; every scale is taken with every ratio.

    Returns:
        float [N] in [0, 1].
    """
    sizes = np.asarray(sizes, dtype=float).reshape(-1, 2)
    anchors = generate_anchors(scales, ratios, shape=(1, 1), feature_stride=1, anchor_stride=1)
    return compute_overlaps(np.concatenate([-sizes / 2, sizes / 2], axis=1), anchors).max(axis=1)


def suggest_anchor_scales(sizes, count=5):
    """RPN_ANCHOR_SCALES for objects of these sides.

    The rule: the centres of a k-means clustering of log(side), which make the mean squared factor between an object
    and its scale least, started at evenly spaced quantiles. From the middle one outwards each is then moved to at
    least sqrt 2 and at most 2 times its neighbour, so that no size between the scales goes without a fitting anchor;
    the few objects far outside do. Rounded to whole pixels.

    Args:
        sizes: [N] sides in pixels, as `DatasetStatistics.sides`, all above 0.
        count: number of scales: one for each level of the pyramid.

    Returns:
        tuple of `count` whole numbers, rising.

    Raises:
        ValueError: no sizes, or one that is not above 0.
    """
    sizes = np.asarray(sizes, dtype=float).reshape(-1)
    if sizes.size == 0 or not np.all(sizes > 0) or not np.all(np.isfinite(sizes)):
        raise ValueError(f"sizes must hold at least one side, all finite and above 0; got {sizes[:5]}")
    centers = _k_means(np.log(sizes), count)
    middle, (least, most) = count // 2, np.log([LEAST_FACTOR, MOST_FACTOR])
    for i in range(middle + 1, count):
        centers[i] = np.clip(centers[i], centers[i - 1] + least, centers[i - 1] + most)
    for i in range(middle - 1, -1, -1):
        centers[i] = np.clip(centers[i], centers[i + 1] - most, centers[i + 1] - least)
    scales = []
    for center in centers:
        # Sides of a few pixels may round to the same number.
        scales.append(max(int(round(np.exp(center))), scales[-1] + 1 if scales else 1))
    return tuple(scales)


def _k_means(values, count):
    """Centres [count] of the clusters of values [N], rising. A cluster that loses all its values keeps its centre."""
    centers = np.quantile(values, (np.arange(count) + 0.5) / count)
    while True:
        nearest = np.searchsorted((centers[1:] + centers[:-1]) / 2, values)
        members = np.bincount(nearest, minlength=count)
        means = np.bincount(nearest, weights=values, minlength=count) / np.maximum(members, 1)
        moved = np.where(members > 0, means, centers)
        if np.allclose(moved, centers, rtol=0, atol=1e-9):
            return moved
        centers = moved


def _chosen(dataset, limit):
    """Image ids to look at, evenly spread."""
    image_ids = np.asarray(dataset.image_ids, dtype=int)
    if len(image_ids) == 0:
        raise ValueError(f"{type(dataset).__name__} has no images: add some, and call prepare() after the last.")
    if limit is None or limit >= len(image_ids):
        return image_ids
    if limit < 1:
        raise ValueError(f"limit is {limit}; expected the number of images to look at, 1 or more, or None for all.")
    return image_ids[np.linspace(0, len(image_ids) - 1, limit).round().astype(int)]


def _scale(shape, config):
    """Factor from the image to the network's input."""
    return plan_resize(*shape[:2], config.IMAGE_MIN_DIM, config.IMAGE_MAX_DIM, config.IMAGE_MIN_SCALE,
                       config.IMAGE_RESIZE_MODE).scale


def _input_shape(config):
    """(height, width) that every image gets, or None."""
    if config is None or config.IMAGE_RESIZE_MODE not in ("square", "crop"):
        return None
    return tuple(int(side) for side in config.IMAGE_SHAPE[:2])


def _lines(found):
    """The printed table."""
    counts, sides, total = found.class_counts, found.sides, len(found.class_ids)
    unit = "pixels of the network's input" if found.anchor_scales else "pixels of the images"
    if found.image_shape:
        unit += " ({} x {})".format(*found.image_shape)
    lines = [f"{len(found.image_ids)} images, {np.count_nonzero(found.objects_per_image == 0)} without objects; "
             f"{total} objects, {found.crowds} crowds",
             f"Objects per image:  {_spread(found.objects_per_image, '.0f')}",
             f"Side of an object:  {_spread(sides, '.0f')}   in {unit}",
             f"Width / height:     {_spread(found.aspect_ratios, '.2f')}", ""]
    width = max(map(len, found.class_names))
    poor = None if found.anchor_scales is None else found.anchor_overlaps < POOR_OVERLAP
    lines.append(f"{'CLASS':{width}} {'OBJECTS':>9} {'SHARE':>7} {'IMAGES':>8} {'MEDIAN SIDE':>12}"
                 + ("" if poor is None else f" {'BELOW IOU ' + str(POOR_OVERLAP):>14}"))
    for class_id in sorted(range(1, len(counts)), key=lambda i: -counts[i]):
        mine = found.class_ids == class_id
        line = (f"{found.class_names[class_id]:{width}} {counts[class_id]:9} {counts[class_id] / max(total, 1):7.1%} "
                f"{found.images_per_class[class_id]:8}")
        if counts[class_id]:
            line += f" {np.median(sides[mine]):12.0f}" + ("" if poor is None else f" {np.mean(poor[mine]):14.1%}")
        lines.append(line)
    return lines + _anchor_lines(found)


def _anchor_lines(found):
    """How well the config's and the suggested anchors fit."""
    if found.poor_share is None:
        return []
    scales = suggest_anchor_scales(found.sides, len(found.anchor_scales))
    share = np.mean(best_anchor_overlaps(found.sizes, scales, found.anchor_ratios) < POOR_OVERLAP)
    return ["", f"Objects whose best anchor has an IoU below {POOR_OVERLAP}, by shape alone:",
            f"{found.poor_share:7.1%}  RPN_ANCHOR_SCALES = {found.anchor_scales}  RPN_ANCHOR_RATIOS = "
            f"{found.anchor_ratios}",
            f"{share:7.1%}  RPN_ANCHOR_SCALES = {scales}, from suggest_anchor_scales()"]


def _spread(values, form):
    """Quantiles in one line."""
    if len(values) == 0:
        return "-"
    names = ("least", "5 %", "25 %", "median", "75 %", "95 %", "most")
    quantiles = np.quantile(values, (0, 0.05, 0.25, 0.5, 0.75, 0.95, 1))
    return "   ".join(f"{name} {value:{form}}" for name, value in zip(names, quantiles, strict=True))
