# Kangaroos from boxes in Pascal VOC files. The boxes are used as masks.
import os
import xml.etree
import numpy as np
from matplotlib import pyplot
from mrcnn.utils import Dataset
from mrcnn.utils import extract_bboxes
from mrcnn.config import Config
from mrcnn.model import MaskRCNN
from mrcnn.visualize import display_instances


class KangarooDataset(Dataset):
    def load_dataset(self, folder, is_train=True):
        self.add_class("dataset", 1, "kangaroo")
        for name in sorted(os.listdir(folder + '/images/')):
            number = name[:-4]
            # 00090 is broken
            if number == '00090':
                continue
            if is_train != (int(number) < 6):
                continue
            self.add_image('dataset', image_id=number, path=folder + '/images/' + name,
                           annotation=folder + '/annots/' + number + '.xml')

    def extract_boxes(self, filename):
        root = xml.etree.ElementTree.parse(filename).getroot()
        boxes = []
        for b in root.findall('.//bndbox'):
            boxes.append([int(b.find(k).text) for k in ('xmin', 'ymin', 'xmax', 'ymax')])
        w = int(root.find('.//size/width').text)
        h = int(root.find('.//size/height').text)
        return boxes, w, h

    def load_mask(self, image_id):
        boxes, w, h = self.extract_boxes(self.image_info[image_id]['annotation'])
        masks = np.zeros([h, w, len(boxes)], dtype='uint8')
        class_ids = []
        for i, (x1, y1, x2, y2) in enumerate(boxes):
            masks[y1:y2, x1:x2, i] = 1
            class_ids.append(self.class_names.index('kangaroo'))
        return masks, np.asarray(class_ids, dtype='int32')

    def image_reference(self, image_id):
        return self.image_info[image_id]['path']


class KangarooConfig(Config):
    NAME = "kangaroo_cfg"
    NUM_CLASSES = 1 + 1
    STEPS_PER_EPOCH = 3
    VALIDATION_STEPS = 1
    BACKBONE = "resnet50"
    IMAGES_PER_GPU = 1
    IMAGE_MIN_DIM = 128
    IMAGE_MAX_DIM = 128


if __name__ == '__main__':
    train_set = KangarooDataset()
    train_set.load_dataset('kangaroo', is_train=True)
    print('before prepare: %d' % len(train_set.image_ids))
    train_set.prepare()
    print('train: %d' % len(train_set.image_ids))
    test_set = KangarooDataset()
    test_set.load_dataset('kangaroo', is_train=False)
    test_set.prepare()
    print('test: %d' % len(test_set.image_ids))

    # have a look
    image = train_set.load_image(0)
    mask, class_ids = train_set.load_mask(0)
    print(image.shape, mask.shape)
    for i in train_set.image_ids:
        print(train_set.image_info[i])
    bbox = extract_bboxes(mask)
    display_instances(image, bbox, mask, class_ids, train_set.class_names)
    pyplot.savefig('annotated.png')

    config = KangarooConfig()
    config.display()
    model = MaskRCNN(mode='training', model_dir='./', config=config)
    model.load_weights('mask_rcnn_coco.h5', by_name=True,
                       exclude=["mrcnn_class_logits", "mrcnn_bbox_fc", "mrcnn_bbox", "mrcnn_mask"])
    model.train(train_set, test_set, learning_rate=config.LEARNING_RATE, epochs=2, layers='heads')
