"""Colour splash: what was detected keeps its colours, everything else turns grey."""

import datetime
from pathlib import Path

import numpy as np

from mrcnn.visualize.pixels import to_rgb
from samples import common

# Frames in a second of the result where a video does not say its own.
DEFAULT_RATE = 30.0


def color_splash(image, mask):
    """An image in grey, but for what the masks cover.

    Args:
        image: [H, W, 3] RGB, uint8; anything else is converted for display.
        mask: [H, W, N], what is not zero keeps its colours; N may be 0.

    Returns:
        uint8 [H, W, 3].
    """
    from skimage.color import gray2rgb, rgb2gray

    image = to_rgb(image)
    grey = np.rint(gray2rgb(rgb2gray(image)) * 255).astype(np.uint8)
    return np.where(np.any(mask, axis=-1, keepdims=True), image, grey)


def detect_and_color_splash(model, image_path=None, video_path=None, out_dir=None):
    """Write a picture or a video in which only what `model` detects has colours.

    Args:
        model: a `MaskRCNN` for inference.
        image_path: picture file or its address.
        video_path: video file, or an address that OpenCV can read; give one of the two.
        out_dir: folder of the result, made if absent; None means the model's log folder.

    Returns:
        path of `splash_<time>.png`, or of `splash_<time>.avi` with the video's size and rate and no sound.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it cannot be read, or not one path was given.
        OSError: the video cannot be written.
    """
    from skimage.io import imsave

    if (image_path is None) == (video_path is None):
        raise ValueError("Give either image_path or video_path.")
    folder = Path(out_dir or model.log_dir)
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"splash_{datetime.datetime.now():%Y%m%dT%H%M%S}{'.png' if image_path else '.avi'}"
    if image_path:
        imsave(target, splash_image(model, read_picture(image_path)), check_contrast=False)
    else:
        splash_video(model, video_path, target)
    print(f"Saved to {target}")
    return target


def splash_image(model, image):
    """An image [H, W, 3] RGB with everything grey but what `model` detects in it."""
    return color_splash(image, model.detect([image])[0]["masks"])


def splash_video(model, source, target):
    """Write the video `source` to the AVI file `target` (Motion JPEG), frame by frame."""
    import cv2

    capture, writer = open_video(source), None
    rate = capture.get(cv2.CAP_PROP_FPS)
    try:
        while True:
            read, frame = capture.read()
            if not read:
                break
            if writer is None:
                writer = open_writer(target, rate if rate > 0 else DEFAULT_RATE, frame.shape)
            # OpenCV's channels are blue, green, red.
            splash = splash_image(model, np.ascontiguousarray(frame[:, :, ::-1]))
            writer.write(np.ascontiguousarray(splash[:, :, ::-1]))
    finally:
        capture.release()
        if writer is not None:
            writer.release()
    if writer is None:
        raise ValueError(f"Video {source} has no frame that OpenCV can read: convert it, to MP4 for example.")


def open_video(source):
    """A `cv2.VideoCapture` that is open. Raises FileNotFoundError or ValueError naming the source."""
    import cv2

    if not is_address(source) and not Path(source).is_file():
        raise FileNotFoundError(f"Video {source} does not exist: correct --video.")
    capture = cv2.VideoCapture(str(source))
    if not capture.isOpened():
        raise ValueError(f"Video {source} cannot be opened: it is no video, or in a format that OpenCV does not "
                         "know here. Convert it, to MP4 for example.")
    return capture


def open_writer(target, rate, shape):
    """A `cv2.VideoWriter` of frames of `shape` (height, width, ...). Raises OSError naming the target."""
    import cv2

    writer = cv2.VideoWriter(str(target), cv2.VideoWriter_fourcc(*"MJPG"), rate, (shape[1], shape[0]))
    if not writer.isOpened():
        raise OSError(f"Video {target} cannot be written: is there room, and may you write there?")
    return writer


def read_picture(source):
    """A picture [H, W, 3] RGB from a file or an address."""
    if not is_address(source):
        return common.read_image(source)
    from skimage.io import imread

    try:
        return to_rgb(imread(str(source)))
    except (OSError, ValueError) as error:
        raise ValueError(f"Image {source} cannot be loaded ({error}): correct --image.") from error


def is_address(source):
    """Whether `source` is an address such as https://..., not a file."""
    return "://" in str(source)
