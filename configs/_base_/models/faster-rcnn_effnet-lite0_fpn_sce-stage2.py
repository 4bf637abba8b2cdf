# Stage 2 on the small Faster R-CNN with a new softmax classifier. A config on top sets
# bbox_head.num_classes.
_base_ = './faster-rcnn_effnet-lite0_fpn_stage2.py'

model = dict(
    fresh=('fc_cls',),
    roi_head=dict(
        bbox_head=dict(
            loss_cls=dict(_delete_=True, type='CrossEntropyLoss', use_sigmoid=False),
            # A softmax needs no prior probability: mmdet's own initialisation.
            init_cfg=[
                dict(type='Normal', std=0.01, override=dict(name='fc_cls')),
                dict(type='Normal', std=0.001, override=dict(name='fc_reg')),
                dict(type='Xavier', distribution='uniform', override=dict(name='shared_fcs')),
            ])))
