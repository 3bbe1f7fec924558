"""Colours of instances: RGB tuples in [0, 1]."""

import colorsys
import random

# Neighbouring ids get hues far apart, whatever the number of classes.
GOLDEN_RATIO = 0.6180339887498949

LEAST_BRIGHTNESS = 0.4

# Most data sets have few classes: these are told apart at a glance, on bright and on dark images.
FIRST_COLORS = (
    (0.12, 0.56, 1.00), (1.00, 0.40, 0.10), (0.15, 0.85, 0.30), (0.95, 0.25, 0.85), (1.00, 0.82, 0.10),
    (0.10, 0.88, 0.88), (0.60, 0.35, 1.00), (1.00, 0.20, 0.25), (0.65, 0.95, 0.15), (1.00, 0.55, 0.70),
)


def random_colors(N, bright=True):
    """N clearly different colours in random order.

    Args:
        N: number of colours.
        bright: full brightness; False gives darker colours.

    Returns:
        list of N tuples (red, green, blue) in [0, 1].
    """
    value = 1.0 if bright else 0.7
    colors = [colorsys.hsv_to_rgb(i / N, 1.0, value) for i in range(N)]
    random.shuffle(colors)
    return colors


def class_color(class_id):
    """The colour that stands for a class in every picture: tuple (red, green, blue) in [0, 1]."""
    class_id = int(class_id)
    if 0 < class_id <= len(FIRST_COLORS):
        return FIRST_COLORS[class_id - 1]
    saturation, value = ((1.0, 1.0), (0.6, 1.0), (0.9, 0.85))[class_id % 3]
    color = colorsys.hsv_to_rgb(class_id * GOLDEN_RATIO % 1.0, saturation, value)
    # Pure blue is too dark for an outline: white is mixed in up to a least brightness.
    white = max(0.0, (LEAST_BRIGHTNESS - _brightness(color)) / (1.0 - _brightness(color)))
    return tuple(part + white * (1.0 - part) for part in color)


def instance_colors(colors, class_ids):
    """One colour for each instance.

    Args:
        colors: None or "class": the fixed colour of the class; "instance": a different one for each instance;
            dict {class id: colour}, the others fixed; or a list with a colour for each instance.
        class_ids: [N] integers.

    Returns:
        list of N tuples (red, green, blue) in [0, 1].

    Raises:
        ValueError: an unknown word, or a list shorter than `class_ids`.
    """
    class_ids = [int(class_id) for class_id in class_ids]
    if colors is None or isinstance(colors, dict):
        return [(colors or {}).get(class_id) or class_color(class_id) for class_id in class_ids]
    if isinstance(colors, str):
        if colors not in ("class", "instance"):
            raise ValueError(f'colors is {colors!r}; expected "class", "instance", a list or a dict')
        return [class_color(key) for key in (class_ids if colors == "class" else range(len(class_ids)))]
    if len(colors) < len(class_ids):
        raise ValueError(f"colors has {len(colors)} entries for {len(class_ids)} instances; give one each, "
                         "or a dict {class id: colour}")
    return [tuple(float(part) for part in color) for color in colors[:len(class_ids)]]


def text_color(background):
    """Black or white, whichever is legible on an RGB colour in [0, 1]."""
    return (0.0, 0.0, 0.0) if _brightness(background) > 0.55 else (1.0, 1.0, 1.0)


def _brightness(color):
    """Perceived brightness of an RGB colour, in [0, 1] (ITU-R BT.601)."""
    return 0.299 * color[0] + 0.587 * color[1] + 0.114 * color[2]
