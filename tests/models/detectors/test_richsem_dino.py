"""RichSem on a DINO of one layer each: what reaches what."""
import logging

import bacl  # noqa: F401
import numpy as np
import pytest
import torch
from bacl.annotations import ClassTable
from bacl.models.dense_heads.richsem_dino_head import denoising_pairs
from mmdet.models.dense_heads import detr_head, dino_head
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.config import ConfigDict
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData

C, DIMS = 3, 256  # mmdet's decoder has no other number
TEXT = dict(type='TextCosineLinear', embed_dims=8, scale=20.0)
TABLE = ClassTable(('dog', 'cat', 'cow'), np.full(C, 2), np.full(C, 2), 6)


def layer(**attention):
    ffn = dict(embed_dims=DIMS, feedforward_channels=32, ffn_drop=0.0)
    deformable = dict(embed_dims=DIMS, num_levels=2, dropout=0.0)
    return dict(self_attn_cfg=deformable, ffn_cfg=ffn) if not attention else dict(
        self_attn_cfg=dict(embed_dims=DIMS, num_heads=8, dropout=0.0),
        cross_attn_cfg=deformable, ffn_cfg=ffn)


def config():
    return ConfigDict(
        type='RichSemDINO', teacher=dict(type='RandomTeacher', embed_dims=8), num_queries=8,
        num_feature_levels=2, with_box_refine=True, as_two_stage=True,
        data_preprocessor=dict(type='DetDataPreprocessor', mean=[127.0] * 3, std=[128.0] * 3,
                               bgr_to_rgb=True, pad_size_divisor=1),
        backbone=dict(type='ResNet', depth=18, num_stages=4, out_indices=(2, 3), base_channels=8,
                      norm_cfg=dict(type='BN'), norm_eval=True, style='pytorch'),
        neck=dict(type='ChannelMapper', in_channels=[32, 64], kernel_size=1, out_channels=DIMS,
                  act_cfg=None, norm_cfg=dict(type='GN', num_groups=32), num_outs=2),
        encoder=dict(num_layers=1, layer_cfg=layer()),
        decoder=dict(num_layers=2, return_intermediate=True, layer_cfg=layer(cross=True),
                     post_norm_cfg=None),
        positional_encoding=dict(num_feats=DIMS // 2, normalize=True, offset=0.0, temperature=20),
        bbox_head=dict(
            type='RichSemDINOHead', num_classes=C, sync_cls_avg_factor=True,
            text_classifier=TEXT, semantic_branch=TEXT,
            loss_cls=dict(type='FederatedFocalLoss', num_classes=C, use_sigmoid=True,
                          num_selected=C),
            loss_bbox=dict(type='L1Loss', loss_weight=5.0),
            loss_iou=dict(type='GIoULoss', loss_weight=2.0)),
        dn_cfg=dict(label_noise_scale=0.5, box_noise_scale=1.0,
                    group_cfg=dict(dynamic=True, num_groups=None, num_dn_queries=6)),
        train_cfg=dict(assigner=dict(type='HungarianAssigner', match_costs=[
            dict(type='FocalLossCost', weight=2.0),
            dict(type='BBoxL1Cost', weight=5.0, box_format='xywh'),
            dict(type='IoUCost', iou_mode='giou', weight=2.0)])),
        test_cfg=dict(max_per_img=5))


@pytest.fixture(scope='module')
def model():
    init_default_scope('mmdet')
    torch.manual_seed(0)
    model = MODELS.build(config())
    logging.disable(logging.INFO)  # a line for each parameter
    model.init_weights()
    logging.disable(logging.NOTSET)
    model.set_class_counts(TABLE)
    model.bbox_head.loss_cls.class_counts.set_counts([2] * C)
    return model.train()


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
    assert model.dn_query_generator.label_embedding.weight.shape == (C, DIMS)


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
