import subprocess
import sys
from itertools import product
from pathlib import Path

import bacl  # noqa: F401
import mmcv.ops
import pytest
import torch
from bacl.compat.mmcv_ops import ops_backend
from hypothesis import given
from hypothesis import strategies as st
from mmcv.ops import RoIAlign, batched_nms, nms, roi_align
from mmcv.utils import ext_loader

CUDA = pytest.param(
    'cuda',
    marks=[
        pytest.mark.gpu,
        pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA device'),
    ],
)
needs_stand_in = pytest.mark.skipif(
    ops_backend() != 'torchvision', reason='mmcv has compiled operators here'
)


def iou(a, b, offset):
    width = min(a[2], b[2]) - max(a[0], b[0]) + offset
    height = min(a[3], b[3]) - max(a[1], b[1]) + offset
    inter = max(width, 0) * max(height, 0)
    areas = [(c[2] - c[0] + offset) * (c[3] - c[1] + offset) for c in (a, b)]
    return inter / (sum(areas) - inter)


def slow_nms(boxes, scores, threshold, offset):
    """Greedy NMS by its definition; the first of equal scores wins."""
    kept = []
    for i in sorted(range(len(boxes)), key=lambda i: (-scores[i], i)):
        if all(iou(boxes[i], boxes[j], offset) <= threshold for j in kept):
            kept.append(i)
    return kept


def random_boxes(num, seed, size=30.0):
    generator = torch.Generator().manual_seed(seed)
    corners = torch.rand(num, 2, generator=generator, dtype=torch.double) * size
    sides = torch.rand(num, 2, generator=generator, dtype=torch.double) * size / 2 + 0.1
    return torch.cat([corners, corners + sides], dim=1)


