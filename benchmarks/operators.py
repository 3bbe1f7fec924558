"""Single operations: suppression and RoIAlign, ours and torchvision's, and the making of targets."""

import keras
import numpy as np
from keras import ops

from mrcnn.data.anchors import generate_pyramid_anchors
from mrcnn.layers.anchor_target import AnchorTargetLayer
from mrcnn.ops.nms import non_max_suppression
from mrcnn.ops.roi_align import assign_levels, crop_and_resize, roi_align

from .compiled import compiled
from .torchvision_side import import_torchvision

SIZE, STRIDES, CHANNELS = (800, 1088), (4, 8, 16, 32), 256
# name: number of boxes, side of the cells.
CROPS = {"1000 boxes to 7x7": (1000, 7), "100 boxes to 14x14": (100, 14)}
SUPPRESSED = (1000, 2000, 6000)
OBJECTS = (1, 10, 100)


def boxes_px(count, seed=0):
    """Boxes of COCO's kind of sizes in an image of `SIZE`, float32 `[count, 4]` (y1, x1, y2, x2), pixels."""
    rng = np.random.default_rng(seed)
    sides = np.exp(rng.uniform(np.log(16), np.log(600), (count, 2)))
    centres = rng.uniform(0, 1, (count, 2)) * SIZE
    boxes = np.concatenate([centres - sides / 2, centres + sides / 2], axis=1)
    return np.clip(boxes, 0, [*SIZE, *SIZE]).astype(np.float32)


def pyramid():
    """Feature maps of an image of `SIZE`, float32 `[1, h, w, CHANNELS]` each."""
    rng = np.random.default_rng(0)
    return [rng.standard_normal((1, SIZE[0] // s, SIZE[1] // s, CHANNELS), np.float32) for s in STRIDES]


def scores(count):
    return np.random.default_rng(1).uniform(size=count).astype(np.float32)


class Ours:
    """This package's operations, compiled."""

    def __init__(self):
        features = [ops.convert_to_tensor(level) for level in pyramid()]
        scale = np.array([*SIZE, *SIZE], np.float32)
        self.calls = {}
        for name, (count, side) in CROPS.items():
            boxes = boxes_px(count)[None]
            levels = assign_levels(boxes / scale, float(SIZE[0] * SIZE[1])) - 2
            cells = (side, side)
            self._add(f"RoIAlign, {name}, Matterport's sampling",
                      lambda boxes, levels, *maps, cells=cells: crop_and_resize(maps, boxes, levels, cells),
                      boxes / scale, levels, *features)  # fmt: skip
            self._add(f"RoIAlign, {name}, the paper's sampling",
                      lambda boxes, levels, *maps, cells=cells: roi_align(maps, boxes, levels, STRIDES, cells),
                      boxes, levels, *features)  # fmt: skip
        for count in SUPPRESSED:
            self._add(f"NMS, {count} boxes to 1000", lambda b, s: non_max_suppression(b, s, 0.7, 1000),
                      boxes_px(count)[None] / scale, scores(count)[None])  # fmt: skip
        strides = (*STRIDES, 64)
        maps = [(1024 // stride, 1024 // stride) for stride in strides]
        anchors = generate_pyramid_anchors((32, 64, 128, 256, 512), (0.5, 1, 2), maps, strides, 1)
        for count in OBJECTS:
            layer = AnchorTargetLayer()
            ids = np.zeros((1, 100), np.int32)
            ids[:, :count] = 1
            objects = np.zeros((1, 100, 4), np.float32)
            objects[0, :count] = boxes_px(count)
            self._add(f"anchor targets, {count} objects at 1024 px", lambda *x, run=layer: run(list(x)),
                      anchors.astype(np.float32), ids, objects)  # fmt: skip

    def _add(self, name, function, *arrays):
        run = compiled(function)
        tensors = [ops.convert_to_tensor(array) for array in arrays]
        self.calls[name] = lambda: run(*tensors)

    def names(self):
        return list(self.calls)

    def run(self, name):
        keras.tree.map_structure(ops.convert_to_numpy, self.calls[name]())


class Torchvision:
    """torchvision's own kernels for the same, where it has them."""

    def __init__(self):
        torch, _ = import_torchvision()
        from torchvision.ops import MultiScaleRoIAlign, nms

        device = "cuda" if torch.cuda.is_available() else "cpu"
        torch.set_default_device(device)
        maps = [torch.as_tensor(level, device=device).permute(0, 3, 1, 2) for level in pyramid()]
        features = dict(zip("0123", maps, strict=True))
        self.calls = {}
        for name, (count, side) in CROPS.items():
            boxes = torch.tensor(boxes_px(count)[:, [1, 0, 3, 2]])
            pool = MultiScaleRoIAlign(list(features), output_size=side, sampling_ratio=2)
            for sampling in ("Matterport's", "the paper's"):
                self.calls[f"RoIAlign, {name}, {sampling} sampling"] = lambda p=pool, b=boxes: p(features, [b], [SIZE])
        for count in SUPPRESSED:
            boxes, values = torch.tensor(boxes_px(count)[:, [1, 0, 3, 2]]), torch.tensor(scores(count))
            self.calls[f"NMS, {count} boxes to 1000"] = lambda b=boxes, v=values: nms(b, v, 0.7)[:1000]
        self._torch = torch

    def names(self):
        return list(self.calls)

    def run(self, name):
        with self._torch.inference_mode():
            self.calls[name]().cpu().numpy()
