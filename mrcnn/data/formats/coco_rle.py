"""COCO's run lengths: telling sound ones from broken ones, which pycocotools decodes without looking."""


def check_rle(annotation, shape, path):
    """Raise ValueError, naming the annotation, unless its RLE is sound and covers the image `shape` (H, W).

    A wrong RLE would give a garbled mask, or none, hours later.
    """
    rle, size = annotation["segmentation"], list(shape)
    where = f"{path}: annotation {annotation['id']} of image {annotation['image_id']} has a bad RLE"
    if rle.get("size") != size or not isinstance(rle.get("counts"), list | str):
        raise ValueError(f"{where}: expected 'counts' (list or text) and 'size' {size}, the image's height "
                         f"and width, got size {rle.get('size')}.")
    try:
        counts = rle["counts"] if isinstance(rle["counts"], list) else rle_counts(rle["counts"])
        sound = all(count >= 0 and count % 1 == 0 for count in counts)
    except (IndexError, TypeError, ValueError) as error:
        raise ValueError(f"{where}: its counts cannot be decoded ({error}).") from error
    if not sound or sum(counts) != size[0] * size[1]:
        raise ValueError(f"{where}: its run lengths must be whole numbers, none negative, and add up to "
                         f"{size[0] * size[1]}.")


def rle_counts(text):
    """Run lengths of COCO's compressed form: six bits a character, from the fourth run on as differences."""
    counts, position = [], 0
    while position < len(text):
        value, shift, more = 0, 0, True
        while more:
            code = ord(text[position]) - 48
            if not 0 <= code < 64:
                raise ValueError(f"character {text[position]!r} at position {position}")
            value |= (code & 31) << shift
            shift, position, more = shift + 5, position + 1, bool(code & 32)
        if code & 16:
            value -= 1 << shift
        counts.append(value + counts[-2] if len(counts) > 2 else value)
    return counts
