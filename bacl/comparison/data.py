"""The data of a comparison: what methods are trained on, what they are chosen on, and the test.

Images that a strength is chosen on may neither be trained on nor be those of the test. So some of
the training images are held out, the same for every method; stage 1 is not trained on them either.
"""
import re
from dataclasses import dataclass
from pathlib import Path

from bacl.compat.checkpoints import load_weights
from bacl.engine.running.dataset_configs import unwrapped_datasets
from bacl.engine.running.evaluators import box_evaluator
from bacl.engine.running.settings import Settings
from mmengine.config import Config

SETTING = r"""\b{}=\s*['"]([^'"]+)"""


@dataclass(frozen=True)
class Data:
    """The two files that ``tools/dataset_tools/split_annotations.py`` makes of a training file.

    Attributes:
        part: training images that methods are trained on.
        held_out: the other ones, on which methods are tuned.
    """

    part: Path
    held_out: Path

    @classmethod
    def find(cls, cfg: Config) -> 'Data':
        """Find the files beside that of the training images.

        Args:
            cfg: of a stage 2.

        Raises:
            FileNotFoundError: naming the command that makes them.
        """
        (dataset,) = unwrapped_datasets(cfg.train_dataloader.dataset)
        whole = Path(dataset.data_root, dataset.ann_file)
        found = cls(*(whole.resolve().with_name(f'{whole.stem}_{name}.json')
                      for name in ('part', 'held_out')))
        lacking = [str(path) for path in (found.part, found.held_out) if not path.is_file()]
        if lacking:
            raise FileNotFoundError(
                f'Methods are tuned on held-out training images; these files are not there: '
                f'{", ".join(lacking)}. Hold images out: python tools/dataset_tools/'
                f'split_annotations.py {whole} --share 0.05. Then train stage 1 on the others.')
        return found

    def check_stage1(self, checkpoint: str) -> None:
        """Refuse a stage 1 that was trained on held-out images.

        Methods that go on with its classifier would know the images that they are tuned on.

        Args:
            checkpoint: file of stage 1, with the config of its training.

        Raises:
            ValueError: if that config does not name the part.
        """
        trained = trained_on(checkpoint)
        if trained is None or trained.name != self.part.name:
            raise ValueError(
                f'Methods are tuned on the images of {self.held_out}, and {checkpoint} does not '
                f'say that it was trained without them, on {self.part.name}. Train stage 1 with '
                f'--cfg-options train_dataloader.dataset.ann_file={self.part}.')

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


def trained_on(checkpoint: str) -> Path | None:
    """The annotation file that a checkpoint says it was trained on; None if it does not.

    Args:
        checkpoint: file with the config of its training.
    """
    # The config is searched, never executed.
    text = str((load_weights(checkpoint, map_location='meta').get('meta') or {}).get('cfg', ''))
    _, _, loader = text.partition('train_dataloader')
    root, ann_file = (re.search(SETTING.format(name), loader) for name in ('data_root', 'ann_file'))
    return Path(root[1] if root else '', ann_file[1]) if ann_file else None
