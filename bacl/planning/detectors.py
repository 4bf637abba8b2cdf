"""The detectors that plans are made for, and what their shared bases say."""
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict


@dataclass(frozen=True)
class Recipe:
    """The bases of a detector, as paths below ``configs/_base_``, and what they do not say.

    Attributes:
        stage1: model of stage 1.
        stage2: model of stage 2 of BACL.
        baseline: model of the baseline, a softmax classifier.
        schedules: of stage 1, of stage 2 and of the baseline, which trains as long as both.
        datasets: base per format; see :data:`.sides.DATASETS`.
        min_iterations: of stage 1, with the batch of the base.
        copy_paste: whether stage 1 pastes objects from one image into another.
        images_per_step: of the base, on all GPUs.
        gpus: on which the base trains.
        weight_decay: of stage 1; None is that of the schedule.
        fixed_memory: of a training, besides that of images, GB.
        memory_of_pixels: GB for each million pixels of a batch.
        backbone: what the model has instead of the backbone of its base.
        loss: change of the box head that makes the baseline of its base; None if it is one.
    """

    stage1: str
    stage2: str
    baseline: str
    schedules: tuple[str, str, str]
    datasets: dict[str, str]
    min_iterations: int
    copy_paste: bool
    images_per_step: int
    gpus: int
    weight_decay: float | None
    fixed_memory: float = 0.0
    memory_of_pixels: float = 0.0
    backbone: dict[str, Any] | None = None
    loss: dict[str, Any] | None = None


_LARGE_DATASETS = {'LVIS v1': 'lvis_v1', 'LVIS': 'lvis_v0.5', 'COCO': 'coco-lt'}
# mmdet's metafile: 4.0 GB (R50) and 6.0 GB (R101) for two images of 1333 x 800; of these about one
# for weights, gradients, momentum and the libraries.
_R50 = dict(
    stage1='models/faster-rcnn_r50_fpn_bacl-stage1.py',
    stage2='models/faster-rcnn_r50_fpn_bacl-stage2.py',
    baseline='models/faster-rcnn_r50_fpn.py',
    schedules=('schedules/schedule_1x.py', 'schedules/schedule_1x.py',
               'schedules/schedule_2x.py'),
    datasets=_LARGE_DATASETS, min_iterations=6000, copy_paste=True, images_per_step=16, gpus=8,
    weight_decay=5e-5, fixed_memory=1.0)

