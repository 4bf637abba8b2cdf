"""DINO with RichSem: text embeddings, soft labels, and images without boxes."""
from mmdet.models.detectors import DINO
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample, OptSampleList, SampleList
from mmdet.utils import ConfigType
from torch import Tensor, nn

from ..dense_heads.richsem_dino_head import with_any_labels
from .taught import TaughtMixin


class TextLabelEmbedding(nn.Module):
    """Queries of labels from the text embeddings of classes, by a projection without a bias.

    Args:
        num_classes: C.
        embed_dims: of the queries.
        text_dims: of the text embeddings.
    """

    def __init__(self, num_classes: int, embed_dims: int, text_dims: int) -> None:
        super().__init__()
        self.projection = nn.Linear(text_dims, embed_dims, bias=False)
        self.register_buffer('text_embeddings', Tensor(num_classes, text_dims).zero_())

    def set_text_embeddings(self, embeddings: Tensor) -> None:
        """Take the embeddings of the classes, (C, text_dims)."""
        self.text_embeddings.copy_(embeddings)

    @property
    def weight(self) -> Tensor:
        """(C, embed_dims): the query of each label, as that of an ``nn.Embedding``."""
        return self.projection(self.text_embeddings)

    def forward(self, labels: Tensor) -> Tensor:
        """(N,), int64, to (N, embed_dims)."""
        return self.weight[labels].float()  # as an nn.Embedding gives them under autocast


@MODELS.register_module()
class RichSemDINO(TaughtMixin, DINO):
    """mmdet's ``DINO`` with a :class:`~bacl.models.dense_heads.RichSemDINOHead` and a teacher.

    With a text classifier, the labels of denoising queries are embedded by their texts, too. Images
    that say a ``source`` have coarse boxes; what these count in is the head's matter.

    Args:
        teacher: of :class:`.taught.TaughtMixin`.
        **kwargs: of ``DINO``.

    Reference:
        Meng et al., "Learning from Rich Semantics and Coarse Locations for Long-tailed Object
        Detection", NeurIPS 2023 (RichSem).
    """

    def __init__(self, *args, teacher: ConfigType | None = None, **kwargs) -> None:
        super().__init__(*args, teacher=teacher, **kwargs)
        classifier = self.bbox_head.cls_branches[0]
        if hasattr(classifier, 'text_embeddings'):
            num_classes, text_dims = classifier.text_embeddings.shape
            self.dn_query_generator.label_embedding = TextLabelEmbedding(
                num_classes, self.embed_dims, text_dims)

    def loss(self, batch_inputs: Tensor, batch_data_samples: SampleList) -> dict:
        """The host's losses, with soft labels.

        Args:
            batch_inputs: (B, 3, H, W).
            batch_data_samples: of the images.

        Raises:
            RuntimeError: if there should be a teacher and :meth:`set_class_counts` was not called.
        """
        self.check_teacher()
        if self.bbox_head.semantic_branch is not None:
            self.add_teacher_logits(batch_inputs, batch_data_samples)
        return super().loss(batch_inputs, batch_data_samples)

    def pre_decoder(self, *args, batch_data_samples: OptSampleList = None, **kwargs) -> tuple:
        """The host's, with a label for every denoising query."""
        if self.training:
            num_classes = self.bbox_head.num_classes
            batch_data_samples = [_labelled(sample, num_classes) for sample in batch_data_samples]
        return super().pre_decoder(*args, batch_data_samples=batch_data_samples, **kwargs)


def _labelled(sample: DetDataSample, num_classes: int) -> DetDataSample:
    labelled = DetDataSample(metainfo=sample.metainfo)
    labelled.gt_instances = with_any_labels(sample.gt_instances, num_classes)
    return labelled
