"""The data of a comparison: what methods are trained on, what they are chosen on, and the test.

Images that a strength is chosen on may neither be trained on nor be those of the test. So some of
the training images are held out, the same for every method, and no stage 2 is trained on them. The
stage 1 that all share has been: its features, and the classifier that some methods go on with.
"""
from dataclasses import dataclass
from pathlib import Path

from bacl.annotations import read_annotations
from bacl.annotations.splitting import part_of, split_images, training_part
from bacl.datasets.json_files import write_json
from bacl.engine.running.dataset_configs import unwrapped_datasets
from bacl.engine.running.evaluators import box_evaluator
from bacl.engine.running.settings import Settings
from bacl.feature_bank.fingerprint import file_digest
from mmengine.config import Config


@dataclass(frozen=True)
class Data:
    """Annotation files, beside that of the training images.

    Attributes:
        part: training images that methods are trained on.
        held_out: the other ones, on which methods are tuned.
    """

    part: Path
    held_out: Path

    @classmethod
    def split(cls, cfg: Config, share: float, folder: Path) -> 'Data':
        """Hold training images out, unless the files are there.

        Args:
            cfg: of a stage 2.
            share: of the training images, at least one of each class that has two.
            folder: gets a folder for the files, named after the share and the contents of the
                training file.
        """
        (dataset,) = unwrapped_datasets(cfg.train_dataloader.dataset)
        whole = Path(dataset.data_root, dataset.ann_file)
        folder = folder.resolve() / f'held-out-{share:g}_{file_digest(whole)[:12]}'
        folder.mkdir(parents=True, exist_ok=True)
        found = cls(folder / f'{whole.stem}_part.json', folder / f'{whole.stem}_held_out.json')
        if not found.held_out.is_file():
            data = read_annotations(whole)
            kept, held_out = split_images(data, share)
            write_json(found.part, training_part(data, kept))
            write_json(found.held_out, part_of(data, held_out))
        return found

    def settings(self, cfg: Config, is_test: bool) -> Settings:
        """What a config is changed by to be trained on a part of its images.

        Args:
            cfg: of a stage 2.
            is_test: whether its test is its own, or on the held-out images.
        """
        wrappers = 'dataset'
        dataset = cfg.train_dataloader.dataset
        while 'dataset' in dataset:
            wrappers, dataset = f'{wrappers}.dataset', dataset.dataset
        loaders = ['val'] if is_test else ['val', 'test']
        settings: Settings = {f'train_dataloader.{wrappers}.ann_file': str(self.part)}
        for loader in loaders:
            settings[f'{loader}_dataloader.dataset.ann_file'] = str(self.held_out)
            settings[f'{loader}_dataloader.dataset.data_prefix'] = dataset.data_prefix.to_dict()
            settings[f'{loader}_evaluator.ann_file'] = str(self.held_out)
            if 'exhaustive_ann_file' in box_evaluator(cfg):
                settings[f'{loader}_evaluator.exhaustive_ann_file'] = None
        return settings