RECIPES = {
    'faster-rcnn_r50_fpn': Recipe(**_R50, memory_of_pixels=1.5),
    'faster-rcnn_r101_fpn': Recipe(**_R50, memory_of_pixels=2.4, backbone=dict(
        depth=101, init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet101'))),
    'faster-rcnn_effnet-lite0_fpn': Recipe(
        stage1='models/faster-rcnn_effnet-lite0_fpn.py',
        stage2='models/faster-rcnn_effnet-lite0_fpn_bacl-stage2.py',
        baseline='models/faster-rcnn_effnet-lite0_fpn.py',
        schedules=('schedules/schedule_emoji-lt_stage1.py',
                   'schedules/schedule_emoji-lt_stage2.py',
                   'schedules/schedule_emoji-lt_joint.py'),
        datasets=dict.fromkeys(_LARGE_DATASETS, 'emoji-lt'),
        # Six epochs of the 1,500 images of Emoji-LT mini.
        min_iterations=560, copy_paste=False, images_per_step=16, gpus=1, weight_decay=None,
        loss=dict(
            loss_cls=dict(_delete_=True, type='CrossEntropyLoss', use_sigmoid=False),
            init_cfg=[
                dict(type='Normal', std=0.01, override=dict(name='fc_cls')),
                dict(type='Normal', std=0.001, override=dict(name='fc_reg')),
                dict(type='Xavier', distribution='uniform', override=dict(name='shared_fcs')),
            ])),
}
SMALL, DEFAULT = 'faster-rcnn_effnet-lite0_fpn', 'faster-rcnn_r50_fpn'


@dataclass(frozen=True)
class Anchors:
    """Shapes that the RPN starts from.

    Attributes:
        scales: sides of a square anchor, in strides.
        ratios: height over width.
        strides: of the FPN levels, pixels.
    """

    scales: tuple[float, ...]
    ratios: tuple[float, ...]
    strides: tuple[int, ...]

    @classmethod
    def of_model(cls, model: ConfigDict) -> 'Anchors':
        """Those of the config of a detector."""
        generator = model.rpn_head.anchor_generator
        return cls(*(tuple(generator[key]) for key in ('scales', 'ratios', 'strides')))


@dataclass(frozen=True)
class Detector:
    """A detector as its bases have it.

    Attributes:
        name: a key of :data:`RECIPES`.
        recipe: its bases.
        scale: largest long and short side of test images, pixels.
        train_scales: the same of training images; () if they are not resized.
        canvas: side of images with Copy-Paste, pixels; 0 without it.
        anchors: of the RPN.
        schedules: of stage 1, of stage 2, and of the baseline: their configs.
        sampled_classes: of feature hallucination, c.
        features_per_class: of the same, m.
        proposals: of an image, in stage 1, in the baseline, and in a test.
        max_per_img: detections of an image.
        max_dets: that the metric for COCO counts, of an image and class.
    """

    name: str
    recipe: Recipe
    scale: tuple[int, int]
    train_scales: tuple[tuple[int, int], ...]
    canvas: int
    anchors: Anchors
    schedules: tuple[Config, Config, Config]
    sampled_classes: int
    features_per_class: int
    proposals: tuple[int, int, int]
    max_per_img: int
    max_dets: int

    @property
    def epochs(self) -> tuple[int, int, int]:
        """Of stage 1, of stage 2, and of the baseline."""
        return tuple(schedule.train_cfg.max_epochs for schedule in self.schedules)

    @property
    def warmup(self) -> int:
        """Iterations at the start of a training in which the learning rate rises."""
        return self.schedules[0].param_scheduler[0].end

    @property
    def learning_rate(self) -> float:
        """For ``recipe.images_per_step`` images."""
        return self.schedules[0].optim_wrapper.optimizer.lr


def read_detector(name: str, bases: Path) -> Detector:
    """Read what the bases of a detector say.

    Args:
        name: of the detector.
        bases: the folder ``configs/_base_``.

    Raises:
        ValueError: if there is no such detector.
        FileNotFoundError: if there is no such folder.
    """
    if name not in RECIPES:
        raise ValueError(f'--detector expects one of {", ".join(RECIPES)}, got {name!r}.')
    recipe = RECIPES[name]

    def read(path: str) -> Config:
        return Config.fromfile(bases / path, import_custom_modules=False)

    stage1, stage2, baseline = (read(path).model
                                for path in (recipe.stage1, recipe.stage2, recipe.baseline))
    data = read(f'datasets/{recipe.datasets["COCO"]}.py')
    train_scales = next((t.scales for t in data.train_pipeline if 'scales' in t), ())
    canvas = read('datasets/lvis_copy-paste_pipelines.py').canvas[0] if recipe.copy_paste else 0
    return Detector(
        name, recipe,
        scale=next(tuple(t.scale) for t in data.test_pipeline if 'scale' in t),
        train_scales=tuple(map(tuple, train_scales)), canvas=canvas,
        anchors=Anchors.of_model(stage1),
        schedules=tuple(read(path) for path in recipe.schedules),
        sampled_classes=stage2.roi_head.hallucinator.num_sampled_classes,
        features_per_class=stage2.roi_head.hallucinator.num_features_per_class,
        proposals=(stage1.train_cfg.rpn_proposal.max_per_img,
                   baseline.train_cfg.rpn_proposal.max_per_img, stage1.test_cfg.rpn.max_per_img),
        max_per_img=stage1.test_cfg.rcnn.max_per_img,
        max_dets=read('datasets/coco-lt.py').val_evaluator.max_dets)
