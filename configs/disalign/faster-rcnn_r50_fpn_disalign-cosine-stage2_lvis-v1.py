# DisAlign with a cosine classifier, LVIS v1, 12 epochs after 12 of stage 1.
_base_ = './faster-rcnn_r50_fpn_disalign-stage2_lvis-v1.py'

# The training tool starts from the last checkpoint of this config.
stage1_config = './faster-rcnn_r50_fpn_disalign-cosine-stage1_lvis-v1.py'

model = dict(
    roi_head=dict(
        bbox_head=dict(cls_predictor_cfg=dict(type='DisAlignCosineLinear', scale=20.0))))