def slow_roi_align(feats, rois, bins, scale, sampling_ratio, aligned):
    """RoIAlign by its definition, one bilinear sample at a time."""

    def sample(plane, y, x):
        height, width = plane.shape
        if y < -1 or y > height or x < -1 or x > width:
            return 0.0
        y, x = min(max(y, 0.0), height - 1.0), min(max(x, 0.0), width - 1.0)
        top, left = int(y), int(x)
        bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
        dy, dx = y - top, x - left
        upper = plane[top, left] * (1 - dx) + plane[top, right] * dx
        lower = plane[bottom, left] * (1 - dx) + plane[bottom, right] * dx
        return float(upper * (1 - dy) + lower * dy)

    output = torch.zeros(len(rois), feats.shape[1], bins, bins, dtype=torch.double)
    shift = 0.5 if aligned else 0.0
    for n, (batch, *box) in enumerate(rois.tolist()):
        x1, y1, x2, y2 = (value * scale - shift for value in box)
        width, height = x2 - x1, y2 - y1
        if not aligned:
            width, height = max(width, 1.0), max(height, 1.0)
        bin_w, bin_h = width / bins, height / bins
        num_x = sampling_ratio or int(-(-width // bins))
        num_y = sampling_ratio or int(-(-height // bins))
        for c, i, j in product(range(feats.shape[1]), range(bins), range(bins)):
            values = [
                sample(
                    feats[int(batch), c],
                    y1 + (i + (k + 0.5) / num_y) * bin_h,
                    x1 + (j + (m + 0.5) / num_x) * bin_w,
                )
                for k, m in product(range(num_y), range(num_x))
            ]
            output[n, c, i, j] = sum(values) / max(len(values), 1)
    return output


ROIS = torch.tensor(
    [
        [0, 1.3, 2.1, 9.7, 12.4],
        [1, 0.0, 0.0, 15.9, 15.9],
        [1, -3.0, 4.2, 6.5, 19.0],  # leaves the image
        [0, 5.0, 5.0, 5.4, 5.2],  # smaller than a cell
    ],
    dtype=torch.double,
)


@pytest.mark.parametrize('device', ['cpu', CUDA])
@pytest.mark.parametrize('offset', [0, 1])
@pytest.mark.parametrize('threshold', [0.1, 0.5])
def test_nms_is_the_greedy_algorithm(threshold, offset, device):
    boxes, scores = random_boxes(60, seed=1), torch.rand(60, dtype=torch.double)
    expected = slow_nms(boxes.tolist(), scores.tolist(), threshold, offset)
    dets, kept = nms(boxes.to(device), scores.to(device), threshold, offset=offset)
    assert kept.tolist() == expected
    assert torch.equal(dets.cpu(), torch.cat([boxes, scores[:, None]], 1)[expected])


@given(
    cells=st.lists(st.tuples(*[st.integers(0, 6)] * 4), min_size=1, max_size=12),
    scores=st.lists(st.sampled_from([0.25, 0.5, 0.75]), min_size=12, max_size=12),
    offset=st.sampled_from([0, 1]),
)
def test_nms_agrees_on_ties_and_integer_boxes(cells, scores, offset):
    boxes = [[x, y, x + w + 1.0, y + h + 1.0] for x, y, w, h in cells]
    scores = scores[: len(boxes)]
    # 0.45 is no quotient of two areas below 17 ** 2 that rounding could move across.
    _, kept = nms(torch.tensor(boxes).double(), torch.tensor(scores).double(), 0.4503, offset)
    assert kept.tolist() == slow_nms(boxes, scores, 0.4503, offset)


def test_offset_widens_boxes_by_one_pixel():
    # Without offset 9 x 9 and 9 x 4: IoU 36 / 81. With offset 10 x 10 and 10 x 5: IoU 50 / 100.
    boxes = torch.tensor([[0.0, 0.0, 9.0, 9.0], [0.0, 0.0, 9.0, 4.0]])
    scores = torch.tensor([0.9, 0.8])
    assert nms(boxes, scores, 0.47, offset=0)[1].tolist() == [0, 1]
    assert nms(boxes, scores, 0.47, offset=1)[1].tolist() == [0]


@pytest.mark.parametrize('class_agnostic', [False, True])
@pytest.mark.parametrize('split_thr', [10000, 10])
def test_batched_nms_suppresses_within_classes_only(class_agnostic, split_thr):
    if class_agnostic and split_thr == 10:
        pytest.skip('mmcv splits by class in any case')
    boxes, scores = random_boxes(50, seed=2), torch.rand(50, dtype=torch.double)
    labels = torch.arange(50) % 3
    config = dict(type='nms', iou_threshold=0.3, split_thr=split_thr)
    dets, kept = batched_nms(boxes, scores, labels, config, class_agnostic=class_agnostic)

    groups = (
        [torch.arange(50)] if class_agnostic else [labels.eq(c).nonzero()[:, 0] for c in (0, 1, 2)]
    )
    expected = [
        group[slow_nms(boxes[group].tolist(), scores[group].tolist(), 0.3, 0)] for group in groups
    ]
    expected = torch.cat(expected)
    expected = expected[scores[expected].argsort(descending=True)]
    assert kept.tolist() == expected.tolist()
    assert torch.equal(dets[:, 4], scores[kept])


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_nms_in_half_precision_uses_float32_arithmetic(dtype):
    boxes = random_boxes(40, seed=3, size=500.0).to(dtype)
    scores = torch.rand(40).to(dtype)
    for offset in (0, 1):
        kept = nms(boxes, scores, 0.3, offset=offset)[1]
        assert torch.equal(kept, nms(boxes.float(), scores.float(), 0.3, offset=offset)[1])


def test_nms_takes_boxes_and_scores_of_different_precision():
    boxes, scores = random_boxes(40, seed=4).float(), torch.rand(40).half()
    assert torch.equal(nms(boxes, scores, 0.3)[1], nms(boxes, scores.float(), 0.3)[1])


@pytest.mark.parametrize('device', ['cpu', CUDA])
@pytest.mark.parametrize('aligned', [True, False])
@pytest.mark.parametrize('sampling_ratio', [0, 2])
@pytest.mark.parametrize('scale', [1.0, 0.5])
def test_roi_align_is_the_mean_of_bilinear_samples(scale, sampling_ratio, aligned, device):
    feats = torch.rand(2, 2, 16, 16, dtype=torch.double, generator=torch.Generator().manual_seed(0))
    layer = RoIAlign(3, scale, sampling_ratio, aligned=aligned)
    actual = layer(feats.to(device), ROIS.to(device)).cpu()
    torch.testing.assert_close(
        actual, slow_roi_align(feats, ROIS, 3, scale, sampling_ratio, aligned)
    )


@pytest.mark.parametrize('aligned', [True, False])
@pytest.mark.parametrize('sampling_ratio', [0, 2])
def test_roi_align_of_a_linear_map_is_its_value_at_bin_centres(sampling_ratio, aligned):
    # feats[y, x] = 2 x + 3 y; the mean of symmetric samples of a linear map is its central value.
    ys, xs = torch.meshgrid(*[torch.arange(32, dtype=torch.double)] * 2, indexing='ij')
    x1, y1, size, bins = 4.0, 6.0, 12.0, 4
    rois = torch.tensor([[0, x1, y1, x1 + size, y1 + size]], dtype=torch.double)
    output = RoIAlign(bins, 1.0, sampling_ratio, aligned=aligned)(
        (2 * xs + 3 * ys)[None, None], rois
    )
    centres = (torch.arange(bins, dtype=torch.double) + 0.5) * size / bins - 0.5 * aligned
    expected = 2 * (x1 + centres)[None, :] + 3 * (y1 + centres)[:, None]
    torch.testing.assert_close(output[0, 0], expected)


@pytest.mark.parametrize('device', ['cpu', CUDA])
@pytest.mark.parametrize('aligned', [True, False])
@pytest.mark.parametrize('sampling_ratio', [0, 2])
def test_roi_align_has_the_right_gradient(sampling_ratio, aligned, device):
    feats = torch.rand(2, 1, 8, 8, dtype=torch.double, device=device, requires_grad=True)
    layer = RoIAlign(2, 0.5, sampling_ratio, aligned=aligned)
    # CUDA adds gradients in varying order.
    assert torch.autograd.gradcheck(layer, (feats, ROIS.to(device)), nondet_tol=1e-10)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_roi_align_in_half_precision_keeps_its_dtype(dtype):
    feats = torch.rand(2, 2, 16, 16).to(dtype).requires_grad_()
    output = roi_align(feats, ROIS.to(dtype), (3, 3), 1.0, 0)
    output.sum().backward()
    reference = roi_align(feats.detach().float(), ROIS.to(dtype).float(), (3, 3), 1.0, 0)
    assert output.dtype == feats.grad.dtype == dtype
    torch.testing.assert_close(output, reference.to(dtype))


def test_roi_align_under_autocast_trains():
    feats = torch.rand(2, 2, 16, 16, requires_grad=True)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        output = RoIAlign(3)(
            torch.nn.functional.conv2d(feats, torch.ones(2, 2, 1, 1)), ROIS.float()
        )
    output.float().sum().backward()
    assert feats.grad.abs().sum() > 0


def test_deformable_attention_on_cuda_is_that_of_the_cpu():
    from mmcv.ops.multi_scale_deform_attn import (
        MultiScaleDeformableAttnFunction,
        multi_scale_deformable_attn_pytorch,
    )

    generator = torch.Generator().manual_seed(0)
    shapes = torch.tensor([[4, 3], [2, 2]])
    value, places, weights = (
        torch.rand(size, generator=generator, dtype=torch.float64, requires_grad=True)
        for size in ((2, 16, 2, 3), (2, 5, 2, 2, 4, 2), (2, 5, 2, 2, 4)))
    # The function that mmcv calls for CUDA, here with tensors of the CPU.
    got = MultiScaleDeformableAttnFunction.apply(value, shapes, torch.tensor([0, 12]), places,
                                                 weights, 64)
    expected = multi_scale_deformable_attn_pytorch(value, shapes, places, weights)
    torch.testing.assert_close(got, expected)
    grads = [torch.autograd.grad(output.square().sum(), (value, places, weights))
             for output in (got, expected)]
    torch.testing.assert_close(*grads)


def test_empty_inputs_give_empty_results():
    boxes, scores = torch.zeros(0, 4), torch.zeros(0)
    dets, kept = nms(boxes, scores, 0.5, offset=1)
    assert dets.shape == (0, 5) and kept.dtype == torch.int64 and kept.shape == (0,)

    feats = torch.rand(1, 3, 8, 8, requires_grad=True)
    output = RoIAlign(7)(feats, torch.zeros(0, 5))
    output.sum().backward()
    assert output.shape == (0, 3, 7, 7)
    assert torch.equal(feats.grad, torch.zeros_like(feats))


def test_mmcv_and_mmengine_see_the_operators():
    from mmengine.utils.dl_utils import collect_env

    assert ext_loader.check_ops_exist()
    assert collect_env()['PyTorch'] == torch.__version__


@needs_stand_in
def test_max_pooling_is_refused():
    with pytest.raises(RuntimeError, match=r"RoIAlign\(pool_mode=\).*got 'max'.*pip"):
        RoIAlign(3, pool_mode='max')(torch.rand(1, 1, 8, 8), torch.tensor([[0.0, 0, 0, 4, 4]]))


@needs_stand_in
def test_another_operator_fails_when_called_and_names_the_cure():
    layer = mmcv.ops.DeformConv2d(1, 1, 3)  # can be built
    with pytest.raises(RuntimeError, match=r"'deform_conv_forward'.*pip .*mmcv"):
        layer(torch.rand(1, 1, 8, 8), torch.zeros(1, 18, 6, 6))


@needs_stand_in
def test_python_attributes_are_not_mistaken_for_operators():
    from mmcv import _ext

    assert not hasattr(_ext, '__path__')


def test_compiled_module_wins(tmp_path: Path):
    # A folder in front of mmcv's own that has the module, as a full installation would.
    (tmp_path / '_ext.py').write_text(
        'def __getattr__(name): return lambda *args, **kwargs: "real"\n'
    )
    script = (
        f'import mmcv; mmcv.__path__.insert(0, {str(tmp_path)!r})\n'
        'from bacl.compat import mmcv_ops; mmcv_ops.install()\n'
        'from mmcv import _ext\n'
        'assert _ext.nms() == "real" and mmcv_ops.ops_backend() == "mmcv"\n'
        'mmcv_ops.install()\n'
        'assert _ext.roi_align_forward() == "real"\n'
    )
    # Without bacl/__init__, which would import mmcv._ext before the folder is there.
    stub = 'import sys, types; p = types.ModuleType("bacl"); p.__path__ = [sys.argv[1]]; '
    stub += 'sys.modules["bacl"] = p\n'
    package = str(Path(bacl.__file__).parent)
    subprocess.run([sys.executable, '-c', stub + script, package], check=True)


def test_install_twice_adds_one_finder():
    from bacl.compat import mmcv_ops

    before = list(sys.meta_path)
    mmcv_ops.install()
    assert sys.meta_path == before
