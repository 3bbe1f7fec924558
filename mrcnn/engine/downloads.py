"""Fetching the public files of weights: COCO's of Mask R-CNN and ImageNet's of ResNet-50."""

import hashlib
import http.client
import os
import urllib.error
import urllib.request
from pathlib import Path

COCO_MODEL_URL = "https://github.com/matterport/Mask_RCNN/releases/download/v2.0/mask_rcnn_coco.h5"
COCO_MODEL_MD5 = "e98aaff6f99e307b5e2a8a3ff741a518"
IMAGENET_MODEL_URL = (
    "https://github.com/fchollet/deep-learning-models/releases/download/v0.2/"
    "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5"
)
IMAGENET_MODEL_MD5 = "a268eb855778b3df3c7506639542a6af"
# keras.applications keeps the same weights, its layers named otherwise, under the same file name in the same folder.
KERAS_APPLICATIONS_MD5 = "4d473c1dd8becc155b73f8504c6f6626"

_BLOCK = 1 << 20


def download_trained_weights(path, verbose=1):
    """Fetches the weights that Matterport trained on COCO (ResNet-101, 81 classes, 257,557,808 bytes).

    The MD5 checksum is the one that NVIDIA's TensorRT documents for this file in its Mask R-CNN sample.

    Args:
        path: where the file goes. Nothing happens if it exists; a download that broke off goes on.
        verbose: 1 prints the progress.

    Raises:
        ConnectionError: the file cannot be fetched, or arrives damaged; names the address and `path`.
        IsADirectoryError: `path` is a folder.
    """
    fetch(COCO_MODEL_URL, path, verbose=verbose, md5=COCO_MODEL_MD5)


def imagenet_weights_path(cache_dir=None):
    """Path of ResNet-50's ImageNet weights without the classifier, fetched into Keras' cache when not there yet.

    A file there that is damaged is replaced.

    Args:
        cache_dir: the file goes into its folder `models`. None is Keras' own: `$KERAS_HOME` or `~/.keras`.

    Raises:
        ConnectionError: the file cannot be fetched, or arrives damaged; names the address and the path.
    """
    folder = Path(cache_dir or os.environ.get("KERAS_HOME") or "~/.keras").expanduser()
    path = folder / "models" / IMAGENET_MODEL_URL.rsplit("/", 1)[1]
    if not path.exists() or _md5(path) not in (IMAGENET_MODEL_MD5, KERAS_APPLICATIONS_MD5):
        _download(IMAGENET_MODEL_URL, path, 1, IMAGENET_MODEL_MD5)
    return str(path)


def fetch(url, path, verbose=1, md5=None):
    """Downloads `url` to `path`; a download that was cut off goes on where it stopped.

    The bytes arrive in `path`.part, which becomes `path` when complete. Nothing happens if `path` exists.

    Args:
        url: address of the file.
        path: where it goes; missing folders are made.
        verbose: 1 prints the progress.
        md5: MD5 checksum of the file, as hexadecimal digits; None checks the length only.

    Returns:
        `path` as a `pathlib.Path`.

    Raises:
        ConnectionError: the server cannot be reached, the transfer broke off, the file cannot be written or is not
            the one of `md5`.
        IsADirectoryError: `path` is a folder.
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; name the file in it: {path / url.rsplit('/', 1)[1]}.")
    if not path.exists():
        _download(url, path, verbose, md5)
    return path


def _download(url, path, verbose, md5):
    """Downloads `url` over whatever `path` holds."""
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _fetch_rest(url, part, verbose)
        if md5 and (found := _md5(part)) != md5:
            part.unlink()
            raise OSError(f"what arrived is damaged or another file (MD5 {found}, expected {md5})")
        part.replace(path)
    except (OSError, http.client.HTTPException) as error:
        again = f"Try again to go on from {part}" if part.exists() else "Try again"
        raise ConnectionError(
            f"Could not download {url}: {error}. {again}, or download the address yourself and save it as {path}."
        ) from error


def _md5(path):
    digest = hashlib.md5(usedforsecurity=False)
    with open(path, "rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _fetch_rest(url, part, verbose):
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
        _fetch_rest(url, part, verbose)
        return
    with response:
        if response.status != 206:
            have = 0
        length = response.headers.get("Content-Length")
        total = have + int(length) if length else None
        with open(part, "ab" if have else "wb") as target:
            while block := response.read(_BLOCK):
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
