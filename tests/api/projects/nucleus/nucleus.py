# Nuclei, one PNG each. Trains on random crops, detects in whole pictures and writes Kaggle's csv.
if __name__ == '__main__':
    import matplotlib
    matplotlib.use('Agg')
    import matplotlib.pyplot as plt

import os
import sys
import json
import datetime
import numpy as np
import skimage.io
from imgaug import augmenters as iaa

ROOT_DIR = os.path.abspath("../../")
sys.path.append(ROOT_DIR)
from mrcnn.config import Config
from mrcnn import utils
from mrcnn import model as modellib
from mrcnn import visualize

DEFAULT_LOGS_DIR = os.path.join(ROOT_DIR, "logs")
RESULTS_DIR = os.path.join(ROOT_DIR, "results/nucleus/")
VAL_IMAGE_IDS = ["00000004", "00000005"]


class NucleusConfig(Config):
    NAME = "nucleus"
    IMAGES_PER_GPU = 2
    NUM_CLASSES = 1 + 1
    STEPS_PER_EPOCH = (6 - len(VAL_IMAGE_IDS)) // IMAGES_PER_GPU
    VALIDATION_STEPS = max(1, len(VAL_IMAGE_IDS) // IMAGES_PER_GPU)
    DETECTION_MIN_CONFIDENCE = 0
    BACKBONE = "resnet50"
    IMAGE_RESIZE_MODE = "crop"
    IMAGE_MIN_DIM = 64
    IMAGE_MAX_DIM = 64
    IMAGE_MIN_SCALE = 2.0
    RPN_ANCHOR_SCALES = (8, 16, 32, 64, 128)
    POST_NMS_ROIS_TRAINING = 1000
    POST_NMS_ROIS_INFERENCE = 2000
    RPN_NMS_THRESHOLD = 0.9
    RPN_TRAIN_ANCHORS_PER_IMAGE = 64
    MEAN_PIXEL = np.array([43.53, 39.56, 48.22])
    USE_MINI_MASK = True
    MINI_MASK_SHAPE = (56, 56)
    TRAIN_ROIS_PER_IMAGE = 128
    MAX_GT_INSTANCES = 200
    DETECTION_MAX_INSTANCES = 400


class NucleusInferenceConfig(NucleusConfig):
    GPU_COUNT = 1
    IMAGES_PER_GPU = 1
    IMAGE_RESIZE_MODE = "pad64"
    RPN_NMS_THRESHOLD = 0.7


class NucleusDataset(utils.Dataset):

    def load_nucleus(self, dataset_dir, subset):
        self.add_class("nucleus", 1, "nucleus")
        folder = os.path.join(dataset_dir, "stage1_train" if subset in ["train", "val"] else subset)
        if subset == "val":
            ids = VAL_IMAGE_IDS
        else:
            ids = next(os.walk(folder))[1]
            if subset == "train":
                ids = list(set(ids) - set(VAL_IMAGE_IDS))
        for i in ids:
            self.add_image("nucleus", image_id=i, path=os.path.join(folder, i, "images/{}.png".format(i)))

    def load_mask(self, image_id):
        info = self.image_info[image_id]
        mask_dir = os.path.join(os.path.dirname(os.path.dirname(info['path'])), "masks")
        layers = [skimage.io.imread(os.path.join(mask_dir, f)).astype(np.bool)
                  for f in next(os.walk(mask_dir))[2] if f.endswith(".png")]
        mask = np.stack(layers, axis=-1)
        return mask, np.ones([mask.shape[-1]], dtype=np.int32)

    def image_reference(self, image_id):
        info = self.image_info[image_id]
        if info["source"] == "nucleus":
            return info["id"]
        else:
            super(self.__class__, self).image_reference(image_id)


def train(model, dataset_dir, subset):
    dataset_train = NucleusDataset()
    dataset_train.load_nucleus(dataset_dir, subset)
    dataset_train.prepare()
    dataset_val = NucleusDataset()
    dataset_val.load_nucleus(dataset_dir, "val")
    dataset_val.prepare()

    turns = [iaa.Affine(rotate=degrees) for degrees in (90, 180, 270)]
    augmentation = iaa.SomeOf((0, 2), [
        iaa.Fliplr(0.5), iaa.Flipud(0.5), iaa.OneOf(turns), iaa.Multiply((0.8, 1.5)),
        iaa.GaussianBlur(sigma=(0.0, 5.0)),
    ])
    model.train(dataset_train, dataset_val, learning_rate=config.LEARNING_RATE, epochs=1,
                augmentation=augmentation, layers='heads')
    model.train(dataset_train, dataset_val, learning_rate=config.LEARNING_RATE, epochs=2,
                augmentation=augmentation, layers='all')


def run_lengths(mask):
    padded = np.concatenate([[0], mask.T.flatten().astype(int), [0]])
    starts = np.where(np.diff(padded) == 1)[0] + 1
    ends = np.where(np.diff(padded) == -1)[0] + 1
    return " ".join("{} {}".format(s, e - s) for s, e in zip(starts, ends))


def csv_lines(name, mask, scores):
    if mask.shape[-1] == 0:
        return ["{},".format(name)]
    # a pixel belongs to the best nucleus that claims it
    free = np.ones(mask.shape[:2], dtype=bool)
    lines = []
    for n in np.argsort(scores)[::-1]:
        m = mask[:, :, n] & free
        free &= ~m
        if m.sum():
            lines.append("{}, {}".format(name, run_lengths(m)))
    return lines


def detect(model, dataset_dir, subset):
    submit_dir = os.path.join(RESULTS_DIR, "submit_{:%Y%m%dT%H%M%S}".format(datetime.datetime.now()))
    os.makedirs(submit_dir)
    dataset = NucleusDataset()
    dataset.load_nucleus(dataset_dir, subset)
    dataset.prepare()
    lines = ["ImageId,EncodedPixels"]
    for image_id in dataset.image_ids:
        image = dataset.load_image(image_id)
        r = model.detect([image], verbose=0)[0]
        name = dataset.image_info[image_id]["id"]
        lines += csv_lines(name, r["masks"], r["scores"])
        visualize.display_instances(image, r['rois'], r['masks'], r['class_ids'], dataset.class_names, r['scores'],
                                    show_bbox=False, show_mask=False, title="Predictions")
        plt.savefig("{}/{}.png".format(submit_dir, name))
    with open(os.path.join(submit_dir, "submit.csv"), "w") as f:
        f.write("\n".join(lines))
    print("saved to", submit_dir)


if __name__ == '__main__':
    import argparse
    parser = argparse.ArgumentParser()
    parser.add_argument("command", metavar="<command>")
    parser.add_argument('--dataset')
    parser.add_argument('--weights', required=True)
    parser.add_argument('--logs', default=DEFAULT_LOGS_DIR)
    parser.add_argument('--subset')
    args = parser.parse_args()

    if args.command == "train":
        config = NucleusConfig()
        model = modellib.MaskRCNN(mode="training", config=config, model_dir=args.logs)
    else:
        config = NucleusInferenceConfig()
        model = modellib.MaskRCNN(mode="inference", config=config, model_dir=args.logs)
    config.display()

    if args.weights.lower() == "last":
        model.load_weights(model.find_last(), by_name=True)
    else:
        # weights of other classes
        model.load_weights(args.weights, by_name=True, exclude=[
            "mrcnn_class_logits", "mrcnn_bbox_fc", "mrcnn_bbox", "mrcnn_mask"])

    if args.command == "train":
        train(model, args.dataset, args.subset)
    elif args.command == "detect":
        detect(model, args.dataset, args.subset)
