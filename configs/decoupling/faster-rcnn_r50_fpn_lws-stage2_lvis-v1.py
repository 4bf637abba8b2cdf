# LWS, LVIS v1, 12 epochs after 12 of stage 1: a factor for each weight vector of the classifier,
# on classes sampled alike. In the repository of EQL v2 75,000 iterations.
_base_ = [
    '../_base_/models/faster-rcnn_r50_fpn_stage2.py',
    '../_base_/datasets/lvis_v1.py',
    '../_base_/schedules/schedule_1x.py',
    '../_base_/default_runtime.py',
]

# The training tool starts from the last checkpoint of this config.
stage1_config = '../baselines/faster-rcnn_r50_fpn_sce-1x_lvis-v1.py'

# A class is drawn, then an image that shows it.
train_dataloader = dict(sampler=dict(_delete_=True, type='ClassAwareSampler'))

model = dict(
    trainable=('class_scale',),
    roi_head=dict(
        bbox_head=dict(
            num_classes=_base_.num_classes, cls_predictor_cfg=dict(type='ScaledLinear'))))
