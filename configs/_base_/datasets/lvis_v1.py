# LVIS v1 for boxes; everything else as for LVIS v0.5.
_base_ = './lvis_v0.5.py'

dataset_type = 'LongTailLVISV1Dataset'
data_root = 'data/lvis_v1/'
num_classes = 1203

# Images are named by their URL, which holds the folder: val has images of train2017 and val2017.
train_dataloader = dict(
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        ann_file='annotations/lvis_v1_train.json',
        data_prefix=dict(img='')))
val_dataloader = dict(
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        ann_file='annotations/lvis_v1_val.json',
        data_prefix=dict(img='')))
test_dataloader = val_dataloader

val_evaluator = dict(ann_file=data_root + 'annotations/lvis_v1_val.json')
test_evaluator = val_evaluator
