# labelme JSON, colour and depth as four channels; the result is drawn into a video
import os
import sys
import glob
import json
import colorsys
import random
import time
import numpy as np
import cv2
import skimage.draw
import skimage.io
from mrcnn import config as mrcnn_config
from mrcnn import model as modellib
from mrcnn.utils import Dataset

CLASSES = ['BG', 'round', 'square']
MODEL_DIR = os.path.join(os.getcwd(), 'logs')


class RGBDConfig(mrcnn_config.Config):
    NAME = 'rgbd'
    GPU_COUNT = 1
    IMAGES_PER_GPU = 1
    NUM_CLASSES = len(CLASSES)
    IMAGE_CHANNEL_COUNT = 4
    MEAN_PIXEL = np.array([123.7, 116.8, 103.9, 1220.7])
    BACKBONE = 'resnet50'
    IMAGE_MIN_DIM = 64
    IMAGE_MAX_DIM = 128
    RPN_ANCHOR_SCALES = (10, 20, 40, 80, 160)
    RPN_ANCHOR_RATIOS = [0.5, 1, 2]
    STEPS_PER_EPOCH = 3
    VALIDATION_STEPS = 1
    DETECTION_MIN_CONFIDENCE = 0.2
    WEIGHT_DECAY = 0.001


class RGBDDataset(Dataset):
    def load(self, folder):
        for n, name in enumerate(CLASSES[1:]):
            self.add_class('rgbd', n + 1, name)
        for path in sorted(glob.glob(os.path.join(folder, '*.json'))):
            with open(path) as f:
                data = json.load(f)
            self.add_image('rgbd', image_id=os.path.basename(path)[:-5],
                           path=os.path.join(folder, data['imagePath']),
                           height=data['imageHeight'], width=data['imageWidth'], shapes=data['shapes'])

    def load_image(self, image_id):
        path = self.image_info[image_id]['path']
        depth = skimage.io.imread(path[:-4] + '_depth.png').astype(np.float32)
        return np.dstack([skimage.io.imread(path).astype(np.float32), depth])

    def load_mask(self, image_id):
        info = self.image_info[image_id]
        shapes = info['shapes']
        mask = np.zeros((info['height'], info['width'], len(shapes)))
        ids = []
        for i, s in enumerate(shapes):
            p = np.array(s['points'])
            if s['shape_type'] == 'rectangle':
                (x1, y1), (x2, y2) = p
                p = np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]])
            rr, cc = skimage.draw.polygon(p[:, 1], p[:, 0], mask.shape[:2])
            mask[rr, cc, i] = 1
            ids.append(self.class_names.index(s['label']))
        return mask.astype(np.uint8), np.array(ids, dtype=np.int64)


def colors_of(n):
    hsv = [(i / n, 1, 1.0) for i in range(n)]
    colors = [colorsys.hsv_to_rgb(*c) for c in hsv]
    random.shuffle(colors)
    return colors


def paint(frame, r, names):
    for i, color in enumerate(colors_of(max(1, r['rois'].shape[0]))[:r['rois'].shape[0]]):
        for c in range(3):
            frame[:, :, c] = np.where(r['masks'][:, :, i] == 1, frame[:, :, c] * 0.5 + 127 * color[c], frame[:, :, c])
        y1, x1, y2, x2 = r['rois'][i]
        frame = cv2.rectangle(frame, (int(x1), int(y1)), (int(x2), int(y2)), [int(255 * c) for c in color], 1)
        text = '{} {:.2f}'.format(names[r['class_ids'][i]], r['scores'][i])
        frame = cv2.putText(frame, text, (int(x1), int(y1)), cv2.FONT_HERSHEY_COMPLEX, 0.3, [255, 255, 255], 1)
    return frame


def main(argv):
    train, val = RGBDDataset(), RGBDDataset()
    train.load('data/train')
    train.prepare()
    val.load('data/val')
    val.prepare()
    config = RGBDConfig()
    config.display()

    model = modellib.MaskRCNN(model_dir=MODEL_DIR, mode='training', config=config)
    model.load_weights(filepath='mask_rcnn_coco.h5', by_name=True,
                       exclude=['conv1', 'mrcnn_class_logits', 'mrcnn_bbox_fc', 'mrcnn_bbox', 'mrcnn_mask'])
    from imgaug import augmenters as iaa
    augmentation = iaa.Sometimes(0.5, iaa.Sequential([iaa.Fliplr(0.5), iaa.Affine(rotate=(-20, 20))]))
    model.train(train_dataset=train, val_dataset=val, learning_rate=config.LEARNING_RATE, epochs=1, layers='5+',
                augmentation=augmentation)
    # called again with the same number of epochs
    model.train(train_dataset=train, val_dataset=val, learning_rate=config.LEARNING_RATE / 10, epochs=1,
                layers='head')
    weights = os.path.join(MODEL_DIR, 'rgbd_final.h5')
    model.keras_model.save_weights(weights)

    detector = modellib.MaskRCNN(mode='inference', config=config, model_dir=MODEL_DIR)
    detector.keras_model.load_weights(weights, by_name=True)
    print([t.name for t in detector.keras_model.inputs], len(detector.keras_model.outputs))
    writer = cv2.VideoWriter('out.avi', cv2.VideoWriter_fourcc(*'MJPG'), 5, (96, 72))
    total = 0
    for image_id in val.image_ids:
        t = time.time()
        image = val.load_image(image_id)
        results = detector.detect([image])
        r = results[0]
        total += len(r['scores'])
        frame = paint(image[..., :3].astype(np.uint8).copy(), r, CLASSES)
        writer.write(frame[..., ::-1])
        print('frame', image_id, '%.2f s' % (time.time() - t))
    writer.release()
    # nothing to see in the dark
    r = detector.detect([np.zeros((72, 96, 4), np.float32)])[0]
    print('in the dark:', r['rois'].shape, r['masks'].shape, r['class_ids'].dtype)
    print('objects:', total)


if __name__ == '__main__':
    main(sys.argv)
