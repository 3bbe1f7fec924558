# Litter from annotations in COCO's format. First the heads, then everything.
import os
import sys
import json
import time
import numpy as np
from PIL import Image, ImageDraw

ROOT_DIR = '.'
assert os.path.exists(ROOT_DIR), 'ROOT_DIR does not exist'
sys.path.append(ROOT_DIR)

from mrcnn.config import Config
import mrcnn.utils as utils
from mrcnn import visualize
import mrcnn.model as modellib

MODEL_DIR = os.path.join(ROOT_DIR, "logs")
COCO_MODEL_PATH = os.path.join(ROOT_DIR, "mask_rcnn_coco.h5")
if not os.path.exists(COCO_MODEL_PATH):
    utils.download_trained_weights(COCO_MODEL_PATH)


class LitterConfig(Config):
    NAME = "Litter on grass"
    GPU_COUNT = 1
    IMAGES_PER_GPU = 1
    NUM_CLASSES = 1 + 2
    IMAGE_MIN_DIM = 128
    IMAGE_MAX_DIM = 128
    STEPS_PER_EPOCH = 2
    VALIDATION_STEPS = 1
    BACKBONE = 'resnet50'
    RPN_ANCHOR_SCALES = (8, 16, 32, 64, 128)
    TRAIN_ROIS_PER_IMAGE = 32
    MAX_GT_INSTANCES = 50
    POST_NMS_ROIS_INFERENCE = 500
    POST_NMS_ROIS_TRAINING = 1000


class CocoLikeDataset(utils.Dataset):

    def load_data(self, annotation_json, images_dir):
        with open(annotation_json) as f:
            coco_json = json.load(f)
        source = "coco_like"
        for category in coco_json['categories']:
            if category['id'] < 1:
                print('Class id of "{}" must be 1 or more'.format(category['name']))
                return
            self.add_class(source, category['id'], category['name'])
        by_image = {}
        for annotation in coco_json['annotations']:
            by_image.setdefault(annotation['image_id'], []).append(annotation)
        seen = {}
        for image in coco_json['images']:
            if image['id'] in seen:
                print("Skipping image {}: seen before".format(image['id']))
                continue
            seen[image['id']] = image
            try:
                path = os.path.abspath(os.path.join(images_dir, image['file_name']))
                self.add_image(source=source, image_id=image['id'], path=path, width=image['width'],
                               height=image['height'], annotations=by_image[image['id']])
            except KeyError as key:
                print("Skipping image {}: no {}".format(image['id'], key))

    def load_mask(self, image_id):
        image_info = self.image_info[image_id]
        masks, class_ids = [], []
        for annotation in image_info['annotations']:
            mask = Image.new('1', (image_info['width'], image_info['height']))
            pen = ImageDraw.ImageDraw(mask, '1')
            for segmentation in annotation['segmentation']:
                pen.polygon(segmentation, fill=1)
            masks.append(np.array(mask) > 0)
            class_ids.append(annotation['category_id'])
        mask = np.dstack(masks)
        class_ids = np.array(class_ids, dtype=np.int32)
        return mask, class_ids


config = LitterConfig()
config.display()

dataset_train = CocoLikeDataset()
dataset_train.load_data('data/train/coco_annotations.json', 'data/train/images')
dataset_train.prepare()
dataset_val = CocoLikeDataset()
dataset_val.load_data('data/val/coco_annotations.json', 'data/val/images')
dataset_val.prepare()

for name, dataset in [('training', dataset_train), ('validation', dataset_val)]:
    for image_id in np.random.choice(dataset.image_ids, 2):
        image = dataset.load_image(image_id)
        mask, class_ids = dataset.load_mask(image_id)
        visualize.display_top_masks(image, mask, class_ids, dataset.class_names)

model = modellib.MaskRCNN(mode="training", config=config, model_dir=MODEL_DIR)
init_with = "coco"
if init_with == "imagenet":
    model.load_weights(model.get_imagenet_weights(), by_name=True)
elif init_with == "coco":
    model.load_weights(COCO_MODEL_PATH, by_name=True, exclude=[
        "mrcnn_class_logits", "mrcnn_bbox_fc", "mrcnn_bbox", "mrcnn_mask"])
elif init_with == "last":
    model.load_weights(model.find_last(), by_name=True)

start = time.time()
model.train(dataset_train, dataset_val, learning_rate=config.LEARNING_RATE, epochs=1, layers='heads')
print("heads took {} minutes".format(round((time.time() - start) / 60, 2)))
start = time.time()
model.train(dataset_train, dataset_val, learning_rate=config.LEARNING_RATE / 10, epochs=2, layers="all")
print("all took {} minutes".format(round((time.time() - start) / 60, 2)))
model.keras_model.save_weights(os.path.join(MODEL_DIR, "mask_rcnn_litter.h5"))


class InferenceConfig(LitterConfig):
    GPU_COUNT = 1
    IMAGES_PER_GPU = 1
    IMAGE_MIN_DIM = 64
    IMAGE_MAX_DIM = 64
    DETECTION_MIN_CONFIDENCE = 0.2


inference_config = InferenceConfig()
model = modellib.MaskRCNN(mode="inference", config=inference_config, model_dir=MODEL_DIR)
model_path = model.find_last()
print("Loading weights from ", model_path)
assert model_path != "", "Provide path to trained weights"
model.load_weights(model_path, by_name=True)

import skimage.io
import matplotlib.pyplot as plt

for filename in sorted(os.listdir('data/val/images')):
    if os.path.splitext(filename)[1].lower() in ['.png', '.jpg', '.jpeg']:
        img = skimage.io.imread(os.path.join('data/val/images', filename))
        img_arr = np.array(img)
        results = model.detect([img_arr], verbose=1)
        r = results[0]
        visualize.display_instances(img, r['rois'], r['masks'], r['class_ids'],
                                    dataset_val.class_names, r['scores'], figsize=(5, 5))
        plt.savefig('found_' + filename)
