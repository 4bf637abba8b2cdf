# Forest R-CNN, LVIS v1, 24 epochs. Officially on images of one size (1333 x 800),
# with a Smooth-L1 box loss and a warm-up from 1/3 of the learning rate. The trees are built by
# tools/dataset_tools/build_class_trees.py.
_base_ = [
    '../_base_/models/faster-rcnn_r50_fpn_forest.py',
    '../_base_/datasets/lvis_v1.py',
    '../_base_/schedules/schedule_2x.py',
    '../_base_/default_runtime.py',
]

model = dict(
    roi_head=dict(
        bbox_head=dict(
            num_classes=_base_.num_classes,
            loss_cls=dict(trees=_base_.data_root + 'annotations/class_trees.json'))))

optim_wrapper = dict(clip_grad=dict(max_norm=35, norm_type=2))
