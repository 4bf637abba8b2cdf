# Table VIII: hard confusion matrix (Eq. 14); on Emoji-LT mini.
_base_ = './faster-rcnn_effnet-lite0_emoji-lt-mini_stage2-bacl.py'

model = dict(roi_head=dict(bbox_head=dict(loss_cls=dict(indicator=dict(hard=True)))))
