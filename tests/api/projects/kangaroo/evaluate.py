# mAP of the last kangaroo model, and a picture of it
import glob
from numpy import expand_dims, mean
from matplotlib import pyplot
from matplotlib.patches import Rectangle
from mrcnn.config import Config
from mrcnn.model import MaskRCNN
from mrcnn.model import load_image_gt
from mrcnn.model import mold_image
from mrcnn.utils import compute_ap
from train import KangarooDataset


class PredictionConfig(Config):
    NAME = "kangaroo_cfg"
    NUM_CLASSES = 1 + 1
    GPU_COUNT = 1
    IMAGES_PER_GPU = 1
    BACKBONE = "resnet50"
    IMAGE_MIN_DIM = 128
    IMAGE_MAX_DIM = 128
    DETECTION_MIN_CONFIDENCE = 0.3


def evaluate_model(dataset, model, cfg):
    APs = list()
    for image_id in dataset.image_ids:
        image, image_meta, gt_class_id, gt_bbox, gt_mask = load_image_gt(dataset, cfg, image_id, use_mini_mask=False)
        sample = expand_dims(mold_image(image, cfg), 0)
        r = model.detect(sample, verbose=0)[0]
        AP, _, _, _ = compute_ap(gt_bbox, gt_class_id, gt_mask, r["rois"], r["class_ids"], r["scores"], r['masks'])
        APs.append(AP)
    return mean(APs)


def plot_actual_and_predicted(dataset, model, cfg, rows=2):
    for i in range(rows):
        image = dataset.load_image(i)
        mask, _ = dataset.load_mask(i)
        found = model.detect(expand_dims(mold_image(image, cfg), 0), verbose=0)[0]
        pyplot.subplot(rows, 2, 2 * i + 1)
        pyplot.imshow(image)
        for j in range(mask.shape[2]):
            pyplot.imshow(mask[:, :, j], cmap='gray', alpha=0.3)
        pyplot.subplot(rows, 2, 2 * i + 2)
        pyplot.imshow(image)
        for y1, x1, y2, x2 in found['rois']:
            pyplot.gca().add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, color='red'))
    pyplot.savefig('actual_and_predicted.png')


sets = {}
for name, is_train in (('train', True), ('test', False)):
    sets[name] = KangarooDataset()
    sets[name].load_dataset('kangaroo', is_train=is_train)
    sets[name].prepare()
cfg = PredictionConfig()
model = MaskRCNN(mode='inference', model_dir='./', config=cfg)
model.load_weights(sorted(glob.glob('kangaroo_cfg*/mask_rcnn_kangaroo_cfg_0002.h5'))[-1], by_name=True)
print("Train mAP: %.3f" % evaluate_model(sets['train'], model, cfg))
print("Test mAP: %.3f" % evaluate_model(sets['test'], model, cfg))
plot_actual_and_predicted(sets['train'], model, cfg)
