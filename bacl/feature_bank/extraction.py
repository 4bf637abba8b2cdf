"""What a feature bank has of an image: the frozen part of a detector, run on it."""
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from bacl.engine.checking.load_report import compare_weights, shortened
from bacl.models.augmenters import GTBoxGenerator
from mmdet.registry import MODELS
from mmdet.structures.bbox import bbox2roi, get_box_tensor
from mmengine.config import Config, ConfigDict
from mmengine.dataset import pseudo_collate
from mmengine.device import get_device
from mmengine.structures import InstanceData
from torch import Tensor, nn

from .detector import check_bankable
from .fingerprint import is_extractor
from .storage import RECORD, FeatureBankError


@dataclass(frozen=True)
class BankOptions:
    """Settings of what is stored of each training image.

    Args:
        views: of each image, > 0. A random flip of the pipeline is off in view 0 and on in view 1,
            and so on; everything else that the pipeline draws is drawn anew for each.
        jitters: draws of sixteen jittered boxes for each ground truth, >= 0.
        negatives: proposals without an object that are kept, drawn at random, > 0; None keeps all.
        dtype: of the features, 'float16' or 'float32'.
        seed: of all that is drawn.

    Raises:
        ValueError: if a number is out of its range.
    """

    views: int = 2
    jitters: int = 2
    negatives: int | None = None
    dtype: str = 'float16'
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (('views', 1), ('jitters', 0), ('negatives', 1), ('seed', 0)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise ValueError(f'--{name} expects a number >= {least}, got {value}.')
        if self.dtype not in ('float16', 'float32'):
            raise ValueError(f"--dtype expects 'float16' or 'float32', got {self.dtype!r}.")


def build_extractor(cfg: Config, weights: dict[str, Tensor], name: str) -> nn.Module:
    """The detector of a config in evaluation mode, with all weights before its classifier.

    Raises:
        FeatureBankError: if one is missing or of another shape.
    """
    config = deepcopy(cfg.model)
    config.backbone.pop('init_cfg', None)
    model = MODELS.build(config)
    check_bankable(model.roi_head)
    comparison = compare_weights(model, weights)
    wrong = [entry for entry in comparison.misfit + comparison.missing
             if is_extractor(entry.partition(':')[0])]
    if not wrong:
        plain = {key.removeprefix('module.'): value for key, value in weights.items()}
        left_out = model.load_state_dict(
            {key: value for key, value in plain.items() if is_extractor(key)},
            strict=False).missing_keys
        fitting = set(comparison.loaded)
        wrong = [key for key in left_out if is_extractor(key) and key in fitting]
    if wrong:
        raise FeatureBankError(f'{name} does not fit the extractor of the config: '
                               f'{shortened(wrong)}. Choose the stage-1 checkpoint of the config.')
    return model.to(get_device()).eval()


def proposal_cfg(model: nn.Module, training: bool) -> ConfigDict:
    """The settings by which the RPN of a detector proposes."""
    return model.train_cfg.get('rpn_proposal', model.test_cfg.rpn) if training else \
        model.test_cfg.rpn


@torch.no_grad()
def extract(model: nn.Module, samples: list[dict[str, Any]], training: bool, view: int,
            options: BankOptions) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The records and rows of a batch.

    Args:
        model: detector in evaluation mode.
        samples: of a detector's pipeline; may be none.
        training: whether ground truth and jittered boxes are stored, and which proposals.
        view: its number.
        options: what to store.

    Returns:
        Records, and ``feats``, ``boxes`` and ``labels`` of their rows.

    Raises:
        FeatureBankError: if a feature is not finite in the type of the bank.
    """
    num_feats = model.roi_head.bbox_head.fc_cls.in_features
    if not samples:
        return np.zeros(0, RECORD), dict(
            feats=np.zeros((0, num_feats)), boxes=np.zeros((0, 4)), labels=np.zeros(0))
    data = model.data_preprocessor(pseudo_collate(samples), training)
    data_samples = data['data_samples']
    x = model.extract_feat(data['inputs'])
    proposals = model.rpn_head.predict_by_feat(
        *model.rpn_head(x), batch_img_metas=[sample.metainfo for sample in data_samples],
        cfg=proposal_cfg(model, training))
    records = np.zeros(len(samples), RECORD)
    boxes, labels = [], []
    for record, sample, proposed in zip(records, data_samples, proposals, strict=True):
        stored = boxes_of(model, sample, proposed.bboxes, training, record, options)
        record['view'] = view
        boxes.append(stored[0])
        labels.append(stored[1])
    feats = classifier_inputs(model, x, bbox2roi(boxes)).cpu().numpy()
    stored = feats.astype(options.dtype)
    if not np.isfinite(stored).all():
        raise FeatureBankError(f'A feature of {np.abs(feats).max():.3g} is not finite as '
                               f'{options.dtype}. Build the bank with --dtype float32.')
    return records, dict(feats=stored, boxes=torch.cat(boxes).cpu().numpy(),
                         labels=torch.cat(labels).cpu().numpy())


def boxes_of(model: nn.Module, sample: Any, proposals: Tensor, training: bool, record: np.void,
             options: BankOptions) -> tuple[Tensor, Tensor]:
    """The boxes and labels of a view, in the order of its rows; fills in its record."""
    meta = sample.metainfo
    record['img_id'], record['flip'] = meta['img_id'], bool(meta.get('flip', False))
    record['img_shape'], record['ori_shape'] = meta['img_shape'][:2], meta['ori_shape'][:2]
    record['scale_factor'] = meta.get('scale_factor', (np.nan, np.nan))
    none = proposals.new_zeros(0, dtype=torch.int64)
    parts, labels = [proposals], []
    if training:
        gt, ignored = sample.gt_instances, sample.ignored_instances
        gt_boxes = get_box_tensor(gt.bboxes)
        if options.negatives is not None:
            parts[0] = thin_out(model.roi_head, sample, proposals, options.negatives)
        generator = GTBoxGenerator().to(proposals.device)
        jittered = [generator(gt_boxes, meta['img_shape'][:2]) for _ in range(options.jitters)]
        parts += [gt_boxes, get_box_tensor(ignored.bboxes), *jittered]
        labels = [gt.labels, ignored.labels] + [
            gt.labels.repeat_interleave(generator.num_boxes)] * len(jittered)
        record['gts'], record['ignored'] = len(gt_boxes), len(ignored.bboxes)
        record['jittered'] = generator.num_boxes * len(gt_boxes)
        record['draws'] = options.jitters
    record['proposals'] = len(parts[0])
    return torch.cat(parts), torch.cat([none.new_full((len(parts[0]),), -1), *labels])


def thin_out(roi_head: nn.Module, sample: Any, proposals: Tensor, negatives: int) -> Tensor:
    """The proposals that the head's assigner gives an object, and some of the others."""
    assigned = roi_head.bbox_assigner.assign(
        InstanceData(priors=proposals), sample.gt_instances, sample.ignored_instances).gt_inds
    others = (assigned <= 0).nonzero().flatten().cpu()
    chosen = assigned > 0
    chosen[others[torch.randperm(len(others))[:negatives]].to(chosen.device)] = True
    return proposals[chosen]


def classifier_inputs(model: nn.Module, x: tuple[Tensor], rois: Tensor) -> Tensor:
    """Inputs (N, D) of the classifier for RoIs (N, 5)."""
    found = []

    def keep(module: nn.Module, args: tuple[Tensor]) -> None:
        found.append(args[0])

    hook = model.roi_head.bbox_head.fc_cls.register_forward_pre_hook(keep)
    try:
        model.roi_head._bbox_forward(x, rois)
    finally:
        hook.remove()
    return found[0].flatten(1)
