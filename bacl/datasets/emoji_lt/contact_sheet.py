"""A picture of samples, to judge a dataset by eye."""
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw

COLOURS = {'r': (230, 40, 40), 'c': (250, 190, 30), 'f': (40, 190, 80)}
_NUM_COLUMNS = 6
_GAP = 4


def draw_contact_sheet(root: Path, dataset: dict, num_images: int = 24) -> Image.Image:
    """Draw images of a dataset with their boxes, coloured by frequency group.

    Rare categories are red, common ones yellow, frequent ones green. Every group gets as many
    images that show one of its categories.

    Args:
        root: folder that the file names of the images are relative to.
        dataset: content of an annotation file.
        num_images: how many images, at most.
    """
    frequency = {category['id']: category['frequency'] for category in dataset['categories']}
    boxes = {image['id']: [] for image in dataset['images']}
    for annotation in dataset['annotations']:
        boxes[annotation['image_id']].append(
            (annotation['bbox'], frequency[annotation['category_id']]))
    chosen = choose_images({image_id: {group for _, group in image_boxes}
                            for image_id, image_boxes in boxes.items()}, num_images)
    tiles = [draw_boxes(root / image['file_name'], boxes[image['id']])
             for image in dataset['images'] if image['id'] in chosen]
    width, height = (side + _GAP for side in tiles[0].size)
    num_rows = -(-len(tiles) // _NUM_COLUMNS)
    sheet = Image.new('RGB', (_NUM_COLUMNS * width, num_rows * height), 'white')
    for index, tile in enumerate(tiles):
        sheet.paste(tile, (index % _NUM_COLUMNS * width, index // _NUM_COLUMNS * height))
    return sheet


def choose_images(groups_of_images: dict[int, set[str]], num_images: int) -> set[int]:
    """Choose as many images of each frequency group, from the whole list.

    Args:
        groups_of_images: the groups that an image shows, per image id.
        num_images: how many images, at most.
    """
    chosen: set[int] = set()
    for group in COLOURS:
        candidates = [image_id for image_id, groups in groups_of_images.items()
                      if group in groups and image_id not in chosen]
        step = max(len(candidates) * len(COLOURS) // num_images, 1)
        chosen.update(candidates[::step][:num_images // len(COLOURS)])
    return chosen


def draw_boxes(file: Path, boxes: Sequence[tuple[Sequence[int], str]]) -> Image.Image:
    """Draw (xywh, frequency group) boxes on an image, enlarged twofold for the eye."""
    with Image.open(file) as image:
        tile = image.resize((2 * image.width, 2 * image.height), Image.Resampling.BILINEAR)
    draw = ImageDraw.Draw(tile)
    for (left, top, width, height), group in boxes:
        draw.rectangle((2 * left, 2 * top, 2 * (left + width) - 1, 2 * (top + height) - 1),
                       outline=COLOURS[group], width=2)
    return tile
