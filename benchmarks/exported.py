"""Exports a detector to every format, runs each file in its own runtime and prints sizes and times.

    python -m benchmarks.exported --backbone resnet50 --image-size 1024
"""

import argparse
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import keras

from mrcnn import Config, MaskRCNN

from .pictures import photograph
from .rows import Row, show, write

# === Running a file: path -> function of images ===


def run_saved_model(path):
    import tensorflow as tf

    serve = tf.saved_model.load(path).signatures["serving_default"]
    return lambda images: {name: value.numpy() for name, value in serve(images=tf.constant(images)).items()}


def run_onnx(path):
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return lambda images: dict(zip(names, session.run(names, {"images": images}), strict=True))


def run_litert(path):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(path)

    def run(images):
        interpreter.resize_tensor_input(interpreter.get_input_details()[0]["index"], images.shape)
        interpreter.allocate_tensors()
        return interpreter.get_signature_runner()(images=images)

    return run


def run_openvino(path):
    import openvino

    # Left to itself OpenVINO takes bfloat16 on processors that have it.
    model = openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return lambda images: {output.any_name: value for output, value in model(images).items()}


# Format -> (name of the file, how it is run, package of the runtime).
RUNTIMES = {
    "tf_saved_model": ("model", run_saved_model, "tensorflow"),
    "onnx": ("model.onnx", run_onnx, "onnxruntime"),
    "litert": ("model.tflite", run_litert, "ai-edge-litert"),
    "openvino": ("model.xml", run_openvino, "openvino"),
}


def detector(args, folder):
    """A detector with COCO's classes and random weights that fills every slot."""

    class ExportConfig(Config):
        NAME = "exported"
        BACKBONE = args.backbone
        IMAGES_PER_GPU = 1
        NUM_CLASSES = 81
        IMAGE_MIN_DIM = IMAGE_MAX_DIM = args.image_size
        DETECTION_MIN_CONFIDENCE = 0.0

    keras.utils.set_random_seed(0)
    return MaskRCNN("inference", ExportConfig(), folder)


def seconds(function, repeats):
    """The times of calls, after one that does not count."""
    function()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return times


def mebibytes(folder):
    return sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file()) / 2**20


def measure(args):
    """A row for `detect()` and one for each format."""
    image = photograph(480, 640, 3)
    settings = {
        "backend": keras.backend.backend(), "precision": "float32", "image_size": args.image_size, "batch": 1,
        "backbone": args.backbone,
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        model = detector(args, folder)
        notes = {"objects": len(model.detect([image])[0]["scores"])}
        yield Row("detect()", seconds(lambda: model.detect([image]), args.repeats), settings=settings, notes=notes)
        for format in args.formats:
            name, run, package = RUNTIMES[format]
            path = Path(folder, format, name)
            path.parent.mkdir()
            start = time.perf_counter()
            model.export(path, format=format, image_size=image.shape[:2])
            notes = {"export, s": time.perf_counter() - start, "MiB": mebibytes(path.parent)}
            find = run(str(path))
            notes |= {"objects": int(find(image[None])["num_detections"][0]), package: version(package)}
            times = seconds(lambda find=find: find(image[None]), args.repeats)
            yield Row(format, times, settings=settings, notes=notes)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", default="resnet50")
    parser.add_argument("--image-size", type=int, default=1024, help="side of the square that pictures are scaled to")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--formats", nargs="+", choices=RUNTIMES, default=list(RUNTIMES))
    parser.add_argument("--json", help="file to write the rows to")
    args = parser.parse_args()
    rows = list(measure(args))
    show(rows)
    if args.json:
        write(rows, args.json)


if __name__ == "__main__":
    main()
