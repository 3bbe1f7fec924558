"""Mask R-CNN of this package, as tasks to be timed."""

import os

import keras
import numpy as np

from mrcnn.architectures import mask_rcnn
from mrcnn.config import Config
from mrcnn.engine.inference import mold_inputs, unmold_detections
from mrcnn.heads.rpn import RPNHead

from .compiled import compiled
from .floor import count_products, measure_floor
from .pictures import photograph, training_batch

POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}


def make_config(height, width, batch, backbone, **attributes):
    """COCO's configuration for images of one size, multiples of 64, with any attribute changed."""
    values = {
        "NAME": "benchmark",
        "BACKBONE": backbone,
        "NUM_CLASSES": 81,
        "GPU_COUNT": 1,
        "IMAGES_PER_GPU": batch,
        "IMAGE_RESIZE_MODE": "square" if height == width else "none",
        "IMAGE_MIN_DIM": min(height, width),
        "IMAGE_MAX_DIM": max(height, width),
        # Weights here are random: without a threshold every one of the detections is made.
        "DETECTION_MIN_CONFIDENCE": 0.0,
    }
    return type("BenchmarkConfig", (Config,), values | attributes)()


class Detector(mask_rcnn.MaskRCNN):
    """Mask R-CNN with a chosen width of the RPN; torchvision's is half of Matterport's."""

    rpn_channels = 512

    @classmethod
    def build_parts(cls, config):
        parts = mask_rcnn.build_parts(config)
        if cls.rpn_channels != 2 * config.TOP_DOWN_PYRAMID_SIZE:
            parts.rpn_head = RPNHead(
                len(config.RPN_ANCHOR_RATIOS), config.RPN_ANCHOR_STRIDE, channels=cls.rpn_channels, name="rpn_model"
            )
        return parts


class Task:
    """What detection and training share."""

    mode = None

    def __init__(self, precision, image_size, batch, backbone, rpn_channels=512, **attributes):
        keras.utils.set_random_seed(0)
        keras.mixed_precision.set_global_policy(POLICIES[precision])
        self.size = height, width = image_size
        self.config = make_config(height, width, batch, backbone, **attributes)
        self.dtype = keras.mixed_precision.global_policy().compute_dtype
        cls = type("BenchmarkDetector", (Detector,), {"rpn_channels": rpn_channels})
        self.model = cls(self.mode, self.config, os.devnull)
        self.images = [photograph(height, width, seed) for seed in range(batch)]

    def floor(self, repeats=5):
        """See `floor.measure_floor`; of one forward pass."""
        inputs = [keras.ops.convert_to_tensor(array) for array in self.inputs()]
        products = count_products(lambda: self.model.keras_model(inputs, training=False))
        return measure_floor(products, self.dtype, repeats)


class Detection(Task):
    """`detect()` on a batch of pictures."""

    mode = "inference"

    def run(self):
        self.results = self.model.detect(self.images)

    def counts(self):
        """What the last run made, by name."""
        return {"objects found": sum(len(result["class_ids"]) for result in self.results)}

    def inputs(self):
        """The arrays that the graph takes."""
        molded, metas, _ = mold_inputs(self.images, self.config)
        return np.stack(molded), np.stack(metas)

    def part_names(self):
        """Prepares the parts that `run_part` runs; their names."""
        keras_model = self.model.keras_model
        tensors = dict(zip(map(id, keras_model.inputs), self.inputs(), strict=True))
        self._parts = {"host": self._mold}
        pyramid = [keras_model.get_layer(f"fpn_p{level}").output for level in (2, 3, 4, 5, 6)]
        bottom = [keras_model.get_layer(f"fpn_c{level}p{level}").input for level in (2, 3, 4, 5)]
        rpn = [keras_model.get_layer(name).output for name in ("rpn_class", "rpn_bbox")]
        image = keras_model.inputs[0]
        scores = [keras_model.get_layer(name).output for name in ("mrcnn_class", "mrcnn_bbox")]
        head_inputs = [keras_model.get_layer(f"roi_align_{name}").output for name in ("classifier", "mask")]
        for name, start, end in (
            ("backbone", [image], bottom),
            ("pyramid", bottom, pyramid),
            ("RPN", pyramid, rpn),
            ("proposals", self._inputs_of("ROI"), [keras_model.get_layer("ROI").output]),
            ("RoIAlign", self._inputs_of("roi_align_classifier"), head_inputs[:1]),
            ("box head", head_inputs[:1], scores),
            ("detection", self._inputs_of("mrcnn_detection"), [keras_model.get_layer("mrcnn_detection").output]),
            ("RoIAlign of masks", self._inputs_of("roi_align_mask"), head_inputs[1:]),
            ("mask head", self._inputs_of("mrcnn_masks"), [keras_model.get_layer("mrcnn_mask").output]),
        ):
            self._parts[name] = self._piece(tensors, start, end)
        outputs = [keras.ops.convert_to_numpy(tensors[id(keras_model.outputs[i])]) for i in (0, 3)]
        self._parts["pasting"] = lambda: self._paste(*outputs)
        return list(self._parts)

    def run_part(self, name):
        """Runs one part of `part_names` alone, on what the parts before it gave."""
        self._parts[name]()

    def _inputs_of(self, layer):
        inputs = self.model.keras_model.get_layer(layer).input
        return list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]

    def _piece(self, tensors, start, end):
        """The graph between tensors, compiled; its results are added to `tensors`."""
        missing = [tensor for tensor in start if id(tensor) not in tensors]
        if missing:
            known = self.model.keras_model.inputs
            values = keras.Model(known, missing)([tensors[id(tensor)] for tensor in known], training=False)
            tensors |= dict(zip(map(id, missing), keras.tree.flatten(values), strict=True))
        piece = keras.Model(start, end)
        run = compiled(lambda *inputs: piece(list(inputs), training=False))
        arrays = [keras.ops.convert_to_tensor(tensors[id(tensor)]) for tensor in start]
        tensors |= dict(zip(map(id, end), keras.tree.flatten(run(*arrays)), strict=True))
        return lambda: run(*arrays)

    def _mold(self):
        self._molded, _, self._windows = mold_inputs(self.images, self.config)

    def _paste(self, detections, masks):
        self._mold()
        for row, image in enumerate(self.images):
            unmold_detections(detections[row], masks[row], image.shape, self._molded[row].shape, self._windows[row])


class Training(Task):
    """One training step on a batch held in memory."""

    mode = "training"

    def __init__(self, *args, objects=8, layers="all", **kwargs):
        super().__init__(*args, **kwargs)
        self.objects = objects
        self.model.compile(learning_rate=1e-5)
        self.batch = self.inputs()

    def run(self):
        loss = self.model.keras_model.train_on_batch(self.batch)
        return float(np.sum(loss))

    def counts(self):
        """Regions that the heads of a step see, of the whole batch; every step draws anew."""
        keras_model = self.model.keras_model
        rois, class_ids, *_ = keras_model.get_layer("proposal_targets").output
        rois, class_ids = keras.Model(keras_model.inputs, [rois, class_ids]).predict_on_batch(self.batch)
        return {"regions": int(rois.any(axis=-1).sum()), "positives": int((class_ids > 0).sum())}

    def part_names(self):
        """The parts that `run_part` runs."""
        return ["forward"]

    def run_part(self, name):
        """The forward pass alone."""
        self.model.keras_model.test_on_batch(self.batch)

    def inputs(self):
        """The arrays that the graph takes."""
        return training_batch(self.config, *self.size, self.objects)
