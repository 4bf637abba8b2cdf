"""Draw images with their ground truth and the detections of several models side by side."""

import argparse
import json
import pickle
from pathlib import Path

from PIL import Image, ImageDraw

SCALE = 3  # enlarges small images, so that labels can be read
COLOURS = {'r': (214, 39, 40), 'c': (255, 152, 0), 'f': (44, 160, 44)}


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog='Boxes are red for rare, orange for common and green for '
        'frequent categories.')
    parser.add_argument('ann_file', type=Path, help='LVIS annotations')
    parser.add_argument('img_dir', type=Path, help='folder that the file names start from')
    parser.add_argument('predictions', nargs='+', metavar='NAME=FILE.pkl',
                        help='pickles of tools/test.py --out; a pickle can run any code, '
                        'so take only files of your own')
    parser.add_argument('--out', type=Path, required=True, help='folder for the pictures')
    parser.add_argument('--num', type=int, default=6, help='number of images')
    parser.add_argument('--score-thr', type=float, default=0.1,
                        help='detections with a lower score are not drawn')
    return parser.parse_args()


def choose_images(annotations: dict, num: int) -> list[int]:
    """Return the ids of the images with most rare objects; of equals the first."""
    rare = {category['id'] for category in annotations['categories']
            if category['frequency'] == 'r'}
    counts = {image['id']: 0 for image in annotations['images']}
    for annotation in annotations['annotations']:
        counts[annotation['image_id']] += annotation['category_id'] in rare
    return sorted(counts, key=lambda image_id: (-counts[image_id], image_id))[:num]


def draw_panel(image: Image.Image, title: str, boxes: list[tuple]) -> Image.Image:
    """Return the enlarged image with a title and boxes.

    Args:
        image: the original.
        title: text above it.
        boxes: (x1, y1, x2, y2 in pixels of the original, label, colour) each.
    """
    image = image.resize((image.width * SCALE, image.height * SCALE))
    panel = Image.new('RGB', (image.width, image.height + 16), 'white')
    panel.paste(image, (0, 16))
    draw = ImageDraw.Draw(panel)
    draw.text((4, 2), title, fill='black')
    for *box, label, colour in boxes:
        x1, y1, x2, y2 = (value * SCALE for value in box)
        draw.rectangle((x1, y1 + 16, x2, y2 + 16), outline=colour, width=2)
        draw.rectangle(draw.textbbox((x1 + 3, y1 + 18), label), fill='white')
        draw.text((x1 + 3, y1 + 18), label, fill=colour)
    return panel


def main() -> None:
    """Draw."""
    args = parse_args()
    annotations = json.loads(args.ann_file.read_text())
    categories = annotations['categories']  # a label is the position of its category here
    by_id = {category['id']: category for category in categories}
    images = {image['id']: image for image in annotations['images']}
    chosen = choose_images(annotations, args.num)

    def labelled(box: list[float], category: dict, score: str = '') -> tuple:
        return (*box, category['name'] + score, COLOURS[category['frequency']])

    panels = {image_id: {'ground truth': []} for image_id in chosen}
    for annotation in annotations['annotations']:
        if annotation['image_id'] in panels:
            x, y, w, h = annotation['bbox']
            panels[annotation['image_id']]['ground truth'].append(
                labelled([x, y, x + w, y + h], by_id[annotation['category_id']]))
    for argument in args.predictions:
        name, _, path = argument.partition('=')
        with open(path, 'rb') as file:
            samples = pickle.load(file)
        for sample in samples:
            if sample['img_id'] in panels:
                found = sample['pred_instances']
                panels[sample['img_id']][name] = [
                    labelled(box, categories[label], f' {score:.2f}') for box, label, score in zip(
                        found['bboxes'].tolist(), found['labels'].tolist(),
                        found['scores'].tolist(), strict=True) if score >= args.score_thr
                ]

    args.out.mkdir(parents=True, exist_ok=True)
    for image_id, columns in panels.items():
        image = images[image_id]
        name = image.get('file_name') or '/'.join(image['coco_url'].split('/')[-2:])
        original = Image.open(args.img_dir / name).convert('RGB')
        drawn = [draw_panel(original, title, boxes) for title, boxes in columns.items()]
        picture = Image.new('RGB', (sum(panel.width for panel in drawn), drawn[0].height))
        offset = 0
        for panel in drawn:
            picture.paste(panel, (offset, 0))
            offset += panel.width
        picture.save(args.out / f'{image_id}.png')
    print(f'{len(panels)} pictures in {args.out}')


if __name__ == '__main__':
    main()
