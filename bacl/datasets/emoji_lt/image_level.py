"""Pictures of single drawings with a class and without boxes, beside Emoji-LT.

What ImageNet-LVIS is to LVIS: more looks of the classes than the detection data show. A category of
which training shows a part of its styles is drawn in the others; a frequent one, of which it shows
all, in those. The style that only validation shows stays unseen here, too.
"""
import json
import os
from collections import Counter
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from ..json_files import digest_files, write_json
from .compose import compose_single
from .contact_sheet import draw_contact_sheet
from .folders import check_numbers, complete_folder
from .lvis_json import category_records
from .plan import IMAGE_LEVEL_STREAM, VAL_ONLY_VENDOR, Plan, PlannedObject, plan_dataset
from .presets import get_preset
from .render import JPEG_QUALITY, Progress, cached_drawing, cached_photographs, map_jobs
from .sources import Emoji

# To be raised with every change of what is built from the same preset and seed.
IMAGE_LEVEL_VERSION = 1
IMAGES_PER_CATEGORY = 12

ANNOTATION_FILE, IMAGE_FOLDER = 'emoji_lt_image_level.json', 'images'
CONTACT_SHEET, STAMP = 'contact_sheet.png', 'build.json'


@dataclass(frozen=True)
class ImageLevelSummary:
    """The outcome of a build.

    Attributes:
        preset: name of the preset.
        seed: of everything random.
        version: of the builder.
        num_images: number of pictures.
        num_categories: number of classes, each with as many pictures.
        num_new_styles: classes that are drawn in styles which training leaves out.
        digest: SHA-256 of the annotation file.
        out_dir: the folder of the dataset.
    """

    preset: str
    seed: int
    version: int
    num_images: int
    num_categories: int
    num_new_styles: int
    digest: str
    out_dir: Path

    @property
    def ann_file(self) -> Path:
        """Annotation file, in LVIS format with ``pos_category_ids`` and without annotations."""
        return self.out_dir / ANNOTATION_FILE

    @property
    def contact_sheet(self) -> Path:
        """Picture of samples."""
        return self.out_dir / CONTACT_SHEET


def build_image_level(preset: str, out_dir: str | os.PathLike, seed: int = 0, workers: int = 1,
                      progress: Progress | None = None) -> ImageLevelSummary:
    """Build the image-level data to a preset of Emoji-LT, or find that they are built.

    Writes ``emoji_lt_image_level.json``, ``images/*.jpg`` of half the side of the preset's images,
    in which a drawing is about as large as in these, ``contact_sheet.png`` and ``build.json``. The
    classes are those of the detection data of the same preset and seed, which need not be built.
    As :func:`.builder.build_emoji_lt` does, it gives the same for the same arguments, and keeps a
    folder that is complete.

    Args:
        preset: 'smoke', 'mini', 'lvis-like' or 'full'.
        out_dir: folder of the dataset. One that holds another or an incomplete build is replaced.
        seed: of everything random, >= 0.
        workers: number of processes, >= 1.
        progress: called with the number of images done and of all images.

    Raises:
        ValueError: if an argument is out of range.
        FileExistsError: if ``out_dir`` is something else.
        OSError: if ``out_dir`` cannot be written.
        ImportError: if a package with drawings, names or photographs is missing or has the wrong
            version.
    """
    sizes = get_preset(preset)
    check_numbers('build_image_level', seed, workers)
    out_dir = Path(out_dir)
    built = read_image_level(out_dir, preset, seed)
    if built is not None:
        return built
    own_entries = {ANNOTATION_FILE, IMAGE_FOLDER, CONTACT_SHEET, STAMP}
    with complete_folder(out_dir, own_entries, 'build_image_level') as partial_dir:
        plan = plan_dataset(sizes, seed)
        planned = plan_single_images(plan, seed)
        (partial_dir / IMAGE_FOLDER).mkdir()
        side = sizes.image_size // 2
        render = partial(render_single_image, side, partial_dir, seed)
        dataset = dict(images=[], categories=training_categories(plan))
        for image in map_jobs(render, list(enumerate(planned)), workers):
            dataset['images'].append(image)
            if progress is not None:
                progress(len(dataset['images']), len(planned))
        write_json(partial_dir / ANNOTATION_FILE, dataset)
        draw_contact_sheet(partial_dir, with_frames(dataset)).save(partial_dir / CONTACT_SHEET)
        summary = ImageLevelSummary(
            preset, seed, IMAGE_LEVEL_VERSION, len(planned), len(plan.categories),
            sum(bool(left_out_styles(emoji, styles)) for emoji, styles in zip(
                plan.categories, plan.train_styles, strict=True)),
            digest_files([partial_dir / ANNOTATION_FILE]), out_dir)
        write_json(partial_dir / STAMP,
                   {key: value for key, value in asdict(summary).items() if key != 'out_dir'})
    return summary


