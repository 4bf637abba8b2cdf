"""RichSem on a DINO of one layer each: what reaches what."""
import logging
from pathlib import Path

import bacl  # noqa: F401
import numpy as np
import pytest
import torch
from bacl.annotations import ClassTable
from bacl.models.dense_heads.richsem_dino_head import denoising_pairs, with_any_labels
from mmdet.models.dense_heads import detr_head, dino_head
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from small_dino import small_dino
from torch import nn
from torchvision.ops import box_iou

C = 3
CONFIG = Path(__file__).parents[3] / 'configs/richsem/dino-4scale_r50_richsem-12e_lvis-v1.py'
TABLE = ClassTable(('dog', 'cat', 'cow'), np.full(C, 2), np.full(C, 2), 6)


def build():
    init_default_scope('mmdet')
    torch.manual_seed(0)
    model = MODELS.build(small_dino(Config.fromfile(CONFIG).model, C))
    logging.disable(logging.INFO)  # a line for each parameter
    model.init_weights()
    logging.disable(logging.NOTSET)
    for module in model.modules():
        if hasattr(module, 'set_class_counts'):  # as MethodHook does
            module.set_class_counts(TABLE)
    return model.train()


@pytest.fixture(scope='module')
def model():
    return build()


def losses_of(model, *kinds):
    generator = torch.Generator().manual_seed(0)
    inputs, samples = torch.randn(len(kinds), 3, 64, 64, generator=generator), []
    for kind in kinds:
        sample = DetDataSample(metainfo=dict(
            img_shape=(64, 64), ori_shape=(64, 64), batch_input_shape=(64, 64), img_path='a.jpg',
            scale_factor=(1., 1.), source=None if kind == 'objects' else 'image_level'))
        boxes = [[4, 4, 30, 30], [20, 30, 60, 60]] if kind == 'objects' else [[0, 0, 64, 64]]
        labels = dict(objects=[0, 2], coarse=[1], unlabelled=[-1], empty=[])[kind]
        boxes = torch.tensor(boxes[:len(labels)], dtype=torch.float32).view(-1, 4)
        sample.gt_instances = InstanceData(bboxes=boxes, labels=torch.tensor(labels).long())
        samples.append(sample)
    torch.manual_seed(1)
    losses = model.loss(inputs, samples)
    return {name: value for name, value in losses.items() if 'loss' in name}


def learns(model, loss, part):
    model.zero_grad()
    loss.backward(retain_graph=True)
    return any(parameter.grad is not None and bool(parameter.grad.any())
               for name, parameter in model.named_parameters() if part in name)


def test_layers_of_the_decoder_are_shared_and_the_encoder_has_its_own(model):
    for branches in (model.bbox_head.cls_branches, model.bbox_head.reg_branches):
        assert branches[0] is branches[1] and branches[2] is not branches[0]
    assert model.dn_query_generator.label_embedding.weight.shape == (C, 256)


def test_which_loss_reaches_which_part(model):
    losses = losses_of(model, 'objects', 'coarse')
    for name in ('loss_soft_label', 'dn_loss_soft_label'):
        assert losses[name] > 0
        assert learns(model, losses[name], 'semantic_branch')
        assert learns(model, losses[name], 'backbone')
        assert not learns(model, losses[name], 'cls_branches')
    assert not learns(model, losses['loss_cls'], 'semantic_branch')
    assert learns(model, losses['loss_cls'], 'cls_branches')
    assert not any('teacher' in name for name in model.state_dict())


def test_images_without_a_class_have_soft_labels_alone_and_all_losses_are_there(model):
    known, unknown = losses_of(model, 'objects'), losses_of(model, 'unlabelled')
    assert known.keys() == unknown.keys() == losses_of(model, 'empty').keys()
    for name, value in unknown.items():
        assert (value.item() > 0) == ('soft_label' in name), name
    assert not learns(model, sum(unknown.values()), 'cls_branches')
    model.zero_grad()
    sum(unknown.values()).backward()
    missing = [name for name, parameter in model.named_parameters()
               if parameter.requires_grad and parameter.grad is None]
    assert not missing  # DDP waits for a gradient of every parameter


def test_objects_beside_images_without_a_class_have_their_own_losses(model):
    alone, mixed = losses_of(model, 'objects'), losses_of(model, 'objects', 'unlabelled')
    for name in ('loss_bbox', 'loss_iou', 'enc_loss_bbox'):  # that draw nothing
        torch.testing.assert_close(mixed[name], alone[name])


