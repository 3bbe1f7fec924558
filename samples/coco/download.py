"""Downloading and unpacking COCO's images and annotations."""

import shutil
import tarfile
import zipfile

from mrcnn.engine.downloads import fetch

SERVER = "http://images.cocodataset.org"
MINIVAL_URL = "https://dl.fbaipublicfiles.com/detectron/coco/coco_annotations_minival.tgz"


def download_coco(folder, subset, year, kind="instances"):
    """Download and unpack into `folder` (a `Path`) what is missing of a subset.

    Args:
        folder: where `annotations` and the image folders go.
        subset: "train", "val", "minival" or "valminusminival".
        year: "2014" or "2017".
        kind: of annotations, "instances" or "person_keypoints".

    Raises:
        ConnectionError: names every address, so that it can be fetched by other means.
        ValueError: an archive is damaged.
    """
    images = f"{'train' if subset == 'train' else 'val'}{year}"
    annotations = f"annotations/{kind}_{subset}{year}.json"
    wanted = {images: f"{SERVER}/zips/{images}.zip",
              annotations: MINIVAL_URL if "minival" in subset else
              f"{SERVER}/annotations/annotations_trainval{year}.zip"}
    missing = {part: url for part, url in wanted.items() if not (folder / part).exists()}
    for part, url in missing.items():
        try:
            archive = fetch(url, folder / url.rsplit("/", 1)[1])
        except ConnectionError as error:
            raise ConnectionError(f"{error}\nCOCO {subset}{year} needs these archives, unpacked in {folder}: "
                                  + ", ".join(missing.values())) from error
        print(f"Unpacking {archive}")
        unpack(archive, folder, images if part == images else None)
        print(f"{archive} is no longer needed")


def unpack(archive, folder, images):
    """Unpack an archive beside its goal, then move into `folder` the directory `images`, or the annotations.

    Moving last keeps an interrupted run from leaving a half-filled folder that looks complete.
    """
    temporary = folder / f".unpacking_{archive.name}"
    try:
        if archive.suffix == ".zip":
            with zipfile.ZipFile(archive) as source:
                source.extractall(temporary)
        else:
            with tarfile.open(archive) as source:
                source.extractall(temporary, filter="data")
    except (zipfile.BadZipFile, tarfile.TarError, EOFError) as error:
        raise ValueError(f"Archive {archive} is damaged ({error}): delete it and start again.") from error
    if images:
        (temporary / images).rename(folder / images)
    else:
        (folder / "annotations").mkdir(exist_ok=True)
        for kind in ("instances", "person_keypoints"):
            for path in temporary.rglob(f"{kind}_*.json"):
                path.replace(folder / "annotations" / path.name)
    shutil.rmtree(temporary)
