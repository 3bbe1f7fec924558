"""Small models that have what Mask R-CNN's have: composite heads, both normalisations, random seeds."""

import keras
import numpy as np
from keras import layers


@keras.saving.register_keras_serializable("mrcnn_tests")
class Composite(layers.Layer):
    """Runs the layers it is given, one after the other."""

    def __init__(self, parts, **kwargs):
        super().__init__(**kwargs)
        self.parts = parts

    def build(self, shape):
        for part in self.parts:
            part.build(shape)
            shape = part.compute_output_shape(shape)

    def call(self, x, training=None):
        for part in self.parts:
            x = part(x, training=training) if isinstance(part, (layers.Dropout, layers.Dense)) else part(x)
        return x

    def get_config(self):
        parts = [keras.saving.serialize_keras_object(part) for part in self.parts]
        return {**super().get_config(), "parts": parts}

    @classmethod
    def from_config(cls, config):
        parts = [keras.saving.deserialize_keras_object(part) for part in config.pop("parts")]
        return cls(parts, **config)


def rpn(anchors=3):
    return Composite(
        [
            layers.Conv2D(6, 3, padding="same", name="rpn_conv_shared"),
            layers.Conv2D(2 * anchors, 1, name="rpn_class_raw"),
            layers.Conv2D(4 * anchors, 1, name="rpn_bbox_pred"),
        ],
        name="rpn_model",
    )


def classifier(classes=4, dropout=0.0):
    parts = [
        layers.Conv2D(5, 3, name="mrcnn_class_conv1"),
        layers.BatchNormalization(name="mrcnn_class_bn1"),
        layers.GlobalAveragePooling2D(name="pool_squeeze"),
        layers.Dropout(dropout, seed=3, name="dropout"),
        layers.Dense(classes, name="mrcnn_class_logits"),
        layers.Dense(4 * classes, name="mrcnn_bbox_fc"),
    ]
    return Composite(parts, name="mrcnn_classifier")


def detector(classes=4, channels=3, anchors=3, dropout=0.0, reverse=False):
    """`[B, 8, 8, channels]` to `[B, 4 * classes]`; `reverse` changes the order in which layers are made."""
    heads = [rpn(anchors), classifier(classes, dropout)]
    if reverse:
        heads = [classifier(classes, dropout), rpn(anchors)][::-1]
    image = keras.Input((8, 8, channels), name="input_image")
    x = layers.Conv2D(4, 3, padding="same", name="conv1")(image)
    x = layers.BatchNormalization(name="bn_conv1")(x)
    x = layers.Activation("relu", name="activation")(x)
    x = layers.Conv2D(4, 1, name="res2a_branch2a")(x)
    x = layers.GroupNormalization(2, name="bn2a_branch2a")(x)
    x = heads[0](x)
    return keras.Model(image, heads[1](x))


def values(model):
    """Copies of all weights by path."""
    return {w.path: np.array(keras.ops.convert_to_numpy(w.value), copy=True) for w in model.weights}


def randomise(model, seed=0):
    """Fill every weight with numbers of its own; returns the model."""
    rng = np.random.default_rng(seed)
    for w in model.weights:
        w.assign(rng.uniform(0.1, 1.0, w.shape).astype("float32"))
    return model


def same(a, b):
    """Whether two results of `values` are equal bit by bit."""
    return a.keys() == b.keys() and all(np.array_equal(a[key], b[key], equal_nan=True) for key in a)


def sequence(*made, shape=(8, 8, 3)):
    """A functional model of the layers, one after the other."""
    image = x = keras.Input(shape)
    for layer in made:
        x = layer(x)
    return keras.Model(image, x)


class ArrayBatches(keras.utils.PyDataset):
    """Arrays in batches of `size`, in their order.

    On TensorFlow by Keras' threads: TensorFlow tunes loading of its own in one for which garbage collection may have to
    wait a minute, once an exception ended the training. On JAX Keras' threads begin with a later batch.
    """

    def __init__(self, x, y, size):
        super().__init__(workers=2 if keras.backend.backend() == "tensorflow" else 1)
        self.x, self.y, self.size = x, y, size

    def __len__(self):
        return len(self.x) // self.size

    def __getitem__(self, index):
        rows = slice(index * self.size, (index + 1) * self.size)
        return self.x[rows], self.y[rows]
