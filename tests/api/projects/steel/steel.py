# Defects of steel from run lengths in a csv, one grey channel; with a look at every stage as in the notebooks.
import os
import csv
import random
import numpy as np
import tensorflow as tf
import matplotlib
import matplotlib.pyplot as plt
from skimage.io import imread
import mrcnn
import mrcnn.config
import mrcnn.model
import mrcnn.utils
import mrcnn.visualize

modellib = mrcnn.model
utils = mrcnn.utils
visualize = mrcnn.visualize


class SteelConfig(mrcnn.config.Config):
    NAME = 'steel'
    IMAGES_PER_GPU = 2
    NUM_CLASSES = 1 + 2
    BACKBONE = "resnet50"
    IMAGE_CHANNEL_COUNT = 1
    MEAN_PIXEL = np.array([110.44])
    IMAGE_MIN_DIM = 64
    IMAGE_MAX_DIM = 64
    RPN_ANCHOR_SCALES = (8, 16, 32, 64, 128)
    STEPS_PER_EPOCH = 2
    VALIDATION_STEPS = 1
    TRAIN_ROIS_PER_IMAGE = 50
    GPU_COUNT = 1


class SteelDataset(utils.Dataset):
    def load_csv(self, path, first, last):
        for number, name in enumerate(["scratch", "hole, round"]):
            self.add_class("steel", number + 1, name)
        objects = {}
        with open(path) as f:
            for row in csv.DictReader(f):
                objects.setdefault(row["ImageId"], []).append((row["EncodedPixels"], int(row["ClassId"])))
        for name in list(objects)[first:last]:
            self.add_image("steel", name, os.path.join(os.path.dirname(path), name), r_object=objects[name])

    def load_image(self, image_id):
        return imread(self.image_info[image_id]["path"])[..., np.newaxis]

    def load_mask(self, image_id):
        h, w = self.load_image(image_id).shape[:2]
        masks, ids = [], []
        for pixels, class_id in self.image_info[image_id]["r_object"]:
            flat = np.zeros(h * w)
            pairs = np.array(pixels.split(), dtype=int).reshape(-1, 2)
            for start, length in pairs:
                flat[start - 1:start - 1 + length] = 1
            masks.append(flat.reshape(w, h).T)
            ids.append(class_id)
        return np.stack(masks, -1), np.array(ids)


config = SteelConfig()
config.display()
dataset = SteelDataset()
dataset.load_csv("steel/train.csv", 0, 6)
dataset.prepare()
val = SteelDataset()
val.load_csv("steel/train.csv", 6, 8)
val.prepare()
print("Image Count: {}".format(len(dataset.image_ids)))
print("Class Count: {}".format(dataset.num_classes))
for i, info in enumerate(dataset.class_info):
    print("{:3}. {:50}".format(i, info['name']))

# --- the data
image_ids = np.random.choice(dataset.image_ids, 3)
for image_id in image_ids:
    image = dataset.load_image(image_id)
    mask, class_ids = dataset.load_mask(image_id)
    bbox = utils.extract_bboxes(mask)
    modellib.log("image", image)
    modellib.log("mask", mask)
    modellib.log("bbox", bbox)
    visualize.display_instances(np.repeat(image, 3, -1), bbox, mask, class_ids, dataset.class_names)
image, window, scale, padding, crop = utils.resize_image(
    image, min_dim=config.IMAGE_MIN_DIM, max_dim=config.IMAGE_MAX_DIM, mode=config.IMAGE_RESIZE_MODE)
mask = utils.resize_mask(mask, scale, padding, crop)
mini = utils.minimize_mask(utils.extract_bboxes(mask), mask, config.MINI_MASK_SHAPE)
back = utils.expand_mask(utils.extract_bboxes(mask), mini, image.shape)
print("mini masks keep {:.2f}".format((back & (mask > 0)).sum() / (mask > 0).sum()))
visualize.display_images([back[:, :, i] for i in range(min(back.shape[-1], 7))])

backbone_shapes = modellib.compute_backbone_shapes(config, config.IMAGE_SHAPE)
anchors = utils.generate_pyramid_anchors(config.RPN_ANCHOR_SCALES, config.RPN_ANCHOR_RATIOS, backbone_shapes,
                                         config.BACKBONE_STRIDES, config.RPN_ANCHOR_STRIDE)
print("anchors:", anchors.shape[0])

random_rois = 200
g = modellib.data_generator(dataset, config, shuffle=True, random_rois=random_rois, batch_size=4,
                            detection_targets=True)
[normalized_images, image_meta, rpn_match, rpn_bbox, gt_class_ids, gt_boxes, gt_masks, rpn_rois, rois], \
    [mrcnn_class_ids, mrcnn_bbox, mrcnn_mask] = next(g)
modellib.log("rois", rois)
modellib.log("mrcnn_class_ids", mrcnn_class_ids)
b = 0
sample_image = modellib.unmold_image(normalized_images[b], config)
positive_anchor_ids = np.where(rpn_match[b] == 1)[0]
refined = utils.apply_box_deltas(anchors[positive_anchor_ids],
                                 rpn_bbox[b, :len(positive_anchor_ids)] * config.RPN_BBOX_STD_DEV)
