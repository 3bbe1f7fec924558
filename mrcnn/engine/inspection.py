"""Looking into a detector stage by stage, under Matterport's method names."""

from collections import OrderedDict

import keras
import numpy as np

from ..data.anchors import config_anchors
from ..data.boxes import norm_boxes
from ..data.report import log
from ..layers.proposal import ProposalStages
from .inference import mold_inputs, unmold_detections

_PROPOSAL_LAYER = "ROI"
# The nodes of Matterport's graph that lie inside its proposal layer, by the names it gave them.
_STAGES = {
    "pre_nms_anchors": "pre_nms_anchors",
    "refined_anchors": "refined_anchors",
    "refined_anchors_clipped": "refined_anchors_clipped",
    "rpn_non_max_suppression": "nms_indices",
}


class Inspection:
    """Methods of a detector that show what happens inside; needs its `keras_model`, `config` and `mode`."""

    _last_shape = _given_anchors = None

    def mold_inputs(self, images):
        """Images of any size as the graph takes them.

        Args:
            images: list of `[h, w, channels]` arrays that become one shape.

        Returns:
            molded images `[n, H, W, channels]` float32, metas `[n, 12 + C]` float32, windows `[n, 4]` (y1, x1, y2, x2)
            pixels of the images inside their padding.
        """
        molded, metas, windows = mold_inputs(images, self.config)
        return np.stack(molded), np.stack(metas), np.stack(windows)

    def unmold_detections(self, detections, mrcnn_mask, original_image_shape, image_shape, window):
        """One image's detections in its own pixels, see `engine.inference.unmold_detections`."""
        return unmold_detections(
            detections, mrcnn_mask, original_image_shape, image_shape, window, self.config.MASK_PASTE
        )

    @property
    def anchors(self):
        """Anchors `[A, 4]` in pixels of the last molded image, before any of one with the shape `IMAGE_SHAPE`; what is
        assigned stays.
        """
        if self._given_anchors is not None:
            return self._given_anchors
        return config_anchors(self.config, self._last_shape or tuple(self.config.IMAGE_SHAPE))

    @anchors.setter
    def anchors(self, anchors):
        self._given_anchors = anchors

    def get_anchors(self, image_shape):
        """Anchors of a molded image of `image_shape`: `[A, 4]` float32 normalised.

        The attribute `anchors` is the same in pixels then.
        """
        self._last_shape, self._given_anchors = tuple(image_shape), None
        return norm_boxes(self.anchors, image_shape[:2])

    def detect_molded(self, molded_images, image_metas, verbose=0):
        """Detects in images that `mold_inputs` or `load_image_gt` and `mold_image` have prepared.

        Args:
            molded_images: `[n, H, W, channels]`, mean subtracted.
            image_metas: `[n, 12 + C]`.
            verbose: 1 prints what is processed.

        Returns:
            as of `detect`, in pixels of the molded images.

        Raises:
            ValueError: this model is for training, or images and metas differ in number.
        """
        if self.mode != "inference":
            raise ValueError('This model was made for training. Make one with mode="inference" to detect.')
        if len(molded_images) != len(image_metas):
            raise ValueError(f"{len(molded_images)} images with {len(image_metas)} image_metas: pass one for each.")
        if verbose:
            print(f"Processing {len(molded_images)} images")
            for image in molded_images:
                log("image", image)
        self._last_shape = np.shape(molded_images)[1:]
        # In another dtype the graph would be traced anew.
        outputs = self._predict(np.asarray(molded_images, np.float32), np.asarray(image_metas, np.float32))
        results = []
        for row, image in enumerate(molded_images):
            window = (0, 0, *image.shape[:2])
            results.append(self.read_result(outputs, row, image.shape, image.shape, window, self.config))
        return results

    def run_graph(self, images, outputs, image_metas=None):
        """Values of tensors inside the graph.

        Args:
            images: list of images of any size; with `image_metas`, molded images `[n, H, W, channels]`.
            outputs: list of (name, tensor): `keras_model.get_layer(name).output`, or what `ancestor` returns.
            image_metas: `[n, 12 + C]`.

        Returns:
            `OrderedDict` of arrays by name; their shapes and ranges are printed.

        Raises:
            ValueError: a tensor is None, as `ancestor` returns for names that it does not know.
        """
        unknown = [name for name, tensor in outputs if tensor is None]
        if unknown:
            raise ValueError(f"No tensor for {unknown}: take the output of a layer, or a name that ancestor() knows.")
        if image_metas is None:
            images, image_metas, _ = self.mold_inputs(images)
        self._last_shape = np.shape(images)[1:]
        model = keras.Model(self.keras_model.inputs[:2], [tensor for _, tensor in outputs])
        values = model.predict_on_batch([np.asarray(images, np.float32), np.asarray(image_metas, np.float32)])
        found = OrderedDict()
        for (name, _), value in zip(outputs, values, strict=True):
            found[name] = keras.ops.convert_to_numpy(value)
            log(name, found[name])
        return found

    def ancestor(self, tensor, name, checked=None):
        """The tensor `name` of Matterport's graph on the way to `tensor`.

        Args:
            tensor: where to search from.
            name: a layer's name, or `ROI/pre_nms_anchors:0`, `ROI/refined_anchors:0`,
                `ROI/refined_anchors_clipped:0` (`[B, N, 4]` normalised, by falling score) or
                `ROI/rpn_non_max_suppression:0` (`[P]`, the rows of these that the first image's proposals are; unused
                slots repeat the first).
            checked: not used.

        Returns:
            a tensor for `run_graph`; None where there is none of this name.
        """
        outer, *inner = name.split(":")[0].split("/")
        if outer == _PROPOSAL_LAYER and inner:
            return self._proposal_stages().get(_STAGES.get(inner[0]))
        layers = {layer.name: layer for layer in self.keras_model.layers}
        return layers[outer].output if outer in layers and not inner else None

    def _proposal_stages(self):
        layer = self.keras_model.get_layer(_PROPOSAL_LAYER)
        return dict(zip(ProposalStages.NAMES, ProposalStages(layer)(layer.input), strict=True))

    def find_trainable_layer(self, layer):
        """The layer that owns the weights: the one inside a wrapper, else `layer` itself."""
        return self.find_trainable_layer(layer.layer) if hasattr(layer, "layer") else layer
