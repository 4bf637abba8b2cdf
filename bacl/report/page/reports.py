"""The two reports: of a data set, and of runs."""
from collections.abc import Sequence
from pathlib import Path

from ..measures.box_geometry import Pyramid
from .frames import NUM_DRAWS, ResultFrames
from .inputs import Images, Run, Validation
from .page import Section, write_page
from .sections import (
    classes_section,
    comparison_section,
    data_section,
    gallery_section,
    meaning_section,
    results_section,
    summary_section,
    training_section,
)


def write_dataset_report(folder: str | Path, images: Images,
                         pyramid: Pyramid | None = None) -> Path:
    """Write what can be said of a data set before any training.

    Args:
        folder: gets ``index.html`` and ``csv/``.
        images: the data set.
        pyramid: how a detector sees its objects; None for that of the usual Faster R-CNN.

    Returns:
        The page.

    Raises:
        FileNotFoundError: if an image is missing.
        ValueError: if there is no object, or an image cannot be decoded.
    """
    return write_page(folder, f'Data: {Path(images.ann_file).name}', [
        data_section(images, pyramid=pyramid), classes_section(images)], images.classes.groups)


def write_run_report(folder: str | Path, validation: Validation, runs: Sequence[Run],
                     training: Images | str, pyramid: Pyramid | None = None,
                     num_draws: int = NUM_DRAWS, seed: int = 0) -> Path:
    """Write what can be said of runs; all differences are to the first.

    Args:
        folder: gets ``index.html`` and ``csv/``.
        validation: what they were tested on.
        runs: at least one.
        training: what they were trained on, or why that is not known.
        pyramid: how the detector sees objects; None for that of the usual Faster R-CNN.
        num_draws: of the bootstrap.
        seed: of the images that are chosen at random.

    Returns:
        The page.

    Raises:
        FileNotFoundError: if an image is missing.
        ValueError: if an image cannot be decoded, or a checkpoint is one of another data set.
    """
    data = Section('data', 'Data', training, []) if isinstance(training, str) else \
        data_section(training, validation, pyramid)
    frames = ResultFrames.of(validation, runs, num_draws)
    results = results_section(validation, frames)
    comparison = comparison_section(validation, runs, frames)
    meaning = meaning_section(validation, runs, frames, training,
                              [*results.blocks, *comparison.blocks])
    return write_page(folder, f'Runs: {", ".join(run.name for run in runs)}', [
        meaning, summary_section(validation, runs), data, training_section(validation, runs),
        results, comparison, gallery_section(validation, runs, seed=seed),
        classes_section(validation, runs)], validation.classes.groups)
