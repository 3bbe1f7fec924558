"""Kaggle's score, measured while COCO's is."""

# Kaggle's score punishes every wrong detection, so only those count that are more likely right than wrong.
MIN_SCORE = 0.5


class KaggleScoring:
    """A model that also scores its confident detections by Kaggle's metric, so that each image is seen only once.

    `detect` must be given the images of `image_ids` in order; `.scores` has a number for each.
    """

    def __init__(self, model, dataset, image_ids):
        self.model, self.dataset = model, dataset
        self.image_ids = iter(image_ids)
        self.scores = []

    def __getattr__(self, name):
        return getattr(self.model, name)

    def detect(self, images, **options):
        """As `MaskRCNN.detect`."""
        from mrcnn.evaluation.kaggle import kaggle_score

        results = self.model.detect(images, **options)
        for result in results:
            truth, _ = self.dataset.load_mask(next(self.image_ids))
            self.scores.append(kaggle_score(truth, result["masks"][:, :, result["scores"] >= MIN_SCORE]))
        return results
