from dataclasses import fields, replace

import bacl  # noqa: F401
import numpy as np
import pytest
from bacl.engine.probing.training_record import TrainingRecord, merge_ranks

C, S, L, B = 3, 2, 2, 4


def record(last=(10, 20), iteration=(5, 10, 20), terms=('loss_cls', 'loss_bbox'), seed=0):
    """A record with random counts."""
    rng = np.random.default_rng(seed)
    num_periods, num_points = len(last), len(iteration)

    def counts(*shape):
        return rng.integers(1, 9, (num_periods, *shape))

    return TrainingRecord(
        class_names=np.array(['ant', 'bee', 'cat']), instance_count=np.array([1, 20, 300]),
        stages=np.array(['s0', 's1']),
        level_strides=np.array([4, 8]), iou_edges=np.linspace(0, 1, B + 1),
        gradient_of=np.array('features'), first_iteration=np.array(last) - 9,
        last_iteration=np.array(last), num_batches=counts(), num_images=counts(),
        positives=counts(S, C), negatives=counts(S), hallucinated=counts(S, C),
        batches_with_class=counts(S, C), level_positives=counts(S, L),
        level_negatives=counts(S, L), iou_count=counts(S, B), added_count=counts(S),
        regression_loss=rng.random((num_periods, S, B)),
        added_regression_loss=rng.random((num_periods, S)), iteration=np.array(iteration),
        positives_per_image=rng.random((num_points, S)),
        negatives_per_image=rng.random((num_points, S)),
        classes_per_batch=rng.random((num_points, S)), terms=np.array(terms),
        loss=rng.random((num_points, len(terms))),
        gradient_norm=rng.random((num_points, len(terms))))


def same(first, second):
    for field in fields(TrainingRecord):
        np.testing.assert_array_equal(getattr(first, field.name), getattr(second, field.name))
    return True


def test_what_is_written_is_read(tmp_path):
    path = tmp_path / 'imbalance.npz'
    path.write_bytes(record().to_bytes())
    assert same(TrainingRecord.load(path), record())
    assert TrainingRecord.load(path).gradient_of == 'features'


def test_missing_and_foreign_files_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match='imbalance.npz. Train with .*ImbalanceHook'):
        TrainingRecord.load(tmp_path / 'imbalance.npz')
    path = tmp_path / 'other.npz'
    np.savez(path, a=1)
    cut = tmp_path / 'cut.npz'
    cut.write_bytes(record().to_bytes()[:500])
    text = tmp_path / 'text.npz'
    text.write_text('{}')
    for wrong in (path, cut, text):
        with pytest.raises(ValueError, match=f'{wrong} is not the record of an ImbalanceHook'):
            TrainingRecord.load(wrong)


def test_a_record_is_the_sum_of_its_parts():
    whole = record()
    first = whole.up_to(10)
    assert first.last_iteration.tolist() == [10] and first.iteration.tolist() == [5, 10]
    rest = replace(whole, **{
        field.name: getattr(whole, field.name)[1:] for field in fields(whole)
        if len(np.shape(getattr(whole, field.name))) and field.name not in (
            'class_names', 'instance_count', 'stages', 'level_strides', 'iou_edges',
            'terms')})
    rest = replace(rest, **{name: getattr(rest, name)[1:] for name in (
        'iteration', 'positives_per_image', 'negatives_per_image', 'classes_per_batch', 'loss',
        'gradient_norm')})
    assert same(first.followed_by(rest), whole)
    # A period that goes beyond the iteration is left out as a whole.
    assert whole.up_to(19).last_iteration.tolist() == [10]


def test_terms_that_appear_later_are_not_seen_before():
    early = record((10, ), (10, ), ('loss_cls', ))
    late = replace(record((20, ), (20, ), ('loss_mask', 'loss_cls')),
                   gradient_of=np.array('nothing'))
    both = early.followed_by(late)
    assert both.terms.tolist() == ['loss_cls', 'loss_mask'] and both.gradient_of == 'features'
    np.testing.assert_array_equal(both.loss, [[early.loss[0, 0], np.nan], late.loss[0, ::-1]])


def test_ranks_are_summed_and_points_averaged():
    first, second = record(), record(seed=1)
    second.loss[0] = np.nan  # left out on this rank
    merged = merge_ranks([first, second])
    np.testing.assert_array_equal(merged.positives, first.positives + second.positives)
    np.testing.assert_array_equal(merged.num_images, first.num_images + second.num_images)
    np.testing.assert_array_equal(merged.last_iteration, first.last_iteration)
    np.testing.assert_allclose(merged.loss[1:], (first.loss[1:] + second.loss[1:]) / 2)
    np.testing.assert_allclose(merged.loss[0], first.loss[0])
    second.loss[:], first.loss[:] = np.nan, np.nan
    assert np.isnan(merge_ranks([first, second]).loss).all()
    assert same(merge_ranks([record()]), record())


def test_records_of_other_classes_do_not_follow():
    other = replace(record(), class_names=np.array(['ant', 'bee', 'cow']))
    with pytest.raises(ValueError, match='followed_by.* same 3 classes'):
        record().followed_by(other)