visualize.draw_boxes(np.repeat(sample_image, 3, -1), boxes=anchors[positive_anchor_ids], refined_boxes=refined)
mrcnn_class_ids = mrcnn_class_ids[:, :, 0]
bbox_specific = mrcnn_bbox[b, np.arange(mrcnn_bbox.shape[1]), mrcnn_class_ids[b], :]
refined_rois = utils.apply_box_deltas(rois[b].astype(np.float32), bbox_specific * config.BBOX_STD_DEV)
mask_specific = mrcnn_mask[b, np.arange(mrcnn_mask.shape[1]), :, :, mrcnn_class_ids[b]]
visualize.draw_rois(np.repeat(sample_image, 3, -1), rois[b], refined_rois, mask_specific, mrcnn_class_ids[b],
                    dataset.class_names, limit=5)
batch = modellib.DataGenerator(dataset, config, shuffle=True)[0]
print("generator:", len(batch[0]), "arrays")

# --- training, from weights of three channels
MODEL_DIR = os.path.abspath("logs")
model = modellib.MaskRCNN(mode="training", config=config, model_dir=MODEL_DIR)
model.load_weights("mask_rcnn_coco.h5", by_name=True, exclude=[
    "conv1", "mrcnn_class_logits", "mrcnn_bbox_fc", "mrcnn_bbox", "mrcnn_mask"])
model.train(dataset, val, learning_rate=config.LEARNING_RATE, epochs=1, layers='all')

# --- detection, stage by stage
class InferenceConfig(SteelConfig):
    IMAGES_PER_GPU = 1
    DETECTION_MIN_CONFIDENCE = 0

with tf.device("/cpu:0"):
    inspected = modellib.MaskRCNN(mode="inference", model_dir=MODEL_DIR, config=InferenceConfig())
weights_path = inspected.find_last()
print("Loading weights ", weights_path)
inspected.load_weights(weights_path, by_name=True)
config = inspected.config

image_id = random.choice(val.image_ids)
image, image_meta, gt_class_id, gt_bbox, gt_mask = modellib.load_image_gt(val, config, image_id, use_mini_mask=False)
info = val.image_info[image_id]
print("image ID: {}.{} ({}) {}".format(info["source"], info["id"], image_id, val.image_reference(image_id)))
results = inspected.detect_molded(np.expand_dims(modellib.mold_image(image, config), 0),
                                  np.expand_dims(image_meta, 0), verbose=1)
r = results[0]
modellib.log("gt_class_id", gt_class_id)
AP, precisions, recalls, overlaps = utils.compute_ap(gt_bbox, gt_class_id, gt_mask,
                                                     r['rois'], r['class_ids'], r['scores'], r['masks'])
visualize.plot_overlaps(gt_class_id, r['class_ids'], r['scores'], overlaps, val.class_names)

pillar = inspected.keras_model.get_layer("ROI").output
nms_node = inspected.ancestor(pillar, "ROI/rpn_non_max_suppression:0")
if nms_node is None:
    nms_node = inspected.ancestor(pillar, "ROI/rpn_non_max_suppression/NonMaxSuppressionV2:0")
rpn = inspected.run_graph([image], [
    ("rpn_class", inspected.keras_model.get_layer("rpn_class").output),
    ("pre_nms_anchors", inspected.ancestor(pillar, "ROI/pre_nms_anchors:0")),
    ("refined_anchors", inspected.ancestor(pillar, "ROI/refined_anchors:0")),
    ("refined_anchors_clipped", inspected.ancestor(pillar, "ROI/refined_anchors_clipped:0")),
    ("post_nms_anchor_ix", nms_node),
    ("proposals", inspected.keras_model.get_layer("ROI").output),
])
order = np.argsort(rpn['rpn_class'][:, :, 1].flatten())[::-1][:10]
visualize.draw_boxes(np.repeat(image, 3, -1), boxes=inspected.anchors[order], ax=plt.subplots(1)[1])
recall, positive_ids = utils.compute_recall(inspected.anchors, gt_bbox, 0.5)
print("anchors' recall %.2f" % recall)
proposals = utils.denorm_boxes(rpn["proposals"][0], image.shape[:2])
print("proposals' recall %.2f" % utils.compute_recall(proposals, gt_bbox, 0.5)[0])

stages = inspected.run_graph([image], [
    ("proposals", inspected.keras_model.get_layer("ROI").output),
    ("probs", inspected.keras_model.get_layer("mrcnn_class").output),
    ("deltas", inspected.keras_model.get_layer("mrcnn_bbox").output),
    ("masks", inspected.keras_model.get_layer("mrcnn_mask").output),
    ("detections", inspected.keras_model.get_layer("mrcnn_detection").output),
    ("res2c_out", inspected.keras_model.get_layer("res2c_out").output),
    ("roi_align_mask", inspected.keras_model.get_layer("roi_align_mask").output),
    ("input_image", inspected.keras_model.get_layer("input_image").output),
])
det_class_ids = stages['detections'][0, :, 4].astype(np.int32)
det_count = np.where(det_class_ids == 0)[0][0] if (det_class_ids == 0).any() else len(det_class_ids)
print("{} detections: {}".format(det_count, np.array(val.class_names)[det_class_ids[:det_count]]))
roi_class_ids = np.argmax(stages["probs"][0], axis=1)
roi_scores = stages["probs"][0, np.arange(roi_class_ids.shape[0]), roi_class_ids]
keep = utils.non_max_suppression(proposals.astype(float), roi_scores, 0.3)
print("kept", len(keep), "of", len(proposals))
visualize.display_images(np.transpose(stages["res2c_out"][0, :, :, :4], [2, 0, 1]), cols=4)
plt.savefig("activations.png")
visualize.display_weight_stats(inspected)
visualize.display_table([["AP"], ["{:.3f}".format(AP)]])
