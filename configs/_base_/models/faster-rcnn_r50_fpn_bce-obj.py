# Sigmoid classifier with objectness (BCE*). A config on top sets bbox_head.num_classes.
_base_ = './faster-rcnn_r50_fpn.py'

model = dict(
    roi_head=dict(
        bbox_head=dict(
            loss_cls=dict(_delete_=True, type='ObjectnessBCELoss', loss_weight=1.0),
            # mmdet's own initialisation, except for bias_prob: a summed sigmoid loss needs
            # classifiers that start at a low probability.
            init_cfg=[
                dict(type='Normal', std=0.01, bias_prob=0.001, override=dict(name='fc_cls')),
                dict(type='Normal', std=0.001, override=dict(name='fc_reg')),
                dict(type='Xavier', distribution='uniform', override=dict(name='shared_fcs')),
            ])))
