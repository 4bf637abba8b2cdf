"""NMS, RoIAlign and deformable attention for an mmcv without compiled operators.

``mmcv-lite`` is a pure Python wheel: ``mmcv.ops`` needs the compiled module ``mmcv._ext``, which it
lacks. :func:`install` lets Python find a stand-in of that name whose NMS and RoIAlign come from
torchvision, and whose deformable attention is the form that mmcv has for the CPU; they run on CPU
and CUDA. Every other operator exists and fails when it is called.

All functions follow the calling convention of ``mmcv._ext``: keyword names are mmcv's, and results
are written into tensors that mmcv has allocated.
"""

import importlib.abc
import importlib.machinery
import sys
from collections.abc import Callable, Sequence
from types import ModuleType

import torch
import torchvision
from torch import Tensor

_NAME = 'mmcv._ext'
_CURE = (
    'Run: pip uninstall -y mmcv-lite && pip install "mmcv>=2.0.0,<2.2.0" (compiles for minutes).'
)
_AVERAGE_POOLING = 1


def _compute_dtype(*tensors: Tensor) -> torch.dtype:
    # torchvision wants one dtype for all arguments, lacks kernels for half precision on the CPU
    # and for bfloat16 anywhere, and box coordinates lose whole pixels in half precision.
    dtype = torch.float32
    for tensor in tensors:
        dtype = torch.promote_types(dtype, tensor.dtype)
    return dtype


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float, offset: int) -> Tensor:
    """Suppress boxes whose IoU with a better one exceeds the threshold.

    With ``offset=1`` a box is ``x2 - x1 + 1`` wide: its IoUs are those of the box that ends at
    ``(x2 + 1, y2 + 1)`` without an offset. Half precision is computed in float32.

    Args:
        boxes: (N, 4), xyxy; N may be 0.
        scores: (N,); of equal scores the first box wins.
        iou_threshold: in [0, 1].
        offset: 0 or 1.

    Returns:
        (K,), int64, indices of the kept boxes, best score first.
    """
    dtype = _compute_dtype(boxes, scores)
    boxes = boxes.to(dtype)
    if offset:
        boxes = boxes + boxes.new_tensor([0, 0, offset, offset])
    return torchvision.ops.nms(boxes, scores.to(dtype), iou_threshold)


