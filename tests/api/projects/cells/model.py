"""python model.py train FOLDER VAL_FOLDER
python model.py predict FOLDER"""
import csv
import os
import sys
import numpy as np
import keras
import matplotlib
matplotlib.use("Agg")
import matplotlib.pyplot as plt
from skimage import io
from mrcnn import utils as mrcnn_utils
from mrcnn import visualize
from mrcnn.model import MaskRCNN, load_image_gt
from config import CellConfig
from dataset import CellDataset

EXCLUDE = ["mrcnn_class_logits", "mrcnn_bbox_fc", "mrcnn_bbox", "mrcnn_mask", "rpn_model"]


def train(folder, val_folder):
    config = CellConfig(epoch_steps=2)
    train_set, val_set = CellDataset(folder), CellDataset(val_folder)
    config.VALIDATION_STEPS = len(val_set.image_ids) // (config.BATCH_SIZE * 8)
    model = MaskRCNN("training", config, "models")
    model.load_weights("mask_rcnn_coco.h5", by_name=True, exclude=EXCLUDE)
    os.makedirs("best", exist_ok=True)
    callbacks = [
        keras.callbacks.ModelCheckpoint("best/best.h5", monitor="val_loss", save_best_only=True,
                                        save_weights_only=True, verbose=1),
        keras.callbacks.EarlyStopping(monitor="val_loss", patience=10),
        keras.callbacks.ReduceLROnPlateau(monitor="val_loss", factor=0.5, patience=5),
        keras.callbacks.CSVLogger("training.csv"),
    ]
    model.train(train_set, val_set, config.LEARNING_RATE, 2, r"(mrcnn\_.*)|(rpn\_.*)|(fpn\_.*)",
                custom_callbacks=callbacks)
    history = model.keras_model.history.history
    for key in ["loss", "rpn_class_loss", "rpn_bbox_loss", "mrcnn_class_loss", "mrcnn_bbox_loss", "mrcnn_mask_loss"]:
        plt.plot(history[key], label=key)
        plt.plot(history["val_" + key], label="val_" + key)
    plt.legend()
    plt.savefig("losses.png")


def predict(folder):
    config = CellConfig()
    config.GPU_COUNT = 1
    config.IMAGES_PER_GPU = 1
    config.BATCH_SIZE = 1
    config.POST_NMS_ROIS_INFERENCE = 500
    model = MaskRCNN(mode="inference", model_dir="models", config=config)
    model.keras_model.load_weights("best/best.h5", by_name=True)
    data = CellDataset(folder)
    rows = []
    for i in data.image_ids:
        image, _, gt_ids, gt_boxes, gt_masks = load_image_gt(data, config, i)
        r = model.detect([image])[0]
        ap = mrcnn_utils.compute_ap_range(gt_boxes, gt_ids, gt_masks, r["rois"], r["class_ids"], r["scores"],
                                          r["masks"], verbose=1)
        fig, ax = plt.subplots(1, figsize=(6, 6))
        visualize.display_differences(image, gt_boxes, gt_ids, gt_masks, r["rois"], r["class_ids"], r["scores"],
                                      r["masks"], data.class_names, ax=ax, show_box=False, show_mask=False)
        fig.savefig("difference_%d.png" % i)
        plt.close(fig)

        whole = model.detect([data.load_image(i)])[0]
        label = np.zeros(whole["masks"].shape[:2], dtype=np.uint16)
        for n in range(whole["masks"].shape[-1])[::-1]:
            label[whole["masks"][:, :, n]] = n + 1
        io.imsave("label_%d.png" % i, label, check_contrast=False)
        area = whole["masks"].sum(axis=(0, 1)).tolist()
        rows.append([data.image_info[i]["id"], len(whole["scores"]), "%.3f" % ap, " ".join(map(str, area))])
    with open("cells.csv", "w", newline="") as f:
        w = csv.writer(f)
        w.writerow(["image", "cells", "AP", "areas"])
        w.writerows(rows)


if __name__ == "__main__":
    {"train": train, "predict": predict}[sys.argv[1]](*sys.argv[2:])
