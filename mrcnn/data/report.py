"""Naming images in messages, and saying each thing only once."""

import logging
import weakref

logger = logging.getLogger("mrcnn.data")

_SAID = weakref.WeakKeyDictionary()


def image_label(dataset, image_id):
    """ "image 3 (balloon "a.png", /data/a.png)" for messages, whatever the dataset holds."""
    try:
        info = dataset.image_info[image_id]
        return f'image {image_id} ({info["source"]} "{info["id"]}", {info["path"]})'
    except (AttributeError, IndexError, KeyError, TypeError):
        return f"image {image_id}"


def image_info_of(dataset, image_id):
    """`dataset.image_info[image_id]`, or an IndexError that says which ids there are."""
    try:
        return dataset.image_info[image_id]
    except IndexError:
        raise IndexError(
            f"There is no image {image_id}: {type(dataset).__name__} has {len(dataset.image_info)}, numbered "
            "from 0. Use one of dataset.image_ids."
        ) from None


def warn_once(dataset, key, message):
    """Log `message` as a warning the first time `key` comes up for this dataset."""
    said = _SAID.setdefault(dataset, set())
    if key not in said:
        said.add(key)
        logger.warning(message)


def log(text, array=None):
    """Print `text`, and of `array` its shape, least and greatest value and dtype."""
    if array is None:
        print(text)
        return
    if array.size:
        values = f"min: {float(array.min()):10.5f}  max: {float(array.max()):10.5f}"
    else:
        values = f"min: {'':10}  max: {'':10}"
    print(f"{text.ljust(25)}shape: {str(array.shape):20}  {values}  {array.dtype}")
