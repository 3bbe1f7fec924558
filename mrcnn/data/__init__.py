"""The host side: images, masks, boxes and batches in numpy, safe in threads."""
