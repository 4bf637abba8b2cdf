# Emoji-LT lvis-like: 1,203 categories in the groups of LVIS v1, 22,000 training images of 160
# pixels. Evaluated at 30 detections per image. With 100 proposals these are as large a share of all
# pairs of a proposal and a category as LVIS's 300 with 1,000 proposals. Fixed AP tells what is left
# of a difference without that cap.
_base_ = './emoji-lt.py'

data_root = 'data/emoji_lt/lvis-like/'
num_classes = 1203

train_dataloader = dict(dataset=dict(data_root=data_root))
val_dataloader = dict(dataset=dict(data_root=data_root))
test_dataloader = val_dataloader

val_evaluator = dict(
    ann_file=data_root + 'annotations/emoji_lt_val.json',
    exhaustive_ann_file=data_root + 'annotations/emoji_lt_val_exhaustive.json',
    max_dets_per_class=700)
test_evaluator = val_evaluator
