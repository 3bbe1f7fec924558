"""Looking through a whole dataset for everything that training would stumble over."""

import copy
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace

import keras
import numpy as np

from .dataset import repeated_images
from .image_problems import look_at_image

_IDS_SHOWN = 5
_NAMES_SHOWN = 20


@dataclass(frozen=True)
class Problem:
    """One row of the table.

    Attributes:
        problem: what is wrong, in words that are the same for every image and every dataset.
        image_ids: numbers of the images that have it; empty where it is a matter of the whole dataset.
        example: a sentence on the first case, with what to do.
    """

    problem: str
    image_ids: tuple
    example: str


@dataclass(frozen=True)
class ValidationReport:
    """What `validate` found.

    Attributes:
        rows: tuple of `Problem`: those of the whole dataset, then by falling number of images.
        num_checked: number of images that were looked at.
        num_images: number of images there are.
    """

    rows: tuple
    num_checked: int
    num_images: int

    def table(self):
        """The report as text: a table, and below it a case of each problem."""
        checked = f"{self.num_checked} of {self.num_images} images checked"
        if not self.rows:
            return f"{checked}: no problems"
        width = max(len(row.problem) for row in self.rows)
        count = f"{len(self.rows)} problem{'s' if len(self.rows) > 1 else ''}"
        lines = [f"{checked}: {count}", "", f"{'PROBLEM':{width}}  IMAGES  FIRST IMAGE IDS"]
        for row in self.rows:
            more = ", ..." if len(row.image_ids) > _IDS_SHOWN else ""
            shown = ", ".join(map(str, row.image_ids[:_IDS_SHOWN])) + more
            lines.append(f"{row.problem:{width}}  {len(row.image_ids) or '-':>6}  {shown}".rstrip())
        return "\n".join([*lines, "", *(f"{row.problem}: {row.example}" for row in self.rows)])


def validate(dataset, config=None, limit=None, workers=8, verbose=1):
    """See `Dataset.validate`."""
    if limit is not None and limit < 1:
        raise ValueError(f"limit is {limit}; expected the number of images to look at, 1 or more, or None for all.")
    unprepared, dataset = _prepared(dataset)
    # Without a mean nothing is said of the values.
    config = config or SimpleNamespace(NUM_CLASSES=dataset.num_classes, IMAGE_CHANNEL_COUNT=3, MEAN_PIXEL=0.0)
    image_ids = _spread(np.asarray(dataset.image_ids, int), limit)
    found, class_ids_of = {}, {}
    for image_id, (problems, class_ids) in _look_at_all(dataset, config, image_ids.tolist(), workers, verbose):
        if class_ids is not None:
            class_ids_of[image_id] = np.unique(np.abs(class_ids)).tolist()
        for problem, example in problems:
            found.setdefault(problem, {}).setdefault(image_id, example)
    rows = [*unprepared, *_whole(dataset, class_ids_of), *_repeated(dataset)]
    rows += [Problem(problem, tuple(cases), next(iter(cases.values()))) for problem, cases in found.items()]
    rows.sort(key=lambda row: (len(row.image_ids) > 0, -len(row.image_ids)))
    report = ValidationReport(tuple(rows), len(image_ids), dataset.num_images)
    if verbose:
        print(report.table())
    return report


def _prepared(dataset):
    """No rows and the dataset; or, where prepare() was forgotten, a row that says so and a prepared copy."""
    state = vars(dataset)
    if (state.get("num_images"), state.get("num_classes")) == (len(dataset.image_info), len(dataset.class_info)):
        return [], dataset
    dataset = copy.copy(dataset)
    dataset.prepare()
    row = Problem("prepare() forgotten", (), "Call prepare() on the dataset after the last add_class() and "
                                             "add_image(). Here a prepared copy was looked at.")
    return [row], dataset


def _whole(dataset, class_ids_of):
    """Rows on the dataset as a whole, by {image id: class ids of its objects} of the images with sound masks."""
    if not dataset.image_info:
        yield Problem("no images", (), f"{type(dataset).__name__} has no images: call its method that adds them, then "
                                       "prepare().")
        return
    used = {class_id for class_ids in class_ids_of.values() for class_id in class_ids}
    unused = [name for class_id, name in enumerate(dataset.class_names) if class_id > 0 and class_id not in used]
    if class_ids_of and unused:
        named = ", ".join(unused[:_NAMES_SHOWN]) + (", ..." if len(unused) > _NAMES_SHOWN else "")
        yield Problem("classes never used", (), f"None of the {len(class_ids_of)} images whose masks could be read has "
                      f"an object of {named}. Correct the name, annotate some, or leave the class out.")


def _repeated(dataset):
    repeated = repeated_images(dataset.image_info)
    if repeated:
        (source, name), image_ids = next(iter(repeated.items()))
        yield Problem("image ids added twice", tuple(sorted(i for ids in repeated.values() for i in ids)),
                      f'{source} "{name}" was added {len(image_ids)} times and counts as often. Skip the repeats, or '
                      "give add_image() different ids.")


def _spread(image_ids, limit):
    """At most `limit` of the ids, evenly spread."""
    if limit is None or limit >= len(image_ids):
        return image_ids
    return image_ids[np.linspace(0, len(image_ids) - 1, limit).round().astype(int)]


def _look_at_all(dataset, config, image_ids, workers, verbose):
    """Yields (image id, what `look_at_image` returns) in the order of the ids."""
    progress = keras.utils.Progbar(len(image_ids), unit_name="image", interval=0.5, verbose=1 if verbose else 0)
    with ThreadPoolExecutor(workers) as pool:
        results = pool.map(partial(look_at_image, dataset, config), image_ids)
        for number, (image_id, result) in enumerate(zip(image_ids, results, strict=True), start=1):
            progress.update(number)
            yield image_id, result
