# The baseline of EFL: the focal loss, everything else alike.
_base_ = './atss_r50_fpn_efl-2x_lvis-v1.py'

model = dict(
    bbox_head=dict(
        loss_cls=dict(
            _delete_=True, type='FocalLoss', use_sigmoid=True, gamma=2.0, alpha=0.25)))
