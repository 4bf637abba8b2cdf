"""What a comparison says of a run beside its AP: calibration, size of its state, drawn APs."""
import io
from pathlib import Path

import numpy as np
from bacl.compat.atomic_files import write_atomically
from bacl.compat.checkpoints import load_weights
from bacl.engine.running.processes import run_each
from bacl.engine.running.work_dir import find_checkpoint
from bacl.evaluation import Detections, load_lvis_annotations
from bacl.evaluation.functional.records import iterate_records
from bacl.feature_bank.fingerprint import is_extractor
from bacl.feature_bank.sweep import Sweep, detections_file
from bacl.report.results import calibration_error, drawn_ap, match_lvis, reliability

NUM_DRAWS = 500
_VERSION = 1  # of what is computed
_GROUPS = ('all', 'r')  # whose AP is drawn


def write_statistics(folder: Path, training: Path, ann_file: str, max_dets: int) -> None:
    """Save what is derived from the detections of a run and from its checkpoint.

    Args:
        folder: of the run, with its detections.
        training: folder of its training.
        ann_file: annotations of the test, in LVIS format.
        max_dets: detections of an image that count.
    """
    annotations = load_lvis_annotations(ann_file)
    detections = Detections.from_records(iterate_records(detections_file(folder)))
    matches = match_lvis(annotations, detections, max_dets)
    error = calibration_error(reliability(matches)).set_index('group')['calibration_error']['all']
    _, drawn = drawn_ap(matches, NUM_DRAWS)
    weights = load_weights(find_checkpoint(training))['state_dict']
    size = sum(weight.numel() * weight.element_size() for name, weight in weights.items()
               if not is_extractor(name))
    buffer = io.BytesIO()
    np.savez_compressed(buffer, calibration_error=error, state_mb=size / 2**20,
                        **{f'drawn_{group}': drawn[group] for group in _GROUPS})
    write_atomically(_file(folder, max_dets), buffer.getvalue())


def read_statistics(sweep: Sweep, ann_file: str, max_dets: int,
                    jobs: int) -> dict[tuple[str, int], dict[str, np.ndarray]]:
    """The statistics of all finished runs, by row and seed; made where they are not there yet.

    Args:
        sweep: that kept its detections.
        ann_file: annotations of the test.
        max_dets: detections of an image that count.
        jobs: processes at a time.

    Raises:
        RuntimeError: if those of a run cannot be made.
    """
    folders = {key: sweep.folders[key] for key in sweep.results}
    missing = [folder for folder in dict.fromkeys(folders.values())
               if not _file(folder, max_dets).is_file()]
    logs = [folder / 'statistics.log' for folder in missing]
    for number, error in run_each(
            write_statistics, [(folder, sweep.training_of(folder), ann_file, max_dets)
                               for folder in missing], logs, jobs):
        if error:
            raise RuntimeError(f'Statistics of {missing[number]} failed: {error} '
                               f'(log: {logs[number]})')
    return {key: dict(np.load(_file(folder, max_dets))) for key, folder in folders.items()}


def _file(folder: Path, max_dets: int) -> Path:
    return folder / f'statistics-{_VERSION}_{NUM_DRAWS}-draws_{max_dets}-detections.npz'
