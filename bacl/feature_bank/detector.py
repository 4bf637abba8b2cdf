"""A detector whose frozen part is read from a feature bank."""
from collections.abc import Sequence

import numpy as np
import torch
from mmdet.models.roi_heads import CascadeRoIHead, StandardRoIHead
from mmdet.models.roi_heads.bbox_heads import BBoxHead, ConvFCBBoxHead
from mmdet.registry import MODELS
from mmdet.structures import SampleList
from mmengine.logging import print_log
from torch import Tensor, nn

from ..models.augmenters import GTBoxGenerator
from ..models.detectors import DecoupledTwoStageDetector
from .assignment import remember_assignments
from .fingerprint import CLASSIFIER_PARTS
from .storage import FeatureTable, open_table


def as_keys(rois: np.ndarray) -> list[bytes]:
    """Each RoI as bytes, equal if and only if the RoIs are.

    Args:
        rois: (N, 5), number of the image in the batch, x1, y1, x2, y2.
    """
    rois = np.ascontiguousarray(rois, np.float32) + 0  # -0 becomes 0, whose bytes differ
    return rois.view('V20')[:, 0].tolist()


class StoredRoIFeatures(nn.Module):
    """A RoI extractor that looks the features of a RoI up by its box.

    So whoever chooses the RoIs, any sampler among them, need not know of the bank.
    """

    num_inputs = 1

    def begin(self, table: FeatureTable, rows: Sequence[np.ndarray],
              boxes: Sequence[np.ndarray]) -> None:
        """Take the boxes of a batch.

        Args:
            table: of features.
            rows: of each image, (R,), where the features of its boxes are.
            boxes: of each image, (R, 4).
        """
        self.table = table
        self._rows = np.concatenate(rows)
        images = np.repeat(np.arange(len(rows), dtype=np.float32), [len(part) for part in rows])
        self._rois = np.column_stack([images, np.concatenate(boxes)])
        self._places = None

    def forward(self, images: tuple[Tensor], rois: Tensor) -> Tensor:
        """Features (N, D), float32, of RoIs (N, 5).

        Args:
            images: one tensor (B, 1), the number of each image in the batch.
            rois: number of the image in ``images``, x1, y1, x2, y2.

        Raises:
            ValueError: if a box is not in the bank.
        """
        host = rois.detach().cpu().numpy()
        number = images[0].cpu().numpy().astype(host.dtype)[host[:, 0].astype(np.int64)]
        rows = self._rows[self._find(np.column_stack([number, host[:, 1:]]))]
        return torch.from_numpy(self.table.feats(rows)).to(rois.device).float()

    def _find(self, rois: np.ndarray) -> list[int] | slice:
        if np.array_equal(rois, self._rois):  # all of them, as in a test
            return slice(None)
        if self._places is None:
            self._places = {key: place for place, key in enumerate(as_keys(self._rois))}
        keys = as_keys(rois)
        try:
            return [self._places[key] for key in keys]
        except KeyError:
            missing = [roi for roi, key in zip(rois, keys, strict=True)
                       if key not in self._places]
            raise ValueError(
                f'The feature bank lacks {len(missing)} of {len(rois)} boxes, such as '
                f'{missing[0][1:].tolist()}: it has features of its proposals, ground truth '
                'and jittered boxes only. A RoI head, sampler or augmenter that makes boxes of its '
                'own has to be trained without a bank.') from None


class StoredBoxes(nn.Module):
    """A box generator that gives the jittered boxes of the bank, image after image.

    Args:
        num_boxes: of a ground truth.
    """

    def __init__(self, num_boxes: int) -> None:
        super().__init__()
        self.num_boxes = num_boxes
        self.boxes = iter(())

    def forward(self, gt_bboxes: Tensor, img_shape: tuple[int, int]) -> Tensor:
        """Jittered boxes of the next image, (K * G, 4)."""
        return next(self.boxes)


class WithoutMasks:
    """A RoI head that keeps its mask head and never runs it."""

    with_mask = False


