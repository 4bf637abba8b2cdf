# Emoji-LT smoke: 24 categories, 140 training images. It shows that everything works, not more.
_base_ = './emoji-lt.py'

data_root = 'data/emoji_lt/smoke/'
num_classes = 24

train_dataloader = dict(dataset=dict(data_root=data_root))
val_dataloader = dict(dataset=dict(data_root=data_root))
test_dataloader = val_dataloader

val_evaluator = dict(
    ann_file=data_root + 'annotations/emoji_lt_val.json',
    exhaustive_ann_file=data_root + 'annotations/emoji_lt_val_exhaustive.json',
    max_dets_per_class=16)
test_evaluator = val_evaluator
