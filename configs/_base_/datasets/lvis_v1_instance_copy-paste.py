# LVIS v1 for boxes and masks; training images with Copy-Paste, which pastes and keeps masks anyway.
_base_ = './lvis_v1_copy-paste.py'

val_evaluator = dict(metric=['bbox', 'segm'])
test_evaluator = val_evaluator
