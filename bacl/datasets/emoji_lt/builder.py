"""Building of Emoji-LT on disk."""
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from ..json_files import digest_files, write_json
from .contact_sheet import draw_contact_sheet
from .federation import federate
from .folders import check_numbers, complete_folder
from .plan import SPLIT_STREAMS, plan_dataset
from .presets import get_preset
from .render import Progress, render_dataset

# To be raised with every change of what is built from the same preset and seed.
BUILD_VERSION = 2

STAMP = 'build.json'
CONTACT_SHEET = 'contact_sheet.png'
ANNOTATION_FOLDER = 'annotations'
# Val once as LVIS would know it and once with every category of every image.
ANNOTATIONS = ('train', 'val', 'val_exhaustive')


@dataclass(frozen=True)
class EmojiLTSummary:
    """The outcome of a build.

    Attributes:
        preset: name of the preset.
        seed: of everything random.
        version: of the builder.
        num_rare: categories with 1 to 10 training images.
        num_common: categories with 11 to 100 training images.
        num_frequent: categories with more than 100 training images.
        num_images: per split, 'train' and 'val'.
        num_objects: per split.
        num_negatives: categories known to be absent, summed over the images of val.
        num_not_exhaustive: categories not exhaustively annotated, likewise.
        digest: SHA-256 of the annotation files, in the order of :data:`ANNOTATIONS`.
        out_dir: the folder of the dataset.
    """

    preset: str
    seed: int
    version: int
    num_rare: int
    num_common: int
    num_frequent: int
    num_images: dict[str, int]
    num_objects: dict[str, int]
    num_negatives: int
    num_not_exhaustive: int
    digest: str
    out_dir: Path

    def objects_per_image(self, split: str) -> float:
        """Mean number of objects in an image of a split."""
        return self.num_objects[split] / self.num_images[split]

    def ann_file(self, name: str) -> Path:
        """Annotation file of one of :data:`ANNOTATIONS`."""
        return annotation_file(self.out_dir, name)

    @property
    def contact_sheet(self) -> Path:
        """Picture of samples with boxes."""
        return self.out_dir / CONTACT_SHEET


def build_emoji_lt(preset: str, out_dir: str | os.PathLike, seed: int = 0, workers: int = 1,
                   progress: Progress | None = None) -> EmojiLTSummary:
    """Build Emoji-LT, or find that it is built.

    Writes ``annotations/emoji_lt_{train,val,val_exhaustive}.json`` (LVIS v1), ``train/*.jpg``,
    ``val/*.jpg``, ``contact_sheet.png`` and ``build.json``. The same preset and seed give the same
    annotations, however many workers there are. The folder appears under its name only when it is
    complete; one that is complete is kept as it is.

    The two files of val have the same images and objects. Of the absent categories the exhaustive
    one lists all, the other as few as LVIS does; see :mod:`.federation`.

    Args:
        preset: 'smoke', 'mini', 'lvis-like' or 'full'.
        out_dir: folder of the dataset. One that holds another or an incomplete build is replaced.
        seed: of everything random, >= 0.
        workers: number of processes, >= 1.
        progress: called with the number of images done and of all images.

    Returns:
        What was built.

    Raises:
        ValueError: if an argument is out of range.
        FileExistsError: if ``out_dir`` is something else than an Emoji-LT dataset.
        OSError: if ``out_dir`` cannot be written.
        ImportError: if a package with drawings, names or photographs is missing or has the wrong
            version.
    """
    sizes = get_preset(preset)
    check_numbers('build_emoji_lt', seed, workers)
    out_dir = Path(out_dir)
    built = read_build(out_dir, preset, seed)
    if built is not None:
        return built
    own_entries = {ANNOTATION_FOLDER, CONTACT_SHEET, STAMP, *SPLIT_STREAMS}
    with complete_folder(out_dir, own_entries, 'build_emoji_lt') as partial_dir:
        plan = plan_dataset(sizes, seed)
        datasets = render_dataset(plan, sizes.image_size, partial_dir, seed, workers, progress)
        (partial_dir / ANNOTATION_FOLDER).mkdir()
        exhaustive = datasets['val']
        datasets['val'] = federate(exhaustive, seed)
        for name, dataset in dict(datasets, val_exhaustive=exhaustive).items():
            write_json(annotation_file(partial_dir, name), dataset)
        draw_contact_sheet(partial_dir, datasets['train']).save(partial_dir / CONTACT_SHEET)
        summary = summarize(preset, seed, datasets, partial_dir, out_dir)
        write_json(partial_dir / STAMP,
                   {key: value for key, value in asdict(summary).items() if key != 'out_dir'})
    return summary


def annotation_file(root: Path, name: str) -> Path:
    """One of :data:`ANNOTATIONS` in a dataset's folder."""
    return root / ANNOTATION_FOLDER / f'emoji_lt_{name}.json'


def read_build(out_dir: Path, preset: str, seed: int) -> EmojiLTSummary | None:
    """The summary of a complete build of this preset, seed and version; None if there is none."""
    stamp_file = out_dir / STAMP
    if not stamp_file.is_file():
        return None
    stamp = json.loads(stamp_file.read_text())
    expected = dict(preset=preset, seed=seed, version=BUILD_VERSION)
    if any(stamp.get(key) != value for key, value in expected.items()):
        return None
    summary = EmojiLTSummary(**stamp, out_dir=out_dir)
    ann_files = [summary.ann_file(name) for name in ANNOTATIONS]
    complete = all(file.is_file() for file in ann_files) and all(
        len(list((out_dir / split).glob('*.jpg'))) == summary.num_images[split]
        for split in SPLIT_STREAMS)
    return summary if complete and digest_files(ann_files) == summary.digest else None


def summarize(preset: str, seed: int, datasets: dict[str, dict], written_to: Path,
              out_dir: Path) -> EmojiLTSummary:
    """Count what was written.

    Args:
        preset: name of the preset.
        seed: of everything random.
        datasets: content of the annotation file per split, of val as LVIS would know it.
        written_to: folder in which the annotation files lie now.
        out_dir: folder in which they will lie.
    """
    groups = [category['frequency'] for category in datasets['train']['categories']]
    return EmojiLTSummary(
        preset, seed, BUILD_VERSION, groups.count('r'), groups.count('c'), groups.count('f'),
        {split: len(dataset['images']) for split, dataset in datasets.items()},
        {split: len(dataset['annotations']) for split, dataset in datasets.items()},
        *(sum(len(image[field]) for image in datasets['val']['images'])
          for field in ('neg_category_ids', 'not_exhaustive_category_ids')),
        digest_files([annotation_file(written_to, name) for name in ANNOTATIONS]), out_dir)
