import bacl  # noqa: F401
import pytest
from bacl.engine.running.evaluators import box_evaluator
from mmengine.config import Config

OURS = dict(type='FastLVISMetric', ann_file='a.json', metric=['bbox', 'segm'], outfile_prefix='b')


@pytest.mark.parametrize('evaluator', [OURS, [dict(type='CocoMetric'), OURS]])
def test_the_metric_of_the_package_is_for_boxes_and_writes_nothing(evaluator):
    assert box_evaluator(Config(dict(test_evaluator=evaluator))) == dict(
        OURS, metric='bbox', outfile_prefix=None)


@pytest.mark.parametrize('evaluator', [None, dict(type='CocoMetric'), []])
def test_another_metric_is_refused(evaluator):
    with pytest.raises(ValueError, match='test_evaluator expects a FastLVISMetric or CocoLT'):
        box_evaluator(Config(dict(test_evaluator=evaluator)))
