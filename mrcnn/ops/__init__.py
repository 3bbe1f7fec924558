"""Pure functions on tensors, written with `keras.ops`: no layer, no configuration, static shapes.

Shape letters: B batch, N and M boxes of any kind, A anchors, P proposals, R sampled rois, G ground-truth
slots, L pyramid levels, h w feature map. Boxes are `(y1, x1, y2, x2)`, float32; normalised unless the name
ends in `_px`.
"""