def test_images_without_a_class_do_not_count_in_the_divisors_of_other_ranks(model, monkeypatch):
    for kind in ('objects', 'unlabelled'):
        counts = []
        for module in (detr_head, dino_head):
            monkeypatch.setattr(module, 'reduce_mean', lambda count, seen=counts: seen.append(
                float(count)) or count)
        losses_of(model, kind)
        # Classes and boxes of two layers of the decoder, of their denoising part, of the encoder.
        assert len(counts) == 10 and all(count > 0 for count in counts) == (kind == 'objects')
    assert not any(counts)


def test_denoising_queries_are_paired_with_the_boxes_they_are_made_from():
    meta = dict(num_denoising_queries=12, num_denoising_groups=2)  # of at most 3 boxes
    query, box = denoising_pairs(2, meta, torch.device('cpu'))
    assert query.tolist() == [0, 1, 6, 7] and box.tolist() == [0, 1, 0, 1]
    assert denoising_pairs(0, meta, torch.device('cpu'))[0].numel() == 0
    none = dict(num_denoising_queries=0, num_denoising_groups=1)
    assert denoising_pairs(0, none, torch.device('cpu'))[0].numel() == 0


def test_it_predicts(model):
    sample = DetDataSample(metainfo=dict(img_shape=(64, 64), batch_input_shape=(64, 64),
                                         scale_factor=(1., 1.)))
    with torch.no_grad():
        (result,) = model.eval().predict(torch.randn(1, 3, 64, 64), [sample])
    model.train()
    assert len(result.pred_instances) == 5


def squares(number=8):
    """Images of 64 x 64 pixels, each with a bright rectangle in the channel of its class."""
    generator = torch.Generator().manual_seed(0)
    inputs, samples = 0.1 * torch.randn(number, 3, 64, 64, generator=generator), []
    for index in range(number):
        x, y, width, height = torch.randint(16, 26, (4,), generator=generator).tolist()
        inputs[index, index % C, y:y + height, x:x + width] += 2
        samples.append(DetDataSample(metainfo=dict(
            img_shape=(64, 64), ori_shape=(64, 64), batch_input_shape=(64, 64),
            img_path=f'{index}.jpg', scale_factor=(1., 1.))))
        samples[-1].gt_instances = InstanceData(
            bboxes=torch.tensor([[x, y, x + width, y + height]]).float(),
            labels=torch.tensor([index % C]))
    return inputs, samples


def test_it_learns_eight_images_by_heart():
    model, (inputs, samples) = build(), squares()
    parameters = [value for value in model.parameters() if value.requires_grad]
    optimizer, history = torch.optim.AdamW(parameters, lr=5e-4), []
    for _ in range(50):
        losses = model.loss(inputs, samples)
        history.append({name: value.item() for name, value in losses.items()})
        optimizer.zero_grad()
        sum(value for name, value in losses.items() if 'loss' in name).backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
    for name in ('loss_cls', 'loss_bbox', 'loss_iou', 'enc_loss_cls', 'loss_soft_label',
                 'dn_loss_soft_label'):
        assert history[-1][name] < 0.3 * history[0][name], name
    with torch.no_grad():
        results = model.eval().predict(inputs, samples)
    for result in results:
        found, truth = result.pred_instances, result.gt_instances
        assert found.labels[0] == truth.labels[0]
        assert box_iou(found.bboxes[:1], truth.bboxes) > 0.5


@pytest.mark.parametrize('part', ['classifier', 'branch', None])
def test_training_without_its_teacher_is_refused_where_something_needs_it(part):
    init_default_scope('mmdet')
    cfg = small_dino(Config.fromfile(CONFIG).model, C)
    if part != 'branch':
        cfg.bbox_head.semantic_branch = None
    if part != 'classifier':
        cfg.bbox_head.text_classifier = None
    model = MODELS.build(cfg).train()
    for module in model.bbox_head.loss_cls.modules():
        if hasattr(module, 'set_class_counts'):
            module.set_class_counts(TABLE)
    if part is None:
        assert losses_of(model, 'objects')
    else:
        with pytest.raises(RuntimeError, match='RichSemDINO.loss.. expects a teacher.*MethodHook'):
            losses_of(model, 'objects')


def test_denoising_queries_of_boxes_without_a_label_are_of_any_class():
    boxes = InstanceData(bboxes=torch.zeros(200, 4), labels=torch.full((200,), -1))
    boxes.labels[:2] = torch.tensor([3, 0])
    torch.manual_seed(0)
    labels = with_any_labels(boxes, 5).labels
    assert labels[:2].tolist() == [3, 0] and boxes.labels[2:].eq(-1).all()
    assert labels.unique().tolist() == [0, 1, 2, 3, 4]
