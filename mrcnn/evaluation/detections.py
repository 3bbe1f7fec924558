"""What a model detects in the images of a data set."""

import keras


def selected_images(dataset, image_ids, limit):
    """Image ids as a list of distinct integers in their order.

    Args:
        dataset: prepared Dataset.
        image_ids: ids wanted; None means all.
        limit: only the first so many of them; None means all.

    Raises:
        ValueError: there are none, or some are not the dataset's.
    """
    chosen = dataset.image_ids if image_ids is None else image_ids
    chosen = list(dict.fromkeys(int(image_id) for image_id in chosen))[:limit]
    if not chosen:
        raise ValueError(f"No image to evaluate: the dataset has {len(dataset.image_ids)} images (was "
                         f"prepare() called?), image_ids={image_ids}, limit={limit}")
    strangers = sorted(set(chosen) - {int(image_id) for image_id in dataset.image_ids})
    if strangers:
        raise ValueError(f"There is no image {strangers[0]} ({len(strangers)} of {len(chosen)} image_ids are unknown): "
                         f"{type(dataset).__name__} has {len(dataset.image_ids)}. Use some of dataset.image_ids, which "
                         "prepare() numbers from 0")
    return chosen


def inference_model(model):
    """The model, or the `inference_twin()` of a MaskRCNN in training mode."""
    return model.inference_twin() if getattr(model, "mode", None) == "training" else model


def detect_all(model, dataset, image_ids, verbose):
    """Yields (image id, result), detected in batches of BATCH_SIZE.

    The last batch is filled up with copies of its last image, so that every batch has the shape of the first.
    """
    batch_size = model.config.BATCH_SIZE
    progress = keras.utils.Progbar(len(image_ids), unit_name="image", verbose=1 if verbose else 0)
    for start in range(0, len(image_ids), batch_size):
        batch_ids = image_ids[start:start + batch_size]
        images = [dataset.load_image(image_id) for image_id in batch_ids]
        results = model.detect(images + [images[-1]] * (batch_size - len(images)))
        yield from zip(batch_ids, results[:len(batch_ids)], strict=True)
        if verbose:
            progress.update(start + len(batch_ids))
