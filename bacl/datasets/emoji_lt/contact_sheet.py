"""A picture of samples, to judge a dataset by eye."""
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

COLOURS = {'r': (230, 40, 40), 'c': (250, 190, 30), 'f': (40, 190, 80)}
_NUM_COLUMNS = 6
_GAP = 4


def draw_contact_sheet(root: Path, dataset: dict, num_images: int = 24) -> Image.Image:
    """Draw images of a dataset with their boxes, coloured by frequency group.

    Rare categories are red, common ones yellow, frequent ones green. Images are taken at equal
    distances from the whole list.

    Args:
        root: folder that the file names of the images are relative to.
        dataset: content of an annotation file.
        num_images: how many images, at most.
    """
    frequency = {category['id']: category['frequency'] for category in dataset['categories']}
    images = dataset['images']
    chosen = [images[index] for index in np.linspace(
        0, len(images) - 1, min(num_images, len(images)), dtype=int)]
    annotations = {image['id']: [] for image in chosen}
    for annotation in dataset['annotations']:
        if annotation['image_id'] in annotations:
            annotations[annotation['image_id']].append(annotation)

    tiles = [draw_boxes(root / image['file_name'],
                        [(a['bbox'], COLOURS[frequency[a['category_id']]])
                         for a in annotations[image['id']]]) for image in chosen]
    width, height = (side + _GAP for side in tiles[0].size)
    num_rows = -(-len(tiles) // _NUM_COLUMNS)
    sheet = Image.new('RGB', (_NUM_COLUMNS * width, num_rows * height), 'white')
    for index, tile in enumerate(tiles):
        sheet.paste(tile, (index % _NUM_COLUMNS * width, index // _NUM_COLUMNS * height))
    return sheet


def draw_boxes(file: Path,
               boxes: Sequence[tuple[Sequence[int], tuple[int, int, int]]]) -> Image.Image:
    """Draw (xywh, colour) boxes on an image, enlarged twofold for the eye."""
    with Image.open(file) as image:
        tile = image.resize((2 * image.width, 2 * image.height), Image.Resampling.BILINEAR)
    draw = ImageDraw.Draw(tile)
    for (left, top, width, height), colour in boxes:
        draw.rectangle((2 * left, 2 * top, 2 * (left + width) - 1, 2 * (top + height) - 1),
                       outline=colour, width=2)
    return tile
