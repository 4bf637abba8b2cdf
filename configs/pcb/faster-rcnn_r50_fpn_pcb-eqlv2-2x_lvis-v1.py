# Pairwise class balance with EQL v2, LVIS v1, 24 epochs. Officially with Mask R-CNN and in half
# precision.
_base_ = [
    '../_base_/models/faster-rcnn_r50_fpn_bce-obj.py',
    '../_base_/datasets/lvis_v1.py',
    '../_base_/schedules/schedule_2x.py',
    '../_base_/default_runtime.py',
]

model = dict(
    roi_head=dict(
        bbox_head=dict(
            type='IterativeBBoxHead',
            iteration_weights=(0.2, 0.2, 0.6),  # of the classification losses
            norm_logits=True,
            num_classes=_base_.num_classes,
            loss_cls=dict(
                type='PairwiseBalancedEqualizationLossV2',
                soft_share=0.2,  # alpha
                soft_start=16,  # epoch, from 0
                momentum=0.01))))  # weight of the new scores in the confusion matrix
