"""The data of a config, gone through without training: ``python -m bacl.check data CONFIG``."""
import logging
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial

import cv2
from bacl.annotations.audit import audit_annotations, is_bad_image, size_of
from bacl.annotations.rules import Finding, Rule
from bacl.annotations.use import Use
from bacl.datasets import ImageLevelDataset
from bacl.datasets.image_audit import IMAGE_RULES, ImageRecord, Loader, audit_image
from bacl.datasets.image_level.records import audit_records
from bacl.datasets.long_tail import LongTailMixin
from bacl.evaluation.metrics.grouped_ap_metric import GroupedAPMetric
from mmcv.transforms import LoadImageFromFile
from mmdet.registry import DATASETS, METRICS, TRANSFORMS
from mmengine.config import Config, ConfigDict
from mmengine.logging import print_log
from mmengine.registry import init_default_scope

from ..running.config_types import is_type
from ..running.dataset_configs import unwrapped_datasets

SPLITS = ('train', 'val', 'test')
IMAGES_PER_TASK = 64  # that a worker process gets at a time
IMAGES_PER_ENTRY = 10_000  # between two lines of progress

BAD_FILE = Rule('bad-file', 'annotation files that are missing or not of their format',
                'Nothing else is checked', refused=True)
BAD_CLASSES = Rule('bad-classes', 'annotation files that contradict their own counts or groups, or '
                   "the config's classes", 'Repair or remove these', refused=True)


@dataclass
class DatasetReport:
    """Findings in one dataset of a config, or in the annotations of a metric.

    Attributes:
        splits: those of :data:`SPLITS` that use it.
        dataset_type: class of the dataset, or of the metric.
        ann_file: its annotation file.
        summary: the annotation file and what it holds.
        left_out: what training sees of it and what it leaves out.
        findings: of all rules that apply.
        num_opened: images that were opened; None if they were not to be.
    """

    splits: list[str]
    dataset_type: str
    ann_file: str
    summary: str
    left_out: str = ''
    findings: list[Finding] = field(default_factory=list)
    num_opened: int | None = None

    @property
    def is_refused(self) -> bool:
        """True if a rule refuses the dataset."""
        return any(finding.rule.refused for finding in self.findings)

    def __str__(self) -> str:
        opened = 'Images were not opened.' if self.num_opened is None else \
            f'{self.num_opened} images were opened.'
        findings = sorted(self.findings, key=lambda finding: not finding.rule.refused)
        return '\n'.join([
            f'{", ".join(self.splits)}: {self.dataset_type}', f'  {self.summary} {opened}',
            *([f'  {self.left_out}'] * bool(self.left_out)),
            *(f'  {"REFUSED" if finding.rule.refused else "counted"}  {finding}'
              for finding in findings)])


def check_data(cfg: Config, with_images: bool = True, num_workers: int = 0) -> list[DatasetReport]:
    """Go through the data of a config without training on it.

    Args:
        cfg: with ``train_dataloader``, ``val_dataloader`` and ``test_dataloader``, or some of
            them. A dataset that several use in the same way is gone through once.
        with_images: whether to open every image.
        num_workers: processes that open images; 0 opens them in this one.

    Returns:
        A report for each dataset, and for each metric of this package that would refuse its files.

    Raises:
        ValueError: if there is no dataset, or one whose type is not of this package.
    """
    init_default_scope(cfg.get('default_scope') or 'mmdet')
    reports: dict[str, DatasetReport] = {}
    for split, config in _dataset_configs(cfg):
        dataset = _build_unloaded(split, config)
        loader = _loader(config, cfg.get('default_scope'))
        if isinstance(dataset, ImageLevelDataset):
            reports[repr((split, dataset.ann_file, dataset.class_file))] = _check_image_level(
                split, dataset, loader, with_images, num_workers)
            continue
        use = _use(cfg, split, dataset)
        key = repr((config.type, dataset.ann_file, dataset.data_prefix, use, loader))
        if key in reports:
            reports[key].splits.append(split)
        else:
            reports[key] = _check_dataset(split, dataset, use, loader, with_images, num_workers)
    if not reports:
        raise ValueError('check_data(cfg=) expects a train_dataloader, val_dataloader or '
                         'test_dataloader, got a config without one.')
    return [*reports.values(), *_check_metrics(cfg, list(reports.values()))]


def _evaluators(cfg: Config, split: str) -> list[ConfigDict]:
    evaluators = cfg.get(f'{split}_evaluator') or []
    return list(evaluators) if isinstance(evaluators, list | tuple) else [evaluators]


def _use(cfg: Config, split: str, dataset: LongTailMixin) -> Use:
    if not dataset.test_mode:
        return dataset.use()
    evaluators = _evaluators(cfg, split)
    only_saves = evaluators and all(
        'Dump' in str(evaluator.type) or evaluator.get('format_only') for evaluator in evaluators)
    masks = any('segm' in (evaluator.get('metric') or ()) for evaluator in evaluators)
    return dataset.use('prediction' if only_saves or split == 'train' else 'evaluation', masks)


