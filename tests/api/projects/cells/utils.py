import glob
import os


def numbers_in(folder):
    return sorted(int(os.path.basename(p)[:-4]) for p in glob.glob(os.path.join(folder, "img", "*.tif")))
