# CLIS on the small Faster R-CNN, with a plain sigmoid classifier. All weights of losses are
# inferred. A config on top sets bbox_head.num_classes.
_base_ = './faster-rcnn_effnet-lite0_fpn.py'

model = dict(
    type='ImageSupervisedDetector',
    backbone=dict(init_cfg=None),  # all weights come from stage 1
    roi_head=dict(
        type='CLISRoIHead',
        image_loss=dict(type='CrossEntropyLoss', loss_weight=0.5),
        contrastive_loss=dict(type='ContrastivePairLoss', temperature=0.2, loss_weight=0.1),
        shares_stack=True,
        bbox_head=dict(
            type='CLISBBoxHead',
            num_shared_fcs=0,
            num_cls_fcs=2,
            num_reg_fcs=2,
            objectness_weight=1.0,
            loss_cls=dict(_delete_=True, type='SigmoidBCELoss'),
            init_cfg=[
                dict(type='Normal', std=0.01, bias_prob=0.001, override=dict(name='fc_cls')),
                dict(type='Normal', std=0.001, override=dict(name='fc_reg')),
                dict(
                    type='Xavier',
                    distribution='uniform',
                    override=[
                        dict(name='shared_fcs'),
                        dict(name='cls_fcs'),
                        dict(name='reg_fcs'),
                    ]),
            ])))