def _check_metrics(cfg: Config, reports: Sequence[DatasetReport]) -> list[DatasetReport]:
    """Build the metrics, which read their files, unless one of these has been refused already."""
    refused = {report.ann_file for report in reports if report.is_refused}
    found: dict[str, DatasetReport] = {}
    passed = set()
    for split in SPLITS[1:]:
        for evaluator in _evaluators(cfg, split):
            metric = METRICS.get(evaluator.type) if isinstance(evaluator.type, str) else \
                evaluator.type
            key = repr(evaluator)
            if key in found:
                found[key].splits.append(split)
            if (key in passed or key in found or not isinstance(metric, type)
                    or not issubclass(metric, GroupedAPMetric)
                    or refused & {evaluator.get('ann_file'), evaluator.get('train_ann_file')}):
                continue
            passed.add(key)
            try:
                METRICS.build(dict(evaluator))
            except (OSError, ValueError) as error:
                found[key] = DatasetReport(
                    [split], metric.__name__, evaluator.get('ann_file'), f'{evaluator.ann_file}.',
                    findings=[Finding(BAD_FILE, 1, [str(error).rstrip('.')])])
    return list(found.values())


def _dataset_configs(cfg: Config) -> Iterator[tuple[str, ConfigDict]]:
    for split in SPLITS:
        dataloader = cfg.get(f'{split}_dataloader')
        if dataloader:
            yield from ((split, config) for config in unwrapped_datasets(dataloader.dataset))


def _build_unloaded(split: str, config: ConfigDict) -> LongTailMixin | ImageLevelDataset:
    dataset_class = DATASETS.get(config.type) if isinstance(config.type, str) else config.type
    if not (isinstance(dataset_class, type)
            and issubclass(dataset_class, LongTailMixin | ImageLevelDataset)):
        raise ValueError(f'{split}_dataloader.dataset.type expects a LongTailLVISV1Dataset, '
                         'LongTailLVISV05Dataset, CocoLTDataset or ImageLevelDataset, got '
                         f'{config.type!r}, whose format is not known here.')
    return DATASETS.build(dict(config, lazy_init=True))


def _loader(config: ConfigDict, scope: str | None) -> Loader:
    """The arguments of the ``LoadImageFromFile`` in the pipeline of a dataset."""
    for transform in config.get('pipeline') or []:
        if is_type(transform, TRANSFORMS, LoadImageFromFile, scope):
            return Loader(*(transform.get(name, default)
                            for name, default in Loader._field_defaults.items()))
    return Loader(backend_args=config.get('backend_args'))


def _check_dataset(split: str, dataset: LongTailMixin, use: Use, loader: Loader, with_images: bool,
                   num_workers: int) -> DatasetReport:
    report = DatasetReport([split], type(dataset).__name__, dataset.ann_file,
                           f'{dataset.ann_file}.')
    try:
        data = dataset.read_content(use)
    except (OSError, ValueError) as error:
        report.findings = [Finding(BAD_FILE, 1, [str(error).rstrip('.')])]
        return report
    audit = audit_annotations(data, use)
    report.summary = size_of(data, dataset.ann_file)
    report.left_out, report.findings = audit.left_out, audit.findings
    if not report.is_refused:
        try:
            dataset.tabulate(data)
        except ValueError as error:
            report.findings.append(Finding(BAD_CLASSES, 1, [str(error).rstrip('.')]))
    if with_images:
        records = [
            ImageRecord(image['id'], dataset.image_path(image), (image['height'], image['width']))
            for image in data['images'] if not is_bad_image(image, dataset.image_name_field)]
        report.num_opened = len(records)
        report.findings += audit_images(records, loader, num_workers)
    return report


def _check_image_level(split: str, dataset: ImageLevelDataset, loader: Loader, with_images: bool,
                       num_workers: int) -> DatasetReport:
    report = DatasetReport([split], type(dataset).__name__, dataset.ann_file,
                           f'{dataset.ann_file}.')
    try:
        reading, classes = dataset.read(), dataset.read_classes()
    except (OSError, ValueError) as error:
        report.findings = [Finding(BAD_FILE, 1, [str(error).rstrip('.')])]
        return report
    report.summary = f'{dataset.ann_file}: {len(reading.records)} images without boxes.'
    report.findings = audit_records(reading, classes)
    if with_images:
        records = [ImageRecord(number, dataset.image_path(record), None)
                   for number, record in enumerate(reading.records)]
        report.num_opened = len(records)
        report.findings += audit_images(records, loader, num_workers)
    return report


def audit_images(records: Sequence[ImageRecord], loader: Loader,
                 num_workers: int) -> list[Finding]:
    """Open images and apply the rules of :mod:`bacl.datasets.image_audit`.

    Args:
        records: of the images.
        loader: how they are loaded.
        num_workers: processes; 0 is this one.

    Returns:
        A finding for each rule that applies to an image; its examples are in the order of
        ``records``.
    """
    audit = partial(audit_image, loader=loader)
    if num_workers == 0:
        return _collect(map(audit, records))
    with ProcessPoolExecutor(num_workers, initializer=cv2.setNumThreads, initargs=(0,)) as pool:
        return _collect(pool.map(audit, records, chunksize=IMAGES_PER_TASK))


def _collect(results: Iterable[list[tuple[str, str]]]) -> list[Finding]:
    found = {rule.name: Finding(rule) for rule in IMAGE_RULES}
    for number, applied in enumerate(results, start=1):
        for name, example in applied:
            found[name].add(example)
        if number % IMAGES_PER_ENTRY == 0:
            print_log(f'{number} images opened', logger='current', level=logging.INFO)
    return [finding for finding in found.values() if finding.count]