def roi_align_forward(
    input: Tensor,
    rois: Tensor,
    output: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """Average bilinear samples in each bin of each RoI, into ``output``.

    Half precision is computed in float32. ``sampling_ratio=0`` takes
    ``ceil(RoI size / bins)`` samples per bin and axis, in torchvision as in mmcv.

    Args:
        input: (B, C, H, W).
        rois: (N, 5), batch index and xyxy in the units of ``1 / spatial_scale`` feature cells.
        output: (N, C, aligned_height, aligned_width), overwritten.
        argmax_y: unused; mmcv fills it in max pooling.
        argmax_x: unused; mmcv fills it in max pooling.
        aligned_height: bins along y.
        aligned_width: bins along x.
        spatial_scale: feature cells per unit of ``rois``.
        sampling_ratio: samples per bin and axis; 0 adapts them to the RoI.
        pool_mode: 1 (average); 0 (max) is refused.
        aligned: shift coordinates by half a cell.

    Raises:
        RuntimeError: if ``pool_mode`` is not average.
    """
    _check_pool_mode(pool_mode)
    dtype = _compute_dtype(input, rois)
    pooled = torch.ops.torchvision.roi_align(
        input.to(dtype),
        rois.to(dtype),
        spatial_scale,
        aligned_height,
        aligned_width,
        sampling_ratio,
        aligned,
    )
    output.copy_(pooled)


def roi_align_backward(
    grad_output: Tensor,
    rois: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    grad_input: Tensor,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """Write the gradient of :func:`roi_align_forward` with respect to its input.

    Args:
        grad_output: (N, C, aligned_height, aligned_width).
        rois: (N, 5), as in the forward pass; receives no gradient.
        argmax_y: unused; mmcv fills it in max pooling.
        argmax_x: unused; mmcv fills it in max pooling.
        grad_input: (B, C, H, W), overwritten.
        aligned_height: as in the forward pass.
        aligned_width: as in the forward pass.
        spatial_scale: as in the forward pass.
        sampling_ratio: as in the forward pass.
        pool_mode: 1 (average); 0 (max) is refused.
        aligned: as in the forward pass.

    Raises:
        RuntimeError: if ``pool_mode`` is not average.
    """
    _check_pool_mode(pool_mode)
    dtype = _compute_dtype(grad_output, rois)
    grad = torch.ops.torchvision._roi_align_backward(
        grad_output.to(dtype),
        rois.to(dtype),
        spatial_scale,
        aligned_height,
        aligned_width,
        *grad_input.shape,
        sampling_ratio,
        aligned,
    )
    grad_input.copy_(grad)


def ms_deform_attn_forward(
    value: Tensor,
    value_spatial_shapes: Tensor,
    value_level_start_index: Tensor,
    sampling_locations: Tensor,
    attention_weights: Tensor,
    im2col_step: int,
) -> Tensor:
    """Multi-scale deformable attention on CUDA, by mmcv's own form of it for the CPU.

    So DETRs run on CUDA without compiled operators, more slowly and with more memory.

    Args:
        value: (B, keys, heads, D).
        value_spatial_shapes: (levels, 2), height and width.
        value_level_start_index: unused.
        sampling_locations: (B, queries, heads, levels, points, 2), x and y in [0, 1].
        attention_weights: (B, queries, heads, levels, points).
        im2col_step: unused.

    Returns:
        (B, queries, heads * D).
    """
    from mmcv.ops.multi_scale_deform_attn import multi_scale_deformable_attn_pytorch

    return multi_scale_deformable_attn_pytorch(
        value, value_spatial_shapes, sampling_locations, attention_weights
    )


def ms_deform_attn_backward(
    value: Tensor,
    value_spatial_shapes: Tensor,
    value_level_start_index: Tensor,
    sampling_locations: Tensor,
    attention_weights: Tensor,
    grad_output: Tensor,
    grad_value: Tensor,
    grad_sampling_loc: Tensor,
    grad_attn_weight: Tensor,
    im2col_step: int,
) -> None:
    """Write the gradients of :func:`ms_deform_attn_forward`.

    Args:
        value: as in the forward pass.
        value_spatial_shapes: as in the forward pass.
        value_level_start_index: unused.
        sampling_locations: as in the forward pass.
        attention_weights: as in the forward pass.
        grad_output: (B, queries, heads * D).
        grad_value: of the shape of ``value``, overwritten.
        grad_sampling_loc: of the shape of ``sampling_locations``, overwritten.
        grad_attn_weight: of the shape of ``attention_weights``, overwritten.
        im2col_step: unused.
    """
    inputs = [x.detach().requires_grad_() for x in (value, sampling_locations, attention_weights)]
    with torch.enable_grad():
        output = ms_deform_attn_forward(
            inputs[0], value_spatial_shapes, value_level_start_index, *inputs[1:], im2col_step
        )
    targets = (grad_value, grad_sampling_loc, grad_attn_weight)
    for target, grad in zip(targets, torch.autograd.grad(output, inputs, grad_output), strict=True):
        target.copy_(grad)


def get_compiler_version() -> str:
    """Answer mmcv's environment report, which asks for the compiler of its operators."""
    return 'n/a (operators from torchvision)'


def get_compiling_cuda_version() -> str:
    """Answer mmcv's environment report, which asks for the CUDA version of its operators."""
    return 'n/a (operators from torchvision)'


def _check_pool_mode(pool_mode: int) -> None:
    if pool_mode != _AVERAGE_POOLING:
        raise RuntimeError(
            f"RoIAlign(pool_mode=) expects 'avg' without compiled operators, got 'max'. {_CURE}"
        )


def _missing_operator(name: str) -> Callable:
    if name.startswith('__'):  # what Python itself looks for, e.g. __path__
        raise AttributeError(f'module {_NAME!r} has no attribute {name!r}')

    def operator(*args: object, **kwargs: object) -> None:
        raise RuntimeError(f'mmcv operator {name!r} is compiled code, which is absent. {_CURE}')

    return operator


class _Loader(importlib.abc.Loader):
    def create_module(self, spec: importlib.machinery.ModuleSpec) -> None:
        return None  # an ordinary module

    def exec_module(self, module: ModuleType) -> None:
        operators = (
            nms,
            roi_align_forward,
            roi_align_backward,
            ms_deform_attn_forward,
            ms_deform_attn_backward,
            get_compiler_version,
            get_compiling_cuda_version,
        )
        vars(module).update({operator.__name__: operator for operator in operators})
        # mmcv.ops asks for every operator by name when it is imported.
        module.__getattr__ = _missing_operator


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != _NAME:
            return None
        return importlib.machinery.ModuleSpec(_NAME, _Loader(), origin=__file__)


def install() -> None:
    """Let ``import mmcv._ext`` find the stand-in where there is no compiled module.

    The finder goes to the end of ``sys.meta_path``, so Python asks it only after all others have
    found nothing: a compiled ``mmcv._ext`` always wins. Repeated calls change nothing.
    """
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.append(_Finder())


def ops_backend() -> str:
    """Say which code runs behind ``mmcv.ops``: ``'mmcv'`` (compiled) or ``'torchvision'``.

    Raises:
        ImportError: if mmcv is missing or its compiled module does not fit the installed torch.
    """
    module = importlib.import_module(_NAME)
    return 'torchvision' if isinstance(module.__spec__.loader, _Loader) else 'mmcv'
