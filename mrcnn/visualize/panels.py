"""Several images side by side."""

import numpy as np

from .figures import finish, new_axes
from .pixels import class_label, to_binary, to_rgb


def display_images(images, titles=None, cols=4, cmap=None, norm=None, interpolation=None, save_path=None):
    """Shows images in rows of `cols`.

    Args:
        images: sequence or [N, H, W(, C)] array. Colour images are shown as uint8; [H, W] arrays (masks,
            feature maps) in their own range, by the colour map.
        titles: a text for each; the rest stays without.
        cmap, norm, interpolation: handed to matplotlib's imshow.
        save_path: file to write instead of showing; its folders are created.

    Returns:
        the figure, left current for `plt.savefig`.
    """
    titles = [""] * len(images) if titles is None else list(titles)
    rows = max(1, -(-len(images) // cols))
    figure, axes = new_axes(rows, cols, figsize=(14, max(14 * rows / cols, 1)))
    for panel in axes.flat:
        panel.axis("off")
    for i, (panel, image) in enumerate(zip(axes.flat, images, strict=False)):
        image = np.asarray(image)
        panel.set_title(titles[i] if i < len(titles) else "", fontsize=9)
        flat = image.ndim == 2 or image.shape[-1] == 1
        shown = np.asarray(image.reshape(image.shape[:2]), dtype=float) if flat else to_rgb(image)
        # An empty and a full mask must not look alike.
        limits = {"vmin": 0, "vmax": 1} if image.dtype == bool and norm is None else {}
        panel.imshow(shown, cmap=cmap, norm=norm, interpolation=interpolation, **limits)
    figure.tight_layout()
    finish(figure, save_path, show=True)
    return figure


def display_top_masks(image, mask, class_ids, class_names, limit=4, save_path=None):
    """Shows the image and, for each of the classes with most pixels, its masks, every instance in another shade.

    Args:
        image: [H, W, C].
        mask: [H, W, N].
        class_ids: [N] integers; masks of class 0 or below are left out.
        class_names: list of names.
        limit: number of classes; panels without a class show a dash.
        save_path: file to write instead of showing; its folders are created.

    Returns:
        the figure.
    """
    masks, class_ids = to_binary(mask), np.asarray(class_ids).reshape(-1).astype(int)
    areas = {int(class_id): int(masks[..., class_ids == class_id].sum())
             for class_id in np.unique(class_ids) if class_id > 0}
    top = [class_id for class_id in sorted(areas, key=areas.get, reverse=True) if areas[class_id]][:limit]
    height, width = np.shape(image)[:2]
    panels, titles = [image], [f"H x W={height}x{width}"]
    for class_id in top:
        stack = masks[..., class_ids == class_id]
        panels.append(stack @ np.arange(1, stack.shape[-1] + 1))
        titles.append(class_label(class_names, class_id))
    panels += [np.zeros([height, width], dtype=bool)] * (limit - len(top))
    titles += ["-"] * (limit - len(top))
    return display_images(panels, titles=titles, cols=limit + 1, cmap="Blues_r", save_path=save_path)
