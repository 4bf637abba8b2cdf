# RichSem with CLIP on DINO: text classifier and semantic branch. A config on top sets num_classes
# of bbox_head and of its loss_cls and, for training, the file of CLIP.
_base_ = './dino-4scale_r50.py'

model = dict(
    teacher=dict(
        type='CLIPTeacher',
        model='RN50-quickgelu',
        # The weights of OpenAI, converted for open_clip.
        checkpoint='data/clip/resnet50_clip_openai.safetensors'),
    bbox_head=dict(
        text_classifier=dict(type='TextCosineLinear', embed_dims=1024, scale=100.0),
        semantic_branch=dict(type='TextCosineLinear', embed_dims=1024, scale=100.0),
        soft_label_weight=0.5))
