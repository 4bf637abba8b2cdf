"""Stage 2 of decoupled training: a two-stage detector with a frozen extractor."""
from collections.abc import Sequence

import torch
from mmdet.models.detectors import TwoStageDetector
from mmdet.registry import MODELS
from mmdet.utils import ConfigType
from mmengine.logging import print_log
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

# Classifier and box regressor of every box head, the RPN and, if there is one, the mask head.
STAGE2_PARTS = ('fc_cls', 'fc_reg', 'rpn', 'mask_head')


def learns(module: nn.Module) -> bool:
    """True if a parameter of the module learns."""
    return any(p.requires_grad for p in module.parameters())


@MODELS.register_module()
class DecoupledTwoStageDetector(TwoStageDetector):
    """Any two-stage detector (Faster, Cascade, Mask R-CNN) of which only some parts learn.

    mmdet's two-stage detectors differ in their defaults, not in their behaviour, so changing the
    ``type`` in a config to this class is all a stage 2 needs. Everything except
    ``trainable`` is frozen when the model is built, before DDP wraps it; a backbone or neck that is
    frozen altogether and batch norms of other frozen layers stay in evaluation mode, so that the
    classifier learns from the features that it meets at test time; and if both are frozen, no
    graph of them is recorded.

    Args:
        backbone: config of the backbone; ``**kwargs`` are the rest of ``TwoStageDetector``'s.
        trainable: a parameter learns if its name contains one of these.
        fresh: names of layers, such as ``('fc_cls',)``, that start anew in this stage: what the
            checkpoint of stage 1 has of them is left out by
            :class:`~bacl.engine.hooks.LoadReportHook`. For a classifier of another meaning or
            shape, or one that is trained again from its start (cRT, BAGS).

    Raises:
        ValueError: if no parameter's name contains any of ``trainable``, or if no layer has a name
            in ``fresh``, or one that does not learn.

    Reference:
        Qi et al., "Balanced Classification", IEEE TMM 2023, Section IV-B; which parts learn is
        the official code's choice, where the paper only names what is frozen.
    """

    # The training tools and hooks refuse to train such a model from scratch.
    needs_pretrained_extractor = True

    def __init__(self, backbone: ConfigType, *,
                 trainable: Sequence[str] = STAGE2_PARTS, fresh: Sequence[str] = (),
                 **kwargs) -> None:
        super().__init__(backbone, **kwargs)
        self.trainable = tuple(trainable)
        num_trained = 0
        for name, parameter in self.named_parameters():
            parameter.requires_grad_(any(part in name for part in self.trainable))
            num_trained += parameter.requires_grad
        if not num_trained:
            raise ValueError(f'DecoupledTwoStageDetector(trainable=) expects parts of parameter '
                             f'names, got {self.trainable}, which no parameter contains.')
        self.fresh = tuple(fresh)
        for layer in self.fresh:
            learning = [p.requires_grad for name, p in self.named_parameters()
                        if layer in name.split('.')]
            if not (learning and all(learning)):
                fault = 'which does not learn' if learning else 'which no layer is called'
                raise ValueError(
                    f'DecoupledTwoStageDetector(fresh=) expects names of layers that learn, got '
                    f'{layer!r}, {fault}. Correct it or add it to trainable={self.trainable}.')
        print_log(f'Decoupled training: {num_trained} parameter tensors learn '
                  f'({", ".join(self.trainable)}); the rest is frozen.', logger='current')

    @property
    def has_frozen_extractor(self) -> bool:
        """True if no parameter of backbone and neck learns."""
        return not any(map(learns, self.extractor_parts))

    @property
    def extractor_parts(self) -> list[nn.Module]:
        """Backbone and, if there is one, neck."""
        return [self.backbone] + ([self.neck] if self.with_neck else [])

    def extract_feat(self, batch_inputs: Tensor) -> tuple[Tensor, ...]:
        """Feature maps (N, channels, H, W) of every level, without graph if frozen."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.has_frozen_extractor):
            return super().extract_feat(batch_inputs)

    def train(self, mode: bool = True) -> nn.Module:
        """Training or evaluation mode; what is frozen stays in evaluation mode."""
        super().train(mode)
        # As a whole: dropout and dropped paths have no parameters that would show it.
        frozen = [part for part in self.extractor_parts if not learns(part)]
        frozen += [m for m in self.modules() if isinstance(m, _BatchNorm) and not learns(m)]
        for module in frozen:
            module.eval()
        return self
