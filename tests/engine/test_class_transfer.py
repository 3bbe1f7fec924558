"""The parts of classes that a file and a model share are moved by name; the others stay."""

import numpy as np
import pytest

from mrcnn.engine.class_transfer import fits_match, match_classes, transfer_classes

FILE = ["BG", "person", "car", "dog"]


def test_classes_are_found_by_name_and_the_background_by_its_place():
    match = match_classes(["background", "dog", "unicorn", "person"], FILE)
    assert match.positions == (0, 3, None, 1)
    assert match.kept == ("background", "dog", "person") and match.new == ("unicorn",)
    assert not match.changes_nothing


@pytest.mark.parametrize(
    ("names", "unchanged"), [(FILE, True), (FILE[:3], False), (["BG", "car", "person", "dog"], False)]
)
def test_the_same_classes_in_the_same_order_change_nothing(names, unchanged):
    assert match_classes(names, FILE).changes_nothing is unchanged


@pytest.mark.parametrize(
    ("names", "file_names", "what"),
    [(["person", "car"], FILE, "class_names begins with 'person'"),
     (["BG", "person"], FILE[1:], "file_class_names begins with 'person'")],
)
def test_a_list_without_background_is_refused(names, file_names, what):
    with pytest.raises(ValueError, match=what):
        match_classes(names, file_names)


def test_a_name_that_the_file_has_twice_is_refused_where_it_is_wanted():
    doubled = ["BG", "person", "car", "person"]
    assert match_classes(["BG", "car"], doubled).positions == (0, 2)
    with pytest.raises(ValueError, match="several classes named 'person'"):
        match_classes(["BG", "person"], doubled)


def test_a_name_that_the_model_has_twice_takes_one_class_twice():
    assert match_classes(["BG", "car", "car"], FILE).positions == (0, 2, 2)


@pytest.mark.parametrize("unit", [1, 4])
@pytest.mark.parametrize("leading", [(), (5,), (1, 1, 3)])
def test_every_entry_comes_from_its_class(unit, leading):
    """Entries are numbered by class and place, negative in the file."""
    match = match_classes(["BG", "dog", "unicorn", "person", "car"], FILE)

    def numbered(classes):
        entries = np.arange(classes)[:, None] * 10 + np.arange(unit) + 1
        return np.broadcast_to(entries.ravel(), (*leading, classes * unit)).astype("float32")

    fresh, stored = numbered(5), -numbered(4)
    moved = transfer_classes(fresh, stored, match, unit)
    per_class = moved.reshape(*leading, 5, unit)
    for here, there in enumerate([0, 3, None, 1, 2]):
        source = fresh.reshape(*leading, 5, unit)[..., here, :] if there is None else (
            stored.reshape(*leading, 4, unit)[..., there, :])
        np.testing.assert_array_equal(per_class[..., here, :], source)
    assert moved.shape == fresh.shape and moved.dtype == np.float32
    np.testing.assert_array_equal(fresh, numbered(5))


def test_shapes_fit_where_only_the_classes_differ():
    match = match_classes(["BG", "dog"], FILE)
    assert fits_match((7, 8), (7, 16), match, 4)
    assert not fits_match((6, 8), (7, 16), match, 4)
    assert not fits_match((7, 8), (7, 4), match, 4)
    assert not fits_match((7, 12), (7, 16), match, 4)
