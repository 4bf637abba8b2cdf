# CLIS on Emoji-LT mini, with all of its parts: A5 of the ablation.
_base_ = [
    '../_base_/models/faster-rcnn_effnet-lite0_fpn_clis.py',
    '../_base_/datasets/emoji-lt_image-level-pairs.py',
    '../_base_/schedules/schedule_emoji-lt_finetune.py',
    '../_base_/default_runtime.py',
]

# The training tool starts from the last checkpoint of this config.
stage1_config = '../baselines/faster-rcnn_effnet-lite0_emoji-lt-mini_stage1.py'

model = dict(roi_head=dict(bbox_head=dict(num_classes=_base_.num_classes)))

auto_scale_lr = dict(base_batch_size=32)  # 16 images and as many pictures
