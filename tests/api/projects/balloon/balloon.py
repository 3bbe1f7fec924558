#!/usr/bin/env python3
# usage: balloon.py train --dataset DIR --weights coco|last|FILE
#        balloon.py splash --weights last|FILE --image FILE
#        balloon.py splash --weights last|FILE --video FILE
import argparse
import datetime
import json
import os
import sys

import numpy as np
import skimage.color
import skimage.draw
import skimage.io

ROOT_DIR = os.path.abspath("../../")
sys.path.append(ROOT_DIR)
from mrcnn.config import Config
from mrcnn import model as modellib, utils

COCO_WEIGHTS_PATH = os.path.join(ROOT_DIR, "mask_rcnn_coco.h5")
DEFAULT_LOGS_DIR = os.path.join(ROOT_DIR, "logs")


class BalloonConfig(Config):
    NAME = "balloon"
    IMAGES_PER_GPU = 2
    NUM_CLASSES = 1 + 1
    STEPS_PER_EPOCH = 2
    VALIDATION_STEPS = 1
    DETECTION_MIN_CONFIDENCE = 0.2
    BACKBONE = "resnet50"
    IMAGE_MIN_DIM = 64
    IMAGE_MAX_DIM = 64


class BalloonDataset(utils.Dataset):

    def load_balloon(self, dataset_dir, subset):
        self.add_class("balloon", 1, "balloon")
        folder = os.path.join(dataset_dir, subset)
        with open(os.path.join(folder, "via_region_data.json")) as f:
            entries = [e for e in json.load(f).values() if e['regions']]
        for entry in entries:
            regions = entry['regions']
            # a dict up to VIA 1, a list since VIA 2
            if type(regions) is dict:
                regions = regions.values()
            path = os.path.join(folder, entry['filename'])
            h, w = skimage.io.imread(path).shape[:2]
            self.add_image("balloon", image_id=entry['filename'], path=path, width=w, height=h,
                           polygons=[r['shape_attributes'] for r in regions])

    def load_mask(self, image_id):
        info = self.image_info[image_id]
        if info["source"] != "balloon":
            return super(self.__class__, self).load_mask(image_id)
        mask = np.zeros([info["height"], info["width"], len(info["polygons"])], dtype=np.uint8)
        for n, shape in enumerate(info["polygons"]):
            rr, cc = skimage.draw.polygon(shape['all_points_y'], shape['all_points_x'])
            mask[rr, cc, n] = 1
        return mask.astype(np.bool), np.ones([mask.shape[-1]], dtype=np.int32)

    def image_reference(self, image_id):
        info = self.image_info[image_id]
        if info["source"] == "balloon":
            return info["path"]
        else:
            super(self.__class__, self).image_reference(image_id)


def train(model, config, args):
    datasets = []
    for subset in ("train", "val"):
        d = BalloonDataset()
        d.load_balloon(args.dataset, subset)
        d.prepare()
        datasets.append(d)
    model.train(datasets[0], datasets[1], learning_rate=config.LEARNING_RATE, epochs=args.epochs, layers='heads')


def color_splash(image, mask):
    gray = skimage.color.gray2rgb(skimage.color.rgb2gray(image)) * 255
    if mask.shape[-1] == 0:
        return gray.astype(np.uint8)
    anywhere = np.sum(mask, -1, keepdims=True) >= 1
    return np.where(anywhere, image, gray).astype(np.uint8)


def splash_image(model, path):
    image = skimage.io.imread(path)
    r = model.detect([image], verbose=1)[0]
    out = "splash_{:%Y%m%dT%H%M%S}.png".format(datetime.datetime.now())
    skimage.io.imsave(out, color_splash(image, r['masks']))
    print("saved", out)


def splash_video(model, path):
    import cv2
    reader = cv2.VideoCapture(path)
    size = int(reader.get(cv2.CAP_PROP_FRAME_WIDTH)), int(reader.get(cv2.CAP_PROP_FRAME_HEIGHT))
    out = "splash_{:%Y%m%dT%H%M%S}.avi".format(datetime.datetime.now())
    writer = cv2.VideoWriter(out, cv2.VideoWriter_fourcc(*'MJPG'), reader.get(cv2.CAP_PROP_FPS), size)
    count = 0
    while True:
        ok, frame = reader.read()
        if not ok:
            break
        frame = frame[..., ::-1]  # BGR -> RGB
        r = model.detect([frame], verbose=0)[0]
        writer.write(color_splash(frame, r['masks'])[..., ::-1])
        count += 1
    writer.release()
    print("saved", out, "frames:", count)


if __name__ == '__main__':
    parser = argparse.ArgumentParser()
    parser.add_argument("command")
    parser.add_argument('--dataset')
    parser.add_argument('--weights', required=True)
    parser.add_argument('--logs', default=DEFAULT_LOGS_DIR)
    parser.add_argument('--image')
    parser.add_argument('--video')
    parser.add_argument('--epochs', type=int, default=1)
    args = parser.parse_args()

    if args.command == "train":
        config = BalloonConfig()
    else:
        class InferenceConfig(BalloonConfig):
            GPU_COUNT = 1
            IMAGES_PER_GPU = 1
        config = InferenceConfig()
    config.display()

    model = modellib.MaskRCNN(mode="training" if args.command == "train" else "inference",
                              config=config, model_dir=args.logs)

    if args.weights.lower() == "coco":
        weights_path = COCO_WEIGHTS_PATH
        if not os.path.exists(weights_path):
            utils.download_trained_weights(weights_path)
    elif args.weights.lower() == "last":
        weights_path = model.find_last()
    elif args.weights.lower() == "imagenet":
        weights_path = model.get_imagenet_weights()
    else:
        weights_path = args.weights
    print("weights:", weights_path)
    if args.weights.lower() == "coco":
        model.load_weights(weights_path, by_name=True, exclude=[
            "mrcnn_class_logits", "mrcnn_bbox_fc", "mrcnn_bbox", "mrcnn_mask"])
    else:
        model.load_weights(weights_path, by_name=True)

    if args.command == "train":
        train(model, config, args)
    elif args.image:
        splash_image(model, args.image)
    else:
        splash_video(model, args.video)
