# RichSem with CLIP beside a sigmoid classifier with federated loss. A config on top sets
# bbox_head.num_classes and, for training, the file of CLIP.
_base_ = './faster-rcnn_r50_fpn_bce.py'

model = dict(
    type='ImageSupervisedDetector',
    teacher=dict(
        type='CLIPTeacher',
        model='RN50-quickgelu',
        # The weights of OpenAI, converted for open_clip.
        checkpoint='data/clip/resnet50_clip_openai.safetensors'),
    roi_head=dict(
        type='ImageSupervisedRoIHead',
        semantic_branch=dict(type='TextCosineLinear', embed_dims=1024, scale=100.0),
        soft_label_weight=0.5,
        image_label_weight=0.1,
        bbox_head=dict(loss_cls=dict(type='FederatedLoss', num_selected=50, power=0.5))))
