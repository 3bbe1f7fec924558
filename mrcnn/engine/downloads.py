"""Fetching the public files of weights: COCO's of Mask R-CNN and ImageNet's of ResNet-50."""

import http.client
import os
import urllib.error
import urllib.request
from pathlib import Path

import keras

COCO_MODEL_URL = "https://github.com/matterport/Mask_RCNN/releases/download/v2.0/mask_rcnn_coco.h5"
IMAGENET_MODEL_URL = (
    "https://github.com/fchollet/deep-learning-models/releases/download/v0.2/"
    "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5"
)
IMAGENET_MODEL_MD5 = "a268eb855778b3df3c7506639542a6af"


def download_trained_weights(path, verbose=1):
    """Fetches the weights that Matterport trained on COCO (ResNet-101, 81 classes, 258 MB).

    Args:
        path: where the file goes. Nothing happens if it exists; a download that broke off goes on.
        verbose: 1 prints the progress.

    Raises:
        ConnectionError: the file cannot be fetched; names the address and `path`.
    """
    fetch(COCO_MODEL_URL, path, verbose=verbose)


def imagenet_weights_path(cache_dir=None):
    """Path of ResNet-50's ImageNet weights without the classifier, fetched into Keras' cache when not there yet.

    Args:
        cache_dir: the file goes into its folder `models`. None is Keras' own: `$KERAS_HOME` or `~/.keras`.

    Raises:
        ConnectionError: the file cannot be fetched, or arrives damaged; names the address and the path.
    """
    folder = Path(cache_dir or os.environ.get("KERAS_HOME") or "~/.keras").expanduser()
    name = IMAGENET_MODEL_URL.rsplit("/", 1)[1]
    try:
        # Keras turns to the folder of temporary files where this one does not exist.
        folder.mkdir(parents=True, exist_ok=True)
        return keras.utils.get_file(
            name,
            IMAGENET_MODEL_URL,
            cache_dir=str(folder),
            cache_subdir="models",
            file_hash=IMAGENET_MODEL_MD5,
            hash_algorithm="md5",
        )
    except Exception as error:
        # Keras raises bare `Exception` for an address out of reach.
        raise ConnectionError(
            f"Could not download {IMAGENET_MODEL_URL}: {error}. Download the address yourself and save it as "
            f"{folder / 'models' / name}."
        ) from error


def fetch(url, path, chunk=1 << 20, verbose=1):
    """Downloads `url` to `path`; a download that was cut off goes on where it stopped.

    The bytes arrive in `path`.part, which becomes `path` when complete. Nothing happens if `path` exists.

    Args:
        url: address of the file.
        path: where it goes; missing folders are made.
        chunk: bytes read at a time.
        verbose: 1 prints the progress.

    Returns:
        `path` as a `pathlib.Path`.

    Raises:
        ConnectionError: the server cannot be reached, the transfer broke off or the file cannot be written.
    """
    path = Path(path)
    if path.exists():
        return path
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _fetch_rest(url, part, chunk, verbose)
        part.replace(path)
    except (OSError, http.client.HTTPException) as error:
        raise ConnectionError(
            f"Could not download {url}: {error}. Try again to go on from {part}, or download the address yourself "
            f"and save it as {path}."
        ) from error
    return path


def _fetch_rest(url, part, chunk, verbose):
    """Appends to `part` what is missing of `url`, or starts over where the server cannot resume."""
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        response = urllib.request.urlopen(request, timeout=60)
    except urllib.error.HTTPError as error:
        # 416: nothing lies behind the part's end. Either it is complete or it belongs to another file.
        if error.code != 416 or not have:
            raise
        if error.headers.get("Content-Range", "").endswith(f"/{have}"):
            return
        part.unlink()
        _fetch_rest(url, part, chunk, verbose)
        return
    with response:
        if response.status != 206:
            have = 0
        length = response.headers.get("Content-Length")
        total = have + int(length) if length else None
        with open(part, "ab" if have else "wb") as target:
            while block := response.read(chunk):
                target.write(block)
                have += len(block)
                if verbose:
                    _print_progress(url, have, total)
    if verbose:
        print()
    if total is not None and have != total:
        raise OSError(f"the transfer stopped after {have:,} of {total:,} bytes")


def _print_progress(url, have, total):
    of_total = f" of {total / 1e6:,.0f}" if total else ""
    print(f"\r{url} {have / 1e6:,.0f} MB{of_total}", end="", flush=True)
