"""Exporting a detector: one graph from pictures to objects, as files that other runtimes run."""

import contextlib
import importlib.util
import os
from typing import NamedTuple

import keras
import numpy as np

from ..data.checks import LEAST_MULTIPLE, check_sides
from ..data.resize import EXACT_MODES
from ..layers.mold import MODES, MoldImages
from ..layers.unmold import UnmoldDetections
from ..ops.backend import generic_kernels

MASKS = ("image", "box")


class Format(NamedTuple):
    """What a format needs and can do.

    suffix: how the file's name ends, empty for a folder; packages: modules that Keras' exporter imports, by the names
    that pip installs them under; any_size: whether one file takes images of any size; native: whether the runtime knows
    the operations of the TensorFlow kernels; any_crop: whether it knows the native crop in as many samples as the boxes
    need, which ROI_SAMPLING_RATIO 0 takes; least_keras: first version of Keras that writes it.
    """

    suffix: str
    packages: tuple = ()
    any_size: bool = True
    native: bool = True
    any_crop: bool = True
    least_keras: tuple = (3, 12)


FORMATS = {
    "tf_saved_model": Format(""),
    "onnx": Format(".onnx", ("tf2onnx", "onnx")),
    "litert": Format(".tflite", any_size=False, native=False, least_keras=(3, 13)),
    "openvino": Format(".xml", ("openvino",), any_crop=False),
}
REFUSED = {
    "torch": "Keras writes it on the PyTorch backend only, and there the suppression is a loop whose length depends on "
    "the image, which torch.export does not take. Export to one of {formats}."
}


class Export:
    """The method of a detector that writes it for other runtimes; needs its `config` and `inference_twin`."""

    def export(self, path, format="tf_saved_model", image_size=None, masks="image"):
        """Writes a model that takes pictures as they are and finds objects; nothing else is needed to run it.

        Its input is `images [B, H, W, channels]` uint8, one size a batch, any number of images. Its outputs have names:
        `boxes [B, D, 4]` int32 pixels of these images (y1, x1, y2, x2) (float32 if MASK_PASTE is not "box"),
        `class_ids [B, D]` int32, `scores [B, D]` float32, best first, `num_detections [B]` int32 and, where the
        detector finds them, `masks`; rows behind that number are zeros. D is DETECTION_MAX_INSTANCES.

        Args:
            path: where to; a folder for "tf_saved_model", else a file that ends in `.onnx`, `.tflite` ("litert") or
                `.xml` ("openvino").
            format: "tf_saved_model", "onnx", "litert" or "openvino".
            image_size: (height, width) of the images that will come, pixels; None for any, which the modes "pad32" and
                "pad32_smooth" of IMAGE_RESIZE_MODE cannot do.
            masks: "image" gives `masks [B, D, H, W]` bool over the whole image; "box" `[B, D, M, M]` float32, the
                probabilities over each box, for large images.

        Raises:
            ValueError: an unknown word, a path that does not fit the format, or something that the format, the running
                backend or the configuration cannot do.
            ImportError: a package that writes this format is missing.
        """
        path = os.fspath(path)
        known = _checked_format(path, format, image_size)
        if masks not in MASKS:
            raise ValueError(f"masks is {masks!r}, expected one of {MASKS}.")
        model = export_graph(self.inference_twin(), image_size, masks == "image")
        # Keras' ONNX exporter would make no signature of a model that was never called.
        signature = [keras.InputSpec(image.dtype, image.shape, name=image.name) for image in model.inputs]
        native = known.native and (known.any_crop or self.config.ROI_SAMPLING_RATIO != 0)
        with contextlib.nullcontext() if native else generic_kernels():
            model.export(path, format=format, input_signature=signature, verbose=False)


def export_graph(detector, image_size, paste):
    """The detector between pictures and what a person wants of them, as one Keras model.

    Args:
        detector: a detector in inference mode.
        image_size: (height, width) or None.
        paste: whether masks are those of the whole image.

    Returns:
        a `keras.Model`, see `Export.export`.

    Raises:
        ValueError: the graph cannot do what the configuration asks, must know the images' size, or finds keypoints.
    """
    config = detector.config
    if config.IMAGE_RESIZE_MODE not in MODES:
        raise ValueError(
            f"IMAGE_RESIZE_MODE is {config.IMAGE_RESIZE_MODE!r}, which cuts a piece out at random. Set one of {MODES}."
        )
    if config.IMAGE_RESIZE_MODE in EXACT_MODES and image_size is None:
        raise ValueError(
            f"IMAGE_RESIZE_MODE is {config.IMAGE_RESIZE_MODE!r}, whose rounding must know the size of the images: pass "
            "image_size=(height, width)."
        )
    if config.IMAGE_RESIZE_MODE == "none" and image_size is not None:
        check_sides(image_size, LEAST_MULTIPLE, "image_size")
    if detector.learns_keypoints:
        raise ValueError(
            f"{type(detector).__name__} is not exported: its heat maps are enlarged on the host, each to the size of "
            "its box. Only detectors of boxes and of masks are."
        )
    shape = (*(image_size or (None, None)), config.IMAGE_CHANNEL_COUNT)
    images = keras.Input(shape, dtype="uint8", name="images")
    molded, image_meta = MoldImages(
        config.IMAGE_RESIZE_MODE,
        config.IMAGE_MIN_DIM,
        config.IMAGE_MAX_DIM,
        config.IMAGE_MIN_SCALE,
        np.atleast_1d(config.MEAN_PIXEL),
        np.atleast_1d(config.PIXEL_STD),
        config.NUM_CLASSES,
        name="mold_images",
    )(images)
    outputs = detector.keras_model([molded, image_meta])
    masks = outputs[3:4] if "mrcnn_mask" in {layer.name for layer in detector.keras_model.layers} else []
    unmold = UnmoldDetections(paste, config.MASK_PASTE, name="unmold_detections")
    found = unmold([outputs[0], image_meta, images, *masks])
    return keras.Model(images, found, name=detector.keras_model.name)


def _checked_format(path, format, image_size):
    if format in REFUSED:
        raise ValueError(f"format {format!r} cannot be written: {REFUSED[format].format(formats=tuple(FORMATS))}")
    if format not in FORMATS:
        raise ValueError(f"format is {format!r}, expected one of {tuple(FORMATS)}.")
    known = FORMATS[format]
    if not path.endswith(known.suffix) or not known.suffix and os.path.isfile(path):
        expected = f"a file whose name ends in {known.suffix!r}" if known.suffix else "a folder"
        raise ValueError(f"path is {path!r}; format {format!r} writes {expected}.")
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            f"Exporting runs on TensorFlow, and the backend is {keras.backend.backend()}. The weights are the same: "
            "save them, and load and export them in a process with KERAS_BACKEND=tensorflow."
        )
    if tuple(map(int, keras.__version__.split(".")[:2])) < known.least_keras:
        needed = ".".join(map(str, known.least_keras))
        raise ImportError(
            f"Keras {keras.__version__} cannot write format {format!r}: pip install 'keras>={needed}', which wants "
            "Python 3.11 or later."
        )
    if image_size is None and not known.any_size:
        raise ValueError(f"A file of format {format!r} takes one size of images: pass image_size=(height, width).")
    missing = [package for package in known.packages if importlib.util.find_spec(package) is None]
    if missing:
        raise ImportError(f"format {format!r} needs more packages: pip install {' '.join(missing)}")
    return known
