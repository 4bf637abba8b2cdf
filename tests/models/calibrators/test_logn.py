import bacl  # noqa: F401
import pytest
import torch
from bacl.models.calibrators import LogN
from hypothesis import given
from hypothesis import strategies as st


@given(st.lists(st.integers(0, 6), min_size=1, max_size=5).filter(lambda sizes: sum(sizes) > 1),
       st.integers(0, 1000))
def test_normalises_by_the_statistics_of_all_rois_however_they_are_split(sizes, seed):
    torch.manual_seed(seed)
    images = [torch.randn(size, 4, dtype=torch.float64) * 3 + 5 for size in sizes]
    observing = LogN(3)
    for image in images:
        observing.observe(image)
    logits = torch.cat(images)
    mean, std = logits.mean(0)[:3], logits.std(0, correction=0)[:3]
    expected = logits.clone()
    expected[:, :3] = (logits[:, :3] - (mean - mean.min())) / std
    torch.testing.assert_close(observing(logits), expected, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(LogN(3, **observing.observed())(logits), expected, rtol=1e-9,
                               atol=1e-9)


def test_without_statistics_or_with_half_of_them_it_names_the_cure():
    with pytest.raises(RuntimeError, match=r'mean=.*std=.*calibrate\.py'):
        LogN(3)(torch.rand(2, 4))
    with pytest.raises(ValueError, match='mean=, std='):
        LogN(3, mean=[1., 2., 3.])
    with pytest.raises(ValueError, match=r'LogN\(std=\) expects 3'):
        LogN(3, mean=[1., 2., 3.], std=[1., 0., 1.])
