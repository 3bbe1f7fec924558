"""COCO's instance segmentation data, 2014 and 2017."""
