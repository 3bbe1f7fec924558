"""Colours of instances: RGB tuples in [0, 1]."""

import colorsys
import random

# Ten that are told apart at a glance on bright and on dark images, for most data sets have few classes. Each of the
# others is the bright, saturated colour that lies farthest (CIEDE2000) from all before it: no two are nearer than 7.8.
PALETTE = tuple(tuple(part / 255 for part in bytes.fromhex(code)) for code in """
    1f8fff ff661a 26d94c f240d9 ffd11a 1ae0e0 9959ff ff3340 a6f226 ff8cb2
    87782d 0f8769 c3b4ff 4b9600 00c3ff ffb478 b4b469 a5693c d24b78 96ffd2
    c38700 f09687 00c396 9669a5 ff96ff 8787d2 e1f0a5 69a569 a59600 f0f04b
    87b400 87b4ff 96d296 4b69ff c387c3 ffa500 d24b1e d2874b ffe196 c387ff
    96ff96 00a596 c36969 ff5a78 87964b ff4ba5 c3c300 4b874b 4be1ff e1b45a
    d2785a c34ba5 c32de1 ff8700 00b41e 00ff0f b4d25a 00a5f0 00f0a5 00f0d2
    b469d2 c36900 0087c3 d27896 ff9669 6987ff 4b78c3 f01e5a b4964b 3cc3b4
    1ec3d2 788700 f0b4f0 7869d2 00a578 a5782d ff78d2 ff694b 87b45a 78d20f
    00c369 d2b41e ff0000 e1d269 a596ff ff69ff d269b4 8778ff f00096 78ffff
""".split())

BACKGROUND_COLOR = (0.6, 0.6, 0.6)


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
    """The colour that stands for a class in every picture: tuple (red, green, blue) in [0, 1].

    The first 90 classes have colours of their own, later ones share them; the background is grey.
    """
    class_id = int(class_id)
    return PALETTE[(class_id - 1) % len(PALETTE)] if class_id > 0 else BACKGROUND_COLOR


def instance_colors(colors, class_ids):
    """One colour for each instance.

    Args:
        colors: None, an empty list or "class": the fixed colour of the class; "instance": a different one for each
            instance; dict {class id: colour}, the others fixed; or a list with a colour for each instance.
        class_ids: [N] integers.

    Returns:
        list of N tuples (red, green, blue) in [0, 1]; given colours may have an opacity as a fourth part.

    Raises:
        ValueError: an unknown word, a list shorter than `class_ids`, or a colour that is no such tuple.
    """
    class_ids = [int(class_id) for class_id in class_ids]
    if isinstance(colors, str):
        if colors not in ("class", "instance"):
            raise ValueError(f'colors is {colors!r}; expected "class", "instance", a list or a dict')
        return [class_color(key) for key in (class_ids if colors == "class" else range(1, len(class_ids) + 1))]
    if colors is None or len(colors) == 0:
        return [class_color(class_id) for class_id in class_ids]
    if isinstance(colors, dict):
        return [_checked(colors[key], f"colors[{key}]") if key in colors else class_color(key) for key in class_ids]
    if len(colors) < len(class_ids):
        raise ValueError(f"colors has {len(colors)} entries for {len(class_ids)} instances; give one each, "
                         "or a dict {class id: colour}")
    return [_checked(colors[i], f"colors[{i}]") for i in range(len(class_ids))]


def _checked(color, label):
    """A user's colour as a tuple of floats."""
    try:
        parts = tuple(float(part) for part in color)
    except (TypeError, ValueError):
        parts = ()
    if len(parts) not in (3, 4) or not all(0 <= part <= 1 for part in parts):
        raise ValueError(f"{label} is {color!r}; expected (red, green, blue), each from 0 to 1 (divide 0..255 by 255)")
    return parts


def text_color(background):
    """Black or white, whichever is legible on an RGB colour in [0, 1]."""
    return (0.0, 0.0, 0.0) if _brightness(background) > 0.5 else (1.0, 1.0, 1.0)


def _brightness(color):
    """Perceived brightness of an RGB colour, in [0, 1] (ITU-R BT.601)."""
    return 0.299 * color[0] + 0.587 * color[1] + 0.114 * color[2]
