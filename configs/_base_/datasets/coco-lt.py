# COCO-LT for boxes: COCO's images, training annotations by tools/dataset_tools/build_coco_lt.py,
# evaluation on all of val2017. Pipelines and loaders as for LVIS v0.5.
_base_ = './lvis_v0.5.py'

dataset_type = 'CocoLTDataset'
data_root = 'data/coco/'
num_classes = 80

train_dataloader = dict(
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        ann_file='annotations/coco_lt_train2017.json'))
val_dataloader = dict(
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        ann_file='annotations/instances_val2017.json'))
test_dataloader = val_dataloader

val_evaluator = dict(
    type='CocoLTMetric',
    ann_file=data_root + 'annotations/instances_val2017.json',
    train_ann_file=data_root + 'annotations/coco_lt_train2017.json',
    max_dets=100)  # detections per image and category
test_evaluator = val_evaluator