def read_image_level(out_dir: Path, preset: str, seed: int) -> ImageLevelSummary | None:
    """The summary of a complete build of this preset, seed and version; None if there is none."""
    if not (out_dir / STAMP).is_file():
        return None
    stamp = json.loads((out_dir / STAMP).read_text())
    expected = dict(preset=preset, seed=seed, version=IMAGE_LEVEL_VERSION)
    if stamp.keys() != ImageLevelSummary.__dataclass_fields__.keys() - {'out_dir'} or any(
            stamp[key] != value for key, value in expected.items()):
        return None
    summary = ImageLevelSummary(**stamp, out_dir=out_dir)
    is_complete = summary.ann_file.is_file() and digest_files(
        [summary.ann_file]) == summary.digest and len(list(
            (out_dir / IMAGE_FOLDER).glob('*.jpg'))) == summary.num_images
    return summary if is_complete else None


def left_out_styles(emoji: Emoji, train_styles: dict[str, Path]) -> dict[str, Path]:
    """Drawings of an emoji that neither training shows nor validation alone: files per vendor."""
    return {vendor: file for vendor, file in emoji.styles.items()
            if vendor not in train_styles and vendor != VAL_ONLY_VENDOR}


def plan_single_images(plan: Plan, seed: int) -> list[PlannedObject]:
    """The drawing of every picture, :data:`IMAGES_PER_CATEGORY` of each category.

    Styles take turns, from a random one on.

    Args:
        plan: of the detection data.
        seed: the same gives the same pictures.
    """
    rng = np.random.default_rng([seed, IMAGE_LEVEL_STREAM])
    planned = []
    for category, (emoji, train_styles) in enumerate(
            zip(plan.categories, plan.train_styles, strict=True)):
        styles = list((left_out_styles(emoji, train_styles) or train_styles).items())
        start = rng.integers(len(styles))
        planned += [PlannedObject(category, *styles[(start + number) % len(styles)])
                    for number in range(IMAGES_PER_CATEGORY)]
    return planned


def training_categories(plan: Plan) -> list[dict]:
    """The categories as the training file has them, with its counts."""
    return category_records(plan.categories, [
        dict(image_id=index, category_id=planned.category + 1)
        for index, objects in enumerate(plan.images['train']) for planned in objects])


def render_single_image(side: int, root: Path, seed: int, job: tuple[int, PlannedObject]) -> dict:
    """Draw one picture, write it and describe it.

    Args:
        side: of the picture, pixels.
        root: folder of the dataset.
        seed: with the position it makes the random stream.
        job: position and drawing.

    Returns:
        Its record.
    """
    index, planned = job
    rng = np.random.default_rng([seed, IMAGE_LEVEL_STREAM, index])
    photographs = cached_photographs()
    photograph = photographs[rng.integers(len(photographs))]
    image = compose_single(photograph, cached_drawing(planned.drawing), side, rng)
    file_name = f'{IMAGE_FOLDER}/{index + 1:06d}.jpg'
    Image.fromarray(image).save(root / file_name, quality=JPEG_QUALITY)
    return dict(id=index + 1, file_name=file_name, width=side, height=side, style=planned.vendor,
                pos_category_ids=[planned.category + 1])


def with_frames(dataset: dict) -> dict:
    """The dataset with the frame of each picture as a box, which a contact sheet colours.

    Of each category one picture: a sheet shows few.
    """
    seen: Counter = Counter()
    annotations, images = [], []
    for image in dataset['images']:
        (category_id,) = image['pos_category_ids']
        seen[category_id] += 1
        if seen[category_id] == 1:
            images.append(image)
            annotations.append(dict(image_id=image['id'], category_id=category_id,
                                    bbox=[0, 0, image['width'], image['height']]))
    return dict(dataset, images=images, annotations=annotations)
