import bacl  # noqa: F401
import pytest
import torch
from bacl.models.calibrators import FRACAL, SigmoidFRACAL


def statistics(golden):
    return dict(image_share=(golden['image_count'].double() / golden['num_images']).tolist(),
                dimension=golden['fractal_dimension'].tolist())


@pytest.mark.golden('fracal.npz')
def test_equals_official_scores(golden):
    num_classes = int(golden['num_classes'])
    for i, lambda_ in enumerate(golden['fractal_lambda'].tolist()):
        softmax = FRACAL(num_classes, lambda_, **statistics(golden))
        torch.testing.assert_close(softmax(golden['logits'].softmax(1)),
                                   golden['scores_base10'][i], rtol=1e-9, atol=1e-12)
        sigmoid = SigmoidFRACAL(num_classes, lambda_, **statistics(golden))
        torch.testing.assert_close(sigmoid(golden['sigmoid_logits']).sigmoid(),
                                   golden['sigmoid_scores_base10'][i], rtol=1e-9, atol=1e-12)


def test_large_logits_of_the_sigmoid_form_stay_finite():
    calibrator = SigmoidFRACAL(2, image_share=[0.1, 0.9], dimension=[1.2, 1.9])
    for extreme in (-300., 300.):
        assert calibrator(torch.full((1, 2), extreme)).isfinite().all()


@pytest.mark.parametrize('calibrator', [FRACAL, SigmoidFRACAL])
def test_statistics_come_from_a_file_or_from_both_lists(calibrator, make_lvis):
    ann_file = make_lvis('v1') / 'annotations/lvis_v1_train.json'
    logits = torch.randn(4, 3 + (calibrator is FRACAL)).softmax(1)
    # Of five images; class 1 has five objects, one of them outside of the 2 x 2 cells of the rest.
    from_file = calibrator(3, ann_file=ann_file)
    share, dimension = from_file.statistics()
    assert share.tolist() == pytest.approx([0.4, 0.8, 0.2])
    assert dimension[0] == dimension[2] == 1
    lists = dict(image_share=share.tolist(), dimension=dimension.tolist())
    torch.testing.assert_close(from_file(logits), calibrator(3, **lists)(logits))
    for missing in ({}, dict(image_share=[1., 1., 1.]), dict(lists, ann_file=ann_file)):
        with pytest.raises(ValueError, match=rf'{calibrator.__name__} has no counts.*ann_file='):
            calibrator(3, **missing)
    with pytest.raises(ValueError, match=r'ann_file=\) expects 4 numbers'):
        calibrator(4, ann_file=ann_file)(torch.rand(2, 5))
