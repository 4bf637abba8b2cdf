"""What detectors have that learn from a semantic teacher."""
import math

import torch
from bacl.annotations import ClassTable
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample, SampleList
from mmdet.utils import ConfigType
from mmengine.model import ImgDataPreprocessor
from torch import Tensor, nn

from ..semantics import SemanticTeacher


def is_coarse(sample: DetDataSample) -> bool:
    """True of an image whose boxes are coarse ones by rule: it says its ``source``."""
    return sample.get('source') is not None


def pixels(inputs: Tensor, preprocessor: ImgDataPreprocessor) -> Tensor:
    """Images as they were before a preprocessor normalised them.

    Args:
        inputs: (B, 3, H, W), of images that were loaded as BGR.
        preprocessor: of the detector. What it padded comes out as its mean colour.

    Returns:
        (B, 3, H, W), RGB in [0, 1].
    """
    if preprocessor._enable_normalize:
        inputs = inputs * preprocessor.std + preprocessor.mean
    is_rgb = preprocessor._channel_conversion
    return (inputs if is_rgb else inputs.flip(1)) / 255


class TaughtMixin:
    """Adds a semantic teacher to a detector of mmdet.

    The teacher is built when a training begins and not before, so that a test needs none of its
    files. It is no part of the model: its weights are in no checkpoint. Text embeddings are given
    to every module with ``set_text_embeddings``.

    Args:
        teacher: config of the :class:`~bacl.models.semantics.SemanticTeacher`; None has none.
        **kwargs: of the host.

    Raises:
        ValueError: if the data preprocessor expects images as RGB. They are to be loaded as BGR,
            the default, or the teacher would see them in other colours.
        TypeError: if a semantic branch takes no text embeddings; when a training begins, if
            something needs them and there is no teacher.
        ValueError: then, if a semantic branch has another scale than the teacher, so that it could
            not say the same by the same cosines; or if a checkpoint was trained with other text
            embeddings.
    """

    def __init__(self, *args, teacher: ConfigType | None = None, **kwargs) -> None:
        if teacher is not None and (kwargs.get('data_preprocessor') or {}).get('rgb_to_bgr'):
            raise ValueError(f'{type(self).__name__}(data_preprocessor=) expects images loaded as '
                             'BGR, got rgb_to_bgr=True. Load them as BGR, and leave it out.')
        super().__init__(*args, **kwargs)
        for branch in self._semantic_branches():
            if not hasattr(branch, 'set_text_embeddings'):
                raise TypeError(f'semantic_branch expects a TextCosineLinear, got '
                                f'{type(branch).__name__}, which takes no text embeddings.')
        self.teacher_cfg = teacher
        self._teacher: list[SemanticTeacher] = []  # in a list: no part of the model

    def set_class_counts(self, table: ClassTable) -> None:
        """Build the teacher, and hand out the embeddings of the classes of the training data."""
        users = self._text_users()
        if not users:
            return
        if self.teacher_cfg is None:
            raise TypeError(
                f'{type(users[0]).__name__} needs text embeddings, of which '
                f'{type(self).__name__}(teacher=) expects the config of a teacher, got None. Set '
                "it, as to dict(type='ConSETeacher').")
        teacher = MODELS.build(self.teacher_cfg).to(next(self.parameters()).device)
        teacher.set_classes(table.names)
        for branch in self._semantic_branches():
            scale = getattr(branch, 'scale', teacher.scale)
            if not math.isclose(scale, teacher.scale, rel_tol=1e-2):
                raise ValueError('semantic_branch expects the scale of its teacher, '
                                 f'{teacher.scale:g}, got {scale:g}. Set its scale.')
        for module in users:
            module.set_text_embeddings(teacher.class_embeddings)
        self._teacher = [teacher]

    @property
    def needs_image_labels(self) -> bool:
        """Whether it learns nothing from an image without boxes whose class is not known."""
        return not self._semantic_branches()

    def _semantic_branches(self) -> list[nn.Module]:
        return [module for name, module in self.named_modules()
                if name.rpartition('.')[2] == 'semantic_branch']

    def _text_users(self) -> list[nn.Module]:
        return [module for module in self.modules() if hasattr(module, 'set_text_embeddings')]

    def check_teacher(self) -> None:
        """Refuse to train without the teacher, if something needs its embeddings.

        Raises:
            RuntimeError: if :meth:`set_class_counts` was not called.
        """
        if not self._teacher and self._text_users():
            raise RuntimeError(f'{type(self).__name__}.loss() expects a teacher, which '
                               'set_class_counts() builds, got none. Add MethodHook to the hooks.')

    @torch.no_grad()
    def add_teacher_logits(self, batch_inputs: Tensor, samples: SampleList) -> None:
        """Give ``gt_instances`` of each sample the ``teacher_logits`` of its boxes, (G, C).

        Args:
            batch_inputs: (B, 3, H, W), normalised.
            samples: of the images; changed in place.

        Raises:
            RuntimeError: if :meth:`set_class_counts` was not called.
        """
        self.check_teacher()
        (teacher,) = self._teacher
        teacher.to(batch_inputs.device)
        with torch.autocast(batch_inputs.device.type, enabled=False):
            logits = teacher(pixels(batch_inputs.float(), self.data_preprocessor), samples)
        for sample, of_image in zip(samples, logits, strict=True):
            sample.gt_instances.teacher_logits = of_image


def times_zero(losses: dict) -> dict:
    """Losses that count nothing, but of which every parameter still has a gradient.

    Accuracies, which would be those of no objects, are left out.
    """
    return {name: [part * 0 for part in value] if isinstance(value, list) else value * 0
            for name, value in losses.items() if 'loss' in name}
