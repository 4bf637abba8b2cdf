"""Several ranks: no hang whatever their batches hold, and the losses of one process."""
import json
import re

import pytest

pytestmark = pytest.mark.dist

FIRST = "dict(type='FirstSampler', _delete_=True, num={}, pos_fraction={}, add_gt_as_proposals={})"
# What is drawn depends on the rank; without draws ranks do together what one process does.
WITHOUT_DRAWS = 'model = dict(train_cfg=dict(' \
    f'rpn=dict(sampler={FIRST.format(128, 0.5, False)}), ' \
    f'rcnn=dict(sampler={FIRST.format(64, 0.25, True)})){{}})'
# No proposal is a positive: the ground truth is not among them, and overlaps have to be perfect.
WITHOUT_POSITIVES = 'model = dict(train_cfg=dict(rcnn=dict(' \
    'sampler=dict(add_gt_as_proposals=False), ' \
    'assigner=dict(pos_iou_thr=1.0, neg_iou_thr=1.0, min_pos_iou=1.0))))'


def hooks(**more):
    return 'default_hooks = ' + repr(dict(same_state=dict(type='SameStateHook'), **more))


@pytest.fixture
def stage2(project, stage1_run):
    """Trains stage 2 with settings on some processes; returns the output."""
    def train(*settings, processes, batch_size, work_dir='run', max_epochs=1, indices=12):
        config = project.config('stage2-bacl', *settings, max_epochs=max_epochs)
        return project.train(
            config, project.folder / work_dir, '--stage1-checkpoint', stage1_run / 'epoch_3.pth',
            '--cfg-options', f'train_dataloader.batch_size={batch_size}',
            f'train_dataloader.dataset.indices={indices}', processes=processes)
    return train


def test_ranks_without_ground_truth_or_positives_neither_hang_nor_differ(stage2):
    empty = dict(type='EmptyBatchHook', ranks=[[0], [1], [0, 1]])
    output = stage2(hooks(empty=empty), processes=2, batch_size=2)
    assert 'SAME STATE on 2 ranks' in output
    output = stage2(hooks(), WITHOUT_POSITIVES, processes=2, batch_size=2, work_dir='negatives')
    assert 'SAME STATE on 2 ranks' in output


@pytest.mark.parametrize(('indices', 'iterations'), [(5, 2), (1, 1)],
                         ids=['uneven last batch', 'fewer images than ranks'])
def test_images_that_ranks_cannot_share_evenly(stage2, indices, iterations):
    output = stage2(hooks(logger=dict(interval=1)), processes=2, batch_size=2, indices=indices)
    assert 'SAME STATE on 2 ranks' in output
    assert re.findall(r'Epoch\(train\)\s+\[1\]\[(\d)/(\d)\]', output)[-1] == \
        (str(iterations), str(iterations))


def losses(folder):
    return json.loads((folder / 'losses.json').read_text())


def check_equal_curves(folder, names, num_steps):
    alone = losses(folder / names[0])
    assert len(alone) == num_steps
    for name in names[1:]:
        curve = losses(folder / name)
        for step, expected in zip(curve, alone, strict=True):
            assert step == pytest.approx(expected, rel=1e-4), name
    return alone


def test_stage2_on_two_and_four_ranks_has_the_losses_and_the_indicator_of_one_process(
        stage2, project, faults):
    settings = hooks(curve=dict(type='LossCurveHook')), \
        WITHOUT_DRAWS.format(', roi_head=dict(hallucinator=None)')
    for processes in (1, 2, 4):
        output = stage2(*settings, processes=processes, batch_size=4 // processes,
                        work_dir=f'on-{processes}')
        assert f'SAME STATE on {processes} ranks' in output
    names = [f'on-{processes}' for processes in (1, 2, 4)]
    curve = check_equal_curves(project.folder, names, faults.NUM_BATCHES)
    assert curve[-1]['loss_cls'] != pytest.approx(curve[0]['loss_cls'], rel=1e-3)
    # Counts are exact, sums of scores but for the order of the sum.
    key = 'roi_head.bbox_head.loss_cls.indicator.'
    states = [faults.read(project.folder / name / 'epoch_1.pth')['state_dict'] for name in names]
    for state in states[1:]:
        assert state[f'{key}num_samples'].tolist() == states[0][f'{key}num_samples'].tolist()
        assert state[f'{key}score_sum'].numpy() == pytest.approx(
            states[0][f'{key}score_sum'].numpy(), rel=1e-4, abs=1e-9)


def test_stage1_on_two_ranks_has_the_losses_of_one_process(project, faults):
    for processes in (1, 2):
        config = project.config('stage1', hooks(curve=dict(type='LossCurveHook')),
                                WITHOUT_DRAWS.format(''))
        project.train(config, project.folder / f'on-{processes}', '--cfg-options',
                      f'train_dataloader.batch_size={4 // processes}', processes=processes)
    check_equal_curves(project.folder, ['on-1', 'on-2'], faults.NUM_BATCHES)