@MODELS.register_module()
class FeatureBankDetector(DecoupledTwoStageDetector):
    """A stage-2 detector that reads proposals and inputs of its classifier from a bank.

    It is the detector of the config, whole: its frozen weights are loaded and saved, but backbone,
    neck, RPN and the shared layers of the box head never run. So a checkpoint of it is one of the
    detector. RPN and mask head, which learn in a stage 2 elsewhere, stay as they are.

    Args:
        feature_bank: folder of the bank.
        **kwargs: of :class:`~bacl.models.detectors.DecoupledTwoStageDetector`.

    Raises:
        ValueError: if a layer before the classifier learns.
        TypeError: if the detector has other heads than those of Faster and Mask R-CNN, or jitters
            boxes otherwise than the bank.
    """

    def __init__(self, *args, feature_bank: str, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.feature_bank = feature_bank
        self._freeze_before_classifier()
        head = self.roi_head
        check_bankable(head)
        remember_assignments(head)
        if head.with_mask:
            head.__class__ = type(type(head).__name__, (WithoutMasks, type(head)), {})
        head.bbox_roi_extractor = StoredRoIFeatures()
        box_head = head.bbox_head
        box_head.with_avg_pool = False
        if isinstance(box_head, ConvFCBBoxHead):
            box_head.num_shared_convs = box_head.num_shared_fcs = 0  # the layers stay, unused
        self.generators = []
        for augmenter in getattr(head, 'augmenters', ()):
            if augmenter.box_generator is not None:
                augmenter.box_generator = StoredBoxes(augmenter.box_generator.num_boxes)
                self.generators.append(augmenter.box_generator)

    def _freeze_before_classifier(self) -> None:
        learning = [name for name, parameter in self.named_parameters()
                    if parameter.requires_grad]
        still = [name for name in learning
                 if name.startswith('rpn_head.') or 'mask_head' in name.split('.')]
        wrong = [name for name in learning
                 if name not in still and CLASSIFIER_PARTS.isdisjoint(name.split('.'))]
        if wrong:
            raise ValueError(
                f'A feature bank expects all before the classifier to be frozen, but '
                f'trainable={self.trainable} lets {wrong[0]} and {len(wrong) - 1} others learn. '
                'Train without --feature-bank, or leave them out of trainable.')
        parts = sorted({name.split('.')[0] if name.startswith('rpn_head') else 'mask_head'
                        for name in still})
        for name, parameter in self.named_parameters():
            if name in still:
                parameter.requires_grad_(False)
        told = ['every image is seen in the stored views and jittered boxes only']
        if parts:
            told.append(f'{" and ".join(parts)} stay as they are in stage 1')
        if self.roi_head.with_mask:
            told.append('masks are not predicted, boxes alone are evaluated')
        print_log(f'Feature bank: {"; ".join(told)}.', logger='current')

    def extract_feat(self, batch_inputs: dict[str, list]) -> tuple[Tensor]:
        """Tell the RoI extractor where the features of the batch are.

        Returns:
            The numbers of the images, (B, 1), in place of feature maps.
        """
        self.roi_head.bbox_roi_extractor.begin(
            open_table(self.feature_bank, batch_inputs['split'][0]), batch_inputs['rows'],
            batch_inputs['boxes'])
        device = next(self.roi_head.parameters()).device
        return torch.arange(len(batch_inputs['rows']), device=device)[:, None],

    def loss(self, batch_inputs: dict[str, list], batch_data_samples: SampleList) -> dict:
        """The losses of the RoI head on stored proposals.

        Args:
            batch_inputs: of :class:`~bacl.feature_bank.LoadFeatureBankSample`, a list of each.
            batch_data_samples: with ``proposals``.
        """
        x = self.extract_feat(batch_inputs)
        for generator in self.generators:
            generator.boxes = (
                torch.from_numpy(boxes[len(boxes) - number:]).to(x[0].device)
                for boxes, number in zip(batch_inputs['boxes'], batch_inputs['jittered'],
                                         strict=True))
        return self.roi_head.loss(x, [sample.proposals for sample in batch_data_samples],
                                  batch_data_samples)


def check_bankable(roi_head: nn.Module) -> None:
    """Refuse RoI heads whose classifier has no single input for each box.

    Raises:
        TypeError: naming the head.
    """
    name, head = type(roi_head).__name__, roi_head.bbox_head
    if isinstance(roi_head, CascadeRoIHead) or not isinstance(roi_head, StandardRoIHead):
        raise TypeError(f'A feature bank expects a StandardRoIHead or one of its subclasses such '
                        f'as LongTailRoIHead, got {name}: in a cascade the boxes of a stage depend '
                        'on what the one before has learned. Train without a bank.')
    own = [key for key in ('num_cls_convs', 'num_cls_fcs', 'num_reg_convs', 'num_reg_fcs')
           if getattr(head, key, 0)]
    is_known = isinstance(head, ConvFCBBoxHead) or type(head).forward is BBoxHead.forward
    if own or not is_known or not hasattr(head, 'fc_cls'):
        raise TypeError(f'A feature bank expects a box head whose fc_cls and fc_reg share their '
                        f'inputs, such as Shared2FCBBoxHead, got {type(head).__name__}'
                        + f' with {", ".join(own)}' * bool(own) + '. Train without a bank.')
    for augmenter in getattr(roi_head, 'augmenters', ()):
        generator = augmenter.box_generator
        if generator is not None and type(generator) is not GTBoxGenerator:
            raise TypeError(f'A feature bank has boxes of the GTBoxGenerator, got '
                            f'{type(generator).__name__} in {type(augmenter).__name__}. Train '
                            'without a bank.')
