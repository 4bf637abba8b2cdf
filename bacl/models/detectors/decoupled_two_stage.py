"""Stage 2 of decoupled training: a two-stage detector with a frozen extractor."""
from collections.abc import Callable, Sequence

import torch
from mmdet.models.detectors import TwoStageDetector
from mmdet.registry import MODELS
from mmdet.utils import ConfigType
from mmengine.logging import print_log
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from .folded_module import FoldedModule, as_tuple

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
    classifier learns from the features that it meets at test time.

    The extractor is what of the backbone and, behind a frozen backbone, of the neck is frozen
    altogether. It records no graph, and its batch norms are folded into its convolutions, in
    training and test alike; see :class:`.folded_module.FoldedModule`. That takes a third of its
    time on a CPU and changes features by rounding only, some 1e-6 of their range, which is why it
    is the default.

    An RPN that is frozen, too, has its losses computed all the same. They are in the log, and what
    samples their anchors draws random numbers: without it, the same seed would sample other RoIs.

    Args:
        backbone: config of the backbone; ``**kwargs`` are the rest of ``TwoStageDetector``'s.
        trainable: a parameter learns if its name contains one of these.
        fresh: names of layers, such as ``('fc_cls',)``, that start anew in this stage: what the
            checkpoint of stage 1 has of them is left out by
            :class:`~bacl.engine.hooks.LoadReportHook`. For a classifier of another meaning or
            shape, or one that is trained again from its start (cRT, BAGS).
        fold_batch_norm: False computes the extractor as mmdet does, bit for bit.
        extractor_dtype: 'bfloat16' or 'float16' computes the extractor under autocast to it, in
            training and test, and hands its features on in float32; None leaves precision alone.

    Raises:
        ValueError: if no parameter's name contains any of ``trainable``, if no layer has a name
            in ``fresh``, or one that does not learn, or if ``extractor_dtype`` is another.

    Reference:
        Qi et al., "Balanced Classification", IEEE TMM 2023, Section IV-B; which parts learn is
        the official code's choice, where the paper only names what is frozen.
    """

    # The training tools and hooks refuse to train such a model from scratch.
    needs_pretrained_extractor = True

    def __init__(self, backbone: ConfigType, *,
                 trainable: Sequence[str] = STAGE2_PARTS, fresh: Sequence[str] = (),
                 fold_batch_norm: bool = True, extractor_dtype: str | None = None,
                 **kwargs) -> None:
        super().__init__(backbone, **kwargs)
        if extractor_dtype not in (None, 'bfloat16', 'float16'):
            raise ValueError("DecoupledTwoStageDetector(extractor_dtype=) expects 'bfloat16', "
                             f"'float16' or None, got {extractor_dtype!r}.")
        self.extractor_dtype = extractor_dtype
        self.trainable = tuple(trainable)
        num_trained = 0
        for name, parameter in self.named_parameters():
            parameter.requires_grad_(any(part in name for part in self.trainable))
            num_trained += parameter.requires_grad
        if not num_trained:
            raise ValueError(f'DecoupledTwoStageDetector(trainable=) expects parts of parameter '
                             f'names, got {self.trainable}, which no parameter contains.')
        # A list, so that no weight is in the state dict twice.
        self._frozen_parts = [FoldedModule(part) if fold_batch_norm else part
                              for part in self.extractor_parts]
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
    def extractor_parts(self) -> list[nn.Module]:
        """Backbone and, if there is one, neck."""
        return [self.backbone] + ([self.neck] if self.with_neck else [])

    def extract_feat(self, batch_inputs: Tensor) -> tuple[Tensor, ...]:
        """Feature maps (N, channels, H, W) of every level, without graph if frozen."""
        feats, is_frozen = batch_inputs, True
        for part, frozen_part in zip(self.extractor_parts, self._frozen_parts, strict=True):
            is_frozen = is_frozen and not learns(part)
            feats = self._without_graph(frozen_part, feats) if is_frozen else part(feats)
        return feats

    def _without_graph(self, part: Callable, inputs: Tensor | tuple[Tensor, ...]
                       ) -> tuple[Tensor, ...]:
        if self.extractor_dtype is None:
            with torch.no_grad():
                return part(inputs)
        device_type = as_tuple(inputs)[0].device.type
        with torch.no_grad(), torch.autocast(device_type, getattr(torch, self.extractor_dtype)):
            return tuple(maps.float() for maps in as_tuple(part(inputs)))

    def train(self, mode: bool = True) -> nn.Module:
        """Training or evaluation mode; what is frozen stays in evaluation mode."""
        if mode != self.training:  # a hook may have exchanged weights, as an EMAHook does
            for part in self._frozen_parts:
                if isinstance(part, FoldedModule):
                    part.fold_anew()
        super().train(mode)
        # As a whole: dropout and dropped paths have no parameters that would show it.
        frozen = [part for part in self.extractor_parts if not learns(part)]
        frozen += [m for m in self.modules() if isinstance(m, _BatchNorm) and not learns(m)]
        for module in frozen:
            module.eval()
        return self
