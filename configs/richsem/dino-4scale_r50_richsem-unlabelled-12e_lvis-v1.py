# RichSem on DINO with LVIS v1 and the images of ImageNet-LVIS without their classes: these have
# soft labels alone. What the paper reports with unlabelled images is AP on Visual Genome (7.3
# without, 7.8 with them) and on OpenImages (38.9, 41.0; supplement, Table 3).
_base_ = [
    '../_base_/models/dino-4scale_r50_richsem.py',
    '../_base_/datasets/lvis_v1_dino_image-level.py',
    '../_base_/schedules/schedule_dino_12e.py',
    '../_base_/default_runtime.py',
]

model = dict(
    bbox_head=dict(
        num_classes=_base_.num_classes, loss_cls=dict(num_classes=_base_.num_classes)))

image_level_data = dict(
    _base_.image_level_data, dataset=dict(_base_.image_level_data.dataset, with_labels=False))
train_dataloader = dict(
    dataset=dict(datasets=[_base_.train_dataloader.dataset.datasets[0], image_level_data]))
