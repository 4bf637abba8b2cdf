# The baseline with a classifier of text embeddings: neither soft labels nor image-level data. The
# paper has no row for it.
_base_ = [
    '../_base_/models/dino-4scale_r50_richsem.py',
    '../_base_/datasets/lvis_v1_dino.py',
    '../_base_/schedules/schedule_dino_12e.py',
    '../_base_/default_runtime.py',
]

model = dict(
    bbox_head=dict(
        num_classes=_base_.num_classes,
        semantic_branch=None,
        loss_cls=dict(num_classes=_base_.num_classes)))
