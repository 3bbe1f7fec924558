"""Pictures of ellipses and rectangles with their objects, written in the annotation formats that projects read."""

import csv
import json
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from skimage.io import imsave

NAMES = ("round", "square")


class Thing(NamedTuple):
    """One object: its class (index into `NAMES`), outline [points, (x, y)] and mask [H, W] bool."""

    kind: int
    outline: np.ndarray
    mask: np.ndarray

    @property
    def box(self):
        """(xmin, ymin, xmax, ymax), the last two inside."""
        ys, xs = np.nonzero(self.mask)
        return int(xs.min()), int(ys.min()), int(xs.max()), int(ys.max())


def draw(seed, height=72, width=96, count=2):
    """An image [H, W, 3] uint8 with `count` objects that do not touch, and the list of them."""
    rng = np.random.default_rng(seed)
    image = rng.integers(90, 130, (height, width, 3)).astype(np.uint8)
    things, column = [], width // count
    for place in range(count):
        kind = int(rng.integers(2))
        radius = int(rng.integers(column // 4, column // 2 - 3))
        x = place * column + column // 2
        y = int(rng.integers(radius + 2, height - radius - 2))
        if kind == 0:
            angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
            outline = np.stack([x + radius * np.cos(angles), y + 0.7 * radius * np.sin(angles)], axis=1)
        else:
            half = 0.8 * radius
            outline = np.array([[x - half, y - half], [x + half, y - half], [x + half, y + half], [x - half, y + half]])
        outline = np.rint(outline).astype(int)
        mask = cv2.fillPoly(np.zeros((height, width), np.uint8), [outline], 1).astype(bool)
        image[mask] = [(220, 60, 40), (40, 60, 220)][kind]
        things.append(Thing(kind, outline, mask))
    return image, things


def save(path, image):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    imsave(path, image, check_contrast=False)


def write_voc(folder, count):
    """images/00001.jpg ... with annots/00001.xml ..."""
    for number in range(1, count + 1):
        image, things = draw(number)
        save(folder / "images" / f"{number:05d}.jpg", image)
        objects = "".join(
            f"<object><name>kangaroo</name><bndbox><xmin>{t.box[0]}</xmin><ymin>{t.box[1]}</ymin>"
            f"<xmax>{t.box[2]}</xmax><ymax>{t.box[3]}</ymax></bndbox></object>" for t in things)
        path = folder / "annots" / f"{number:05d}.xml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"<annotation><size><width>96</width><height>72</height><depth>3</depth></size>{objects}"
                        "</annotation>")


def write_via(folder, first, count, version):
    """Pictures with via_region_data.json of VIA 1 (regions in a dict) or 2 (in a list)."""
    annotations = {}
    for number in range(first, first + count):
        image, things = draw(number)
        save(folder / f"{number}.jpg", image)
        regions = [
            {"shape_attributes": {"name": "polygon", "all_points_x": t.outline[:, 0].tolist(),
                                  "all_points_y": t.outline[:, 1].tolist()}, "region_attributes": {}} for t in things]
        annotations[f"{number}.jpg{number * 100}"] = {
            "fileref": "", "size": number * 100, "filename": f"{number}.jpg", "base64_img_data": "",
            "file_attributes": {},
            "regions": {str(i): region for i, region in enumerate(regions)} if version == 1 else regions}
    # A picture that was opened in the tool and not annotated.
    annotations["empty.jpg1"] = {"filename": "empty.jpg", "size": 1, "regions": {} if version == 1 else [],
                                 "file_attributes": {}}
    (folder / "via_region_data.json").write_text(json.dumps(annotations))


def write_video(path, frames):
    """A motion JPEG of drawn pictures."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 5, (96, 72))
    for number in range(frames):
        writer.write(draw(number)[0][..., ::-1])
    writer.release()


def write_mask_folders(folder, count, masks=True):
    """<id>/images/<id>.png and, an object each, <id>/masks/*.png."""
    for number in range(count):
        image, things = draw(number, 96, 96, 3)
        name = f"{number:08x}"
        # Data Science Bowl's pictures have an alpha channel.
        save(folder / name / "images" / f"{name}.png", np.dstack([image, np.full((96, 96), 255, np.uint8)]))
        for index, thing in enumerate(things if masks else ()):
            save(folder / name / "masks" / f"{index}.png", thing.mask.astype(np.uint8) * 255)


def write_coco(folder, first, count):
    """images/*.jpg and coco_annotations.json with polygons."""
    images, annotations = [], []
    for number in range(first, first + count):
        image, things = draw(number)
        save(folder / "images" / f"{number:08d}.jpg", image)
        images.append({"id": number, "file_name": f"{number:08d}.jpg", "width": 96, "height": 72, "license": 1})
        for thing in things:
            x1, y1, x2, y2 = thing.box
            annotations.append({
                "id": len(annotations), "image_id": number, "category_id": thing.kind + 1, "iscrowd": 0,
                "segmentation": [thing.outline.ravel().astype(float).tolist()], "area": float(thing.mask.sum()),
                "bbox": [x1, y1, x2 - x1, y2 - y1]})
    content = {"info": {}, "licenses": [], "images": images, "annotations": annotations,
               "categories": [{"id": i + 1, "name": name, "supercategory": "litter"} for i, name in enumerate(NAMES)]}
    (folder / "coco_annotations.json").write_text(json.dumps(content))


def write_labelme_folders(folder, count):
    """pic/<n>.png, cv2_mask/<n>.png and labelme_json/<n>_json/{img.png, label.png, info.yaml}."""
    import yaml

    for number in range(count):
        image, things = draw(number)
        label = np.zeros(image.shape[:2], np.uint8)
        for index, thing in enumerate(things, 1):
            label[thing.mask] = index
        for path in (f"pic/{number}.png", f"labelme_json/{number}_json/img.png"):
            save(folder / path, image)
        for path in (f"cv2_mask/{number}.png", f"labelme_json/{number}_json/label.png"):
            save(folder / path, label)
        names = ["_background_"] + [f"{NAMES[thing.kind]}_{index}" for index, thing in enumerate(things)]
        (folder / f"labelme_json/{number}_json/info.yaml").write_text(yaml.safe_dump({"label_names": names}))


def write_deep_cells(folder, first, count):
    """img/<n>.tif of 16 bit grey and label/<n>.png, 16 bit, a number an object."""
    for number in range(first, first + count):
        image, things = draw(number, 96, 96, 4)
        save(folder / "img" / f"{number}.tif", image[..., 0].astype(np.uint16) * 200)
        label = np.zeros(image.shape[:2], np.uint16)
        for index, thing in enumerate(things):
            label[thing.mask] = 300 + index
        save(folder / "label" / f"{number}.png", label)


def write_pixel_lists(folder, count):
    """<n>.png of 8 bit grey and train.csv: a row an object with its class and 'start length' pairs by columns."""
    with open(folder / "train.csv", "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["ImageId", "EncodedPixels", "ClassId"])
        for number in range(count):
            image, things = draw(number)
            save(folder / f"{number}.png", image[..., 0])
            for thing in things:
                flat = np.concatenate([[0], thing.mask.T.ravel(), [0]]).astype(int)
                starts, ends = (np.flatnonzero(np.diff(flat) == step) for step in (1, -1))
                pairs = " ".join(f"{s + 1} {e - s}" for s, e in zip(starts, ends, strict=True))
                table.writerow([f"{number}.png", pairs, thing.kind + 1])


def write_labelme(folder, first, count):
    """<n>.png with labelme's <n>.json (polygons and rectangles) and <n>_depth.png of 16 bit."""
    for number in range(first, first + count):
        image, things = draw(number)
        save(folder / f"{number}.png", image)
        save(folder / f"{number}_depth.png", image[..., 1].astype(np.uint16) * 10)
        shapes = []
        for thing in things:
            x1, y1, x2, y2 = thing.box
            points = thing.outline.tolist() if thing.kind == 0 else [[x1, y1], [x2, y2]]
            shapes.append({"label": NAMES[thing.kind], "points": points, "group_id": None, "flags": {},
                           "shape_type": "polygon" if thing.kind == 0 else "rectangle"})
        (folder / f"{number}.json").write_text(json.dumps({
            "version": "4.5.6", "flags": {}, "shapes": shapes, "imagePath": f"{number}.png", "imageData": None,
            "imageHeight": 72, "imageWidth": 96}))
