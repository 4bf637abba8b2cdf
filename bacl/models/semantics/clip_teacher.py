"""CLIP as a teacher, through the package open_clip and from a local file."""
from collections.abc import Mapping, Sequence
from inspect import signature
from pathlib import Path
from zipfile import ZipFile, is_zipfile

import torch
import torch.nn.functional as F
from bacl.compat.checkpoints import load_weights
from bacl.compat.optional_packages import require_packages
from bacl.compat.safetensors import read_safetensors
from mmdet.registry import MODELS
from torch import Tensor
from torchvision.ops import roi_align

from .teacher import SemanticTeacher

NUM_TEXTS = 256  # in one pass
STRIDE = 32  # of the last map, pixels
MEAN = (0.48145466, 0.4578275, 0.40821073)  # of CLIP's images, RGB in [0, 1]
_OPENAI = ('input_resolution', 'context_length', 'vocab_size')  # beside its weights
STD = (0.26862954, 0.26130258, 0.27577711)


@MODELS.register_module()
class CLIPTeacher(SemanticTeacher):
    """CLIP with a ResNet: RoIAlign on its last map, then its attention pool.

    A class is the mean of the text embeddings of its name in prompts, those of CLIP for ImageNet
    and the name with a full stop; it is normalised after the mean, not before. The scale is the
    one that CLIP has learned, about 100 (of random weights 14.3), which a semantic branch shares.

    Args:
        checkpoint: local file of weights by the names of open_clip, as ``.safetensors`` or as a
            state dict of torch; None leaves random weights, for tests.
        model: name of a configuration of open_clip, or such a configuration. For the weights of
            OpenAI it has to be one with 'quickgelu'.
        plain_names: False leaves underscores in names, as the official code does.
        **kwargs: ``cached_sources`` of :class:`.SemanticTeacher`.

    Raises:
        ImportError: if open_clip is not installed.
        FileNotFoundError: if there is no such file.
        ValueError: if open_clip has no such configuration, if it has no ResNet, or if the weights
            are those of another architecture or a TorchScript program.
        UnsafeCheckpointError: if reading the file would execute code.

    Reference:
        Radford et al., "Learning Transferable Visual Models From Natural Language Supervision",
        ICML 2021; Meng et al., NeurIPS 2023 (RichSem), whose teacher this is.
    """

    def __init__(self, checkpoint: str | None, model: str | Mapping = 'RN50-quickgelu',
                 plain_names: bool = False, **kwargs) -> None:
        require_packages('CLIP teachers', 'open_clip')
        import open_clip

        config = open_clip.get_model_config(model) if isinstance(model, str) else dict(model)
        if config is None:
            raise ValueError(f'CLIPTeacher(model=) expects a configuration of open_clip such as '
                             f"'RN50-quickgelu', got {model!r}.")
        is_plain = set(config) <= set(signature(open_clip.CLIP).parameters) and not config[
            'text_cfg'].get('hf_model_name')
        if not is_plain or not isinstance(config['vision_cfg'].get('layers'), (list, tuple)):
            raise ValueError(f'CLIPTeacher(model=) expects a CLIP with a ResNet, such as '
                             f"'RN50-quickgelu', got {model!r}.")
        clip = open_clip.CLIP(**config)
        if checkpoint is not None:
            _load(clip, checkpoint, model)
        super().__init__(scale=float(clip.logit_scale.detach().exp()), **kwargs)
        self.plain_names = plain_names
        self.visual, self._clip = clip.visual, [clip]  # text is embedded once
        self.grid = config['vision_cfg']['image_size'] // STRIDE
        context_length = config['text_cfg'].get('context_length', 77)
        self._tokenize = open_clip.SimpleTokenizer(context_length=context_length)
        self._templates = (*open_clip.OPENAI_IMAGENET_TEMPLATES, '{}.'.format)
        for name, values in (('mean', MEAN), ('std', STD)):
            self.register_buffer(name, torch.tensor(values)[:, None, None])

    def plain_name(self, name: str) -> str:
        """See :meth:`.SemanticTeacher.plain_name`."""
        return super().plain_name(name) if self.plain_names else name.strip()

    def embed_names(self, names: Sequence[str]) -> Tensor:
        """See :meth:`.SemanticTeacher.embed_names`."""
        clip = self._clip[0].eval().to(self.mean.device)
        total = 0
        for template in self._templates:
            tokens = self._tokenize([template(name) for name in names]).to(self.mean.device)
            total = total + torch.cat(list(map(clip.encode_text, tokens.split(NUM_TEXTS))))
        clip.transformer.cpu()  # it is done
        return total / len(self._templates)

    def embed_boxes(self, images: Tensor, boxes: Sequence[Tensor]) -> Tensor:
        """See :meth:`.SemanticTeacher.embed_boxes`."""
        visual = self.visual
        # The map has no cells for what is beyond a multiple of its stride.
        height, width = images.shape[2:]
        x = visual.stem(F.pad((images - self.mean) / self.std,
                              (0, -width % STRIDE, 0, -height % STRIDE)))
        for layer in (visual.layer1, visual.layer2, visual.layer3, visual.layer4):
            x = layer(x)
        rois = roi_align(x, [box.to(x) for box in boxes], self.grid, 1 / STRIDE, aligned=True)
        return visual.attnpool(rois)


def _load(clip: torch.nn.Module, checkpoint: str, model: str | Mapping) -> None:
    """Load weights, all of them or none."""
    file = Path(checkpoint).expanduser()
    if file.suffix == '.safetensors':
        if not file.is_file():
            raise FileNotFoundError(f'CLIPTeacher(checkpoint=) expects a file, got {file}.')
        weights = read_safetensors(file.read_bytes(), str(file))
    else:
        if is_zipfile(file) and any('/code/' in name for name in ZipFile(file).namelist()):
            raise ValueError(f'CLIPTeacher(checkpoint=) expects weights, got the program {file} '
                             '(TorchScript, as OpenAI publishes CLIP). Save its state dict: '
                             "torch.save(torch.jit.load(FILE, map_location='cpu').state_dict(), "
                             'OTHER).')
        weights = load_weights(file)
        weights = weights.get('state_dict', weights)
    # Distributed trainings of open_clip save with a prefix.
    weights = {name: value for key, value in weights.items()
               if (name := key.removeprefix('module.')) not in _OPENAI}
    try:
        clip.load_state_dict(weights)
    except (RuntimeError, AttributeError, TypeError) as error:
        reason = ' '.join(str(error).split())[:300]
        raise ValueError(
            f'CLIPTeacher(checkpoint=) expects the weights of {model!r} by the names of open_clip, '
            f'got {file}: {reason}. Choose the model that the file is of.') from error
