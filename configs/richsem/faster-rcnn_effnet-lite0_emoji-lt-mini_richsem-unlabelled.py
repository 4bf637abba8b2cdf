# Soft labels on Emoji-LT mini, also of image-level data whose classes nobody knows.
_base_ = [
    '../_base_/models/faster-rcnn_effnet-lite0_fpn_richsem.py',
    '../_base_/datasets/emoji-lt_image-level.py',
    '../_base_/schedules/schedule_emoji-lt_finetune.py',
    '../_base_/default_runtime.py',
]

# The training tool starts from the last checkpoint of this config.
stage1_config = '../baselines/faster-rcnn_effnet-lite0_emoji-lt-mini_stage1.py'

model = dict(
    roi_head=dict(image_label_weight=0.0, bbox_head=dict(num_classes=_base_.num_classes)))

train_dataloader = dict(
    dataset=dict(datasets=[
        _base_.train_dataloader.dataset.datasets[0],
        dict(_base_.image_level_data, with_labels=False),
    ]))
