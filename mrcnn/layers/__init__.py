"""Keras layers without weights: anchors, proposals, targets, region pooling, detections.

They take plain numbers, never a `Config`; shapes are static, padding rows are zeros; box arithmetic is
float32 under every precision policy.
"""
