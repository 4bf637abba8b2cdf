from types import SimpleNamespace

import bacl  # noqa: F401
import pytest
from bacl.engine.hooks import ClassCheckHook
from mmdet.registry import MODELS
from mmengine.dataset import BaseDataset, ConcatDataset, RepeatDataset
from mmengine.runner import EpochBasedTrainLoop


class Dataset(BaseDataset):
    def load_data_list(self):
        return [dict(x=1)]


def dataset(classes, name='test.json'):
    metainfo = None if classes is None else dict(classes=tuple(classes))
    return Dataset(metainfo=metainfo, ann_file=name, serialize_data=False)


def head(num_classes):
    return MODELS.build(dict(
        type='Shared2FCBBoxHead', num_classes=num_classes, in_channels=2, fc_out_channels=2,
        roi_feat_size=1, loss_cls=dict(type='FCBL')))


def runner(evaluated, trained=None, num_classes=3):
    """A runner that trains on `trained`, or without it only evaluates."""
    loop = dict() if trained is None else EpochBasedTrainLoop.__new__(EpochBasedTrainLoop)
    loader = SimpleNamespace(dataset=evaluated)
    return SimpleNamespace(
        model=head(num_classes), _train_loop=loop, _load_from='some.pth', val_dataloader=loader,
        test_dataloader=loader,
        train_dataloader=SimpleNamespace(dataset=trained and RepeatDataset(trained, 2)))


def checkpoint(classes):
    return dict(state_dict={}, meta=dict(dataset_meta=dict(classes=tuple(classes))))


@pytest.mark.parametrize('moment', ['before_train', 'before_val', 'before_test'])
def test_another_number_of_classes_is_refused(moment):
    run = runner(dataset('abcd'), dataset('abcd', 'train.json'))
    with pytest.raises(ValueError, match='has 4 classes'):
        getattr(ClassCheckHook(), moment)(run)


def test_validation_in_another_order_than_training_is_refused_with_both_files():
    trained = dataset('abc', 'train.json')
    ClassCheckHook().before_val(runner(dataset('abc'), trained))
    with pytest.raises(ValueError, match=r"Label 1 is 'c' in test\.json, but 'b' in train\.json"):
        ClassCheckHook().before_val(runner(dataset('acb'), trained))


@pytest.mark.parametrize('moment', ['before_val', 'before_test'])
def test_evaluation_in_another_order_than_the_checkpoint_is_refused(moment):
    hook, run = ClassCheckHook(), runner(RepeatDataset(dataset('bac'), 1))
    hook.after_load_checkpoint(run, checkpoint('abc'))
    with pytest.raises(ValueError, match=r"Label 0 is 'b' in test\.json, but 'a' in the checkpoint "
                                         r'some\.pth.*same order'):
        getattr(hook, moment)(run)
    getattr(hook, moment)(runner(dataset('abc')))


def test_training_dataset_counts_more_than_the_checkpoint_it_started_from():
    hook, run = ClassCheckHook(), runner(dataset('xyz'), dataset('xyz'))
    hook.after_load_checkpoint(run, checkpoint('abc'))
    hook.before_val(run)


@pytest.mark.parametrize('weights', [
    dict(weight=1), dict(state_dict={}), dict(meta=None, state_dict={}),
    dict(meta=dict(epoch=1), state_dict={}), dict(meta=dict(dataset_meta=None), state_dict={})])
def test_checkpoint_without_class_names_passes(weights):
    hook, run = ClassCheckHook(), runner(dataset('abc'))
    hook.after_load_checkpoint(run, weights)
    hook.before_test(run)


@pytest.mark.parametrize('trained', [dataset(None), SimpleNamespace()])
def test_training_dataset_without_class_names_passes(trained):
    run = runner(dataset('abc'), dataset('abc'))
    run.train_dataloader.dataset = trained
    ClassCheckHook().before_train(run)
    ClassCheckHook().before_val(run)


def test_datasets_in_a_row_are_compared():
    hook, run = ClassCheckHook(), runner(ConcatDataset([dataset('bac'), dataset('bac')]))
    hook.after_load_checkpoint(run, checkpoint('abc'))
    with pytest.raises(ValueError, match="Label 0 is 'b' in ConcatDataset"):
        hook.before_test(run)
