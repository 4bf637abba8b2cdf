"""DINO on a CPU."""
from mmengine.config import ConfigDict


def small_dino(model: ConfigDict, num_classes: int, text_dims: int = 8) -> ConfigDict:
    """A config of a RichSemDINO made small, in place, with a teacher that needs no file.

    mmdet's decoder has 256 dimensions and no other number.
    """
    model.backbone.update(depth=18, base_channels=8, out_indices=(2, 3), frozen_stages=-1,
                          init_cfg=None)
    model.backbone.norm_cfg = dict(type='BN')
    model.teacher = dict(type='RandomTeacher', embed_dims=text_dims, scale=20.0)
    model.neck.update(in_channels=[32, 64], num_outs=2)
    model.num_feature_levels, model.num_queries = 2, 8
    model.encoder.num_layers, model.decoder.num_layers = 1, 2
    for part in (model.encoder.layer_cfg, model.decoder.layer_cfg):
        part.ffn_cfg.feedforward_channels = 32
        (part.get('cross_attn_cfg') or part.self_attn_cfg).num_levels = 2
    model.dn_cfg.group_cfg.num_dn_queries = 6
    head = model.bbox_head
    head.num_classes = head.loss_cls.num_classes = head.loss_cls.num_selected = num_classes
    for predictor in (head.text_classifier, head.semantic_branch):
        predictor.update(embed_dims=text_dims, scale=20.0)
    model.test_cfg.max_per_img = 5
    return model
