"""Ready-made programs that train, evaluate and run Mask R-CNN: shapes, coco, balloon and nucleus."""
