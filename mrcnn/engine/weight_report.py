"""What loading a weight file did, and what to do where it could not be done."""

from dataclasses import dataclass

from .class_transfer import ClassMatch
from .weight_names import CLASS_HEADS, CLASS_UNITS

_SHOWN = 6


@dataclass(frozen=True)
class WeightReport:
    """What `load_weights` did. Weights are named "layer/weight".

    Attributes:
        path: the file.
        loaded: weights of the model that now hold the file's values, verified; of heads with one part a class, the
            parts of the classes that were kept.
        excluded: weights of the model left alone because of `exclude`.
        missing: weights of the model that the file does not have; they keep their values.
        unused: weights of the file that the model has no place for.
        classes: which classes were kept and which are new, a `ClassMatch`; None where they were not told by name.
        fits: a sentence on the ready configuration that the file's weights belong to; empty for files of Keras.
    """

    path: str
    loaded: tuple
    excluded: tuple
    missing: tuple
    unused: tuple
    classes: ClassMatch | None = None
    fits: str = ""

    @property
    def loaded_layers(self):
        """Layers of which at least one weight was loaded."""
        return layers_of(self.loaded)

    @property
    def layers(self):
        """All layers of the model that own weights."""
        return layers_of(self.loaded + self.excluded + self.missing)

    def summary(self):
        """One line on the whole, then one for each kind of weight that was not loaded."""
        lines = [f"Weights from {self.path}: loaded {len(self.loaded_layers)} of {len(self.layers)} layers."]
        for text, names in (
            ("left out by exclude", self.excluded),
            ("not in the file, so unchanged", self.missing),
            ("in the file, but not in this model", self.unused),
        ):
            if names:
                lines.append(f"  {text}: {shorten(self._whole_layers(names))}")
        if self.classes:
            lines.append(f"  classes kept by name: {shorten(self.classes.kept)}; new, as they were: "
                         f"{shorten(self.classes.new) or 'none'} (names in the file: {self.classes.origin})")
        if self.fits:
            lines.append(f"  {self.fits}")
        return "\n".join(lines)

    def _whole_layers(self, names):
        """Layer names, but single weights of layers that were loaded in part."""
        loaded = set(self.loaded_layers)
        return tuple(dict.fromkeys(name if _layer(name) in loaded else _layer(name) for name in names))


@dataclass(frozen=True)
class Mismatch:
    """A weight whose shape in the file is not the model's."""

    layer: str
    weight: str
    file_shape: tuple
    model_shape: tuple

    @property
    def name(self):
        """Its layer and weight."""
        return f"{self.layer}/{self.weight}"


def explain_mismatches(path, mismatches, excluded=(), gaps=()):
    """The text of the error for weights that do not fit, with the `exclude` list that would let the rest load.

    Args:
        path: the file.
        mismatches: list of `Mismatch`, not empty.
        excluded: names that the user excluded already; they stay in the list.
        gaps: weights that only one of file and model has and that must be excluded too, "layer/weight".
    """
    listed = [f"{m.name} is {m.file_shape} in the file, {m.model_shape} here" for m in mismatches]
    layers = list(dict.fromkeys(m.layer for m in mismatches))
    if set(layers) & set(CLASS_HEADS):
        layers = [name for name in layers if name not in CLASS_HEADS] + list(CLASS_HEADS)
    exclude = list(dict.fromkeys([*excluded, *layers, *layers_of(gaps)]))
    causes = " ".join(_causes(mismatches))
    return (
        f"{path} does not fit this model; nothing was loaded. {causes}{' ' if causes else ''}"
        f"To load everything else: pass exclude={exclude}, and train those layers. {_by_name(mismatches)}"
        f"Differences: {shorten(listed, '; ')}.{f' Only one of the two has {shorten(gaps)}.' if gaps else ''}"
    )


def explain_gaps(path, missing, unused, excluded=()):
    """The text of the error for a file of another network whose shapes fit as far as the names are the same.

    Args:
        path: the file.
        missing: weights of the model that the file lacks, "layer/weight".
        unused: weights of the file that the model lacks.
        excluded: names that the user excluded already; they stay in the list.
    """
    gaps = " ".join(
        f"{what}: {shorten(names)}."
        for what, names in (("The file lacks", missing), ("It has, and the model lacks", unused))
        if names
    )
    exclude = list(dict.fromkeys([*excluded, *layers_of([*missing, *unused])]))
    return (
        f"{path} holds the weights of another network than this model's; nothing was loaded. {gaps} To load what both "
        f"have all the same: pass exclude={exclude}."
    )


def _by_name(mismatches):
    """A sentence on `class_names`, where the number of classes is what differs."""
    if not any(m.layer in CLASS_UNITS and _differ_only_in(m, -1) for m in mismatches):
        return ""
    return (
        "To keep the classes that file and model share as well: pass class_names, this model's in order "
        f'(["BG", ...]), instead of excluding {", ".join(CLASS_HEADS)}. '
    )


def _causes(mismatches):
    """Sentences on the differences that a setting of the configuration explains."""
    explained = set()
    for m in mismatches:
        for what, unit, setting, axis in (
            ("classes", CLASS_UNITS.get(m.layer), "NUM_CLASSES", -1),
            ("input channels", 1 if m.name == "conv1/kernel" else None, _CHANNELS, 2),
            ("anchors per location", 4 if m.layer == "rpn_bbox_pred" else None, "RPN_ANCHOR_RATIOS", -1),
            ("keypoints", 1 if m.name == "mrcnn_keypoint_deconv/kernel" else None, "NUM_KEYPOINTS", 2),
        ):
            if unit is None or what in explained or not _differ_only_in(m, axis):
                continue
            explained.add(what)
            there, here = m.file_shape[axis] // unit, m.model_shape[axis] // unit
            yield f"The file has {there} {what}, the model {here} ({setting})."


_CHANNELS = "IMAGE_CHANNEL_COUNT; where conv1 is excluded, train all layers"


def _differ_only_in(mismatch, axis):
    there, here = list(mismatch.file_shape), list(mismatch.model_shape)
    if len(there) != len(here) or len(there) < abs(axis):
        return False
    del there[axis], here[axis]
    return there == here


def layers_of(names):
    """The layers of "layer/weight" names, each once, in order."""
    return tuple(dict.fromkeys(_layer(name) for name in names))


def shorten(names, separator=", "):
    """The first few names and how many more there are."""
    more = len(names) - _SHOWN
    return separator.join(names[:_SHOWN]) + (f"{separator}and {more} more" if more > 0 else "")


def _layer(name):
    return name.rsplit("/", 1)[0]
