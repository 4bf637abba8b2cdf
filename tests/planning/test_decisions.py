import numpy as np
import pytest
from bacl.annotations import ClassTable
from bacl.planning.compared import best_compared
from bacl.planning.decisions import Machine, choose_thresholds, decide, fits
from bacl.planning.facts import Facts

LARGE, SMALL = 'faster-rcnn_r50_fpn', 'faster-rcnn_effnet-lite0_fpn'


@pytest.fixture
def facts():
    """A function that makes facts of COCO-like data, with some changed."""
    def make(num_images=100_000, counts=(5, 50, 500, 5000) * 10, size=(640, 480), side=60,
             objects=7, **changes):
        counts = np.array(counts)
        boxes = np.full((1000, 2), float(side))
        boxes[:, 0] *= np.linspace(0.5, 2, 1000)
        table = ClassTable(tuple(map(str, range(len(counts)))), counts, counts, num_images)
        return Facts(**dict(
            classes=table, num_train=num_images, num_val=1000, val_instances=counts,
            image_sizes=np.tile([size], (num_images, 1)).astype(float), boxes=boxes,
            box_images=np.tile([size], (1000, 1)).astype(float),
            objects_per_image=np.full(num_images, objects), most_of_a_class=10,
            most_in_an_image=20, is_lvis=False, why_no_masks='') | changes)

    return make


@pytest.fixture
def decided(facts, detector):
    """A function that decides about facts with some changed: for eight GPUs of 24 GB."""
    def make(name=LARGE, gpus=8, memory=24, epochs=None, **changes):
        return decide(facts(**changes), detector(name), Machine(gpus, memory), epochs)

    return make


def reason(settings, matter):
    return next(decision for decision in settings.decisions if decision.matter == matter)


# Groups.


@pytest.mark.parametrize('counts, thresholds, words', [
    # 10 is rare and 100 common, as LVIS has it.
    ([10] * 3 + [100] * 3 + [101] * 3, (11, 101), "LVIS's"),
    ([12] * 4 + [200] * 24 + [900] * 32 + [9000] * 20, (20, 400, 8000), "COCO-LT's"),
    ([12] * 3 + [200] * 25 + [900] * 32 + [9000] * 20, (200, 900), '3 groups'),  # 3 of 80: too few
    (range(200, 209), (203, 206), '3 groups'),
    ([3, 90, 900], (90,), '2 groups'),
    ([7, 7, 7, 90], (90,), '2 groups'),  # more than half are as rare as the rarest
    ([0] * 10 + [50] * 10 + [500] * 10, (500,), '2 groups'),  # those without objects do not count
    ([5, 5, 5], (5,), 'equally frequent'),
    ([0, 0, 8], (8,), 'equally frequent'),
])
def test_borders_are_those_of_a_benchmark_if_they_fit_else_of_equal_groups(
        counts, thresholds, words):
    found, why = choose_thresholds(np.array(counts))
    assert found == thresholds and words in why
    table = ClassTable(tuple(map(str, range(len(counts)))), np.array(counts), np.array(counts), 9)
    assert table.grouped_by_instances(found).group is not None  # the borders are allowed


def test_a_group_has_a_twentieth_of_the_classes_and_two_at_least():
    assert fits([5, 5] + [50] * 19 + [500] * 19, (11, 101))
    assert not fits([5, 5] + [50] * 20 + [500] * 19, (11, 101))
    assert not fits([5, 50, 50, 500, 500], (11, 101))


def test_groups_are_named_by_their_borders(decided):
    assert reason(decided(), 'groups').choice == (
        '10 with below 11 instances, 10 with 11 to 100 instances, 20 with 101 or more instances')


def test_classes_without_images_are_told(decided):
    told = reason(decided(counts=(0, 50, 500, 5000) * 10), 'classes')
    assert told.reason.startswith('50 to 5,000 training images each; 10 have no training image')
    assert '10 have no object for validation' in told.reason


# Metric.


def test_crowded_images_raise_the_caps_of_coco(decided):
    settings = decided(most_of_a_class=240, most_in_an_image=410)
    assert (settings.max_dets, settings.max_per_img) == (300, 500)
    assert (decided().max_dets, decided().max_per_img) == (100, 300)


# Batch, learning rate, schedule.


@pytest.mark.parametrize('gpus, memory, batch, rate', [
    (8, 24, (8, 2), 0.02), (1, 80, (1, 16), 0.02), (1, 24, (1, 7), 0.00875),
    (1, 8, (1, 2), 0.0025), (4, 11, (4, 3), 0.015), (16, 24, (16, 1), 0.02),
    (32, 24, (32, 1), 0.04), (1, 3, (1, 1), 0.00125)])
def test_batch_follows_the_memory_and_the_learning_rate_the_batch(
        gpus, memory, batch, rate, decided):
    settings = decided(gpus=gpus, memory=memory)
    assert (settings.gpus, settings.images_per_gpu) == batch
    assert settings.learning_rate == rate


def test_reason_of_the_batch_is_told_as_it_is(decided):
    def why(**changes):
        return reason(decided(**changes), 'batch, learning rate').reason

    base = 'the base has 16 images a step'
    room = '; 7 of 1.6 million pixels fit into 24 GB by the estimate'
    assert why().startswith(base + room)
    assert why(num_images=40).startswith(
        f'{base}, 40 in steps of 5 make 8 an epoch; every GPU has one at least{room}')
    assert 'whether they fit is not known without --memory GB' in why(memory=None)
    choice = reason(decided(num_images=40), 'batch, learning rate').choice
    assert choice == '8 GPUs x 1 image, 0.01'


def test_a_memory_has_room_for_images_and_those_with_pasted_objects_or_is_refused(decided):
    settings = decided(gpus=1, memory=3)
    assert max(settings.canvas ** 2, settings.scale[0] * settings.scale[1]) <= 1.4 / 1.5 * 1e6
    with pytest.raises(ValueError, match='--memory 1: .* Take --detector faster-rcnn_effnet'):
        decided(gpus=1, memory=1)


def test_few_images_make_small_batches_and_many_epochs(decided):
    settings = decided(num_images=40, gpus=1, memory=24)
    assert settings.images_per_gpu == 5  # 8 iterations an epoch
    assert settings.epochs == (100, 100, 200)
    assert settings.warmup == 80
    settings = decided(num_images=1000, gpus=8, memory=24)
    assert settings.epochs == (96, 96, 192)  # 6,000 iterations of 16 images
    assert decided().epochs == (12, 12, 24) and decided().warmup == 500
    assert decided(epochs=3).epochs == (3, 3, 6)


def test_small_detector_takes_the_schedule_of_its_base(decided):
    assert decided(SMALL, gpus=0, memory=None, num_images=1500, size=(160, 160),
                   side=30).epochs == (6, 2, 8)
    settings = decided(SMALL, gpus=0, memory=None, num_images=140, size=(160, 160), side=30)
    assert settings.epochs == (63, 21, 84) and settings.gpus == 1
    assert settings.images_per_gpu == 16 and settings.learning_rate == 6e-4


def test_epochs_that_are_not_enough_are_told(decided):
    assert reason(decided(num_images=40, gpus=1), 'schedule').reason.endswith(
        'few images, of which 19,200 iterations are wanted, but 100 epochs are the most')
    assert reason(decided(num_images=1000), 'schedule').reason.endswith(
        'few images, of which 6,000 iterations are wanted')


@pytest.mark.parametrize('size, is_resized', [((160, 160), False), ((64, 48), True),
                                              ((160, 120), False), ((640, 480), True)])
def test_small_detector_trains_on_images_of_the_size_of_tests(size, is_resized, decided):
    settings = decided(SMALL, gpus=0, memory=None, num_images=99, size=size, side=40)
    assert settings.resizes_training == is_resized


# Hallucination, proposals, Copy-Paste.


@pytest.mark.parametrize('changes, classes', [
    (dict(), 8), (dict(gpus=1, memory=80), 20), (dict(counts=(5, 50) * 500, gpus=1, memory=80), 64),
    (dict(counts=(5, 50, 500)), 2), (dict(gpus=16), 4)])
def test_hallucinated_classes_follow_the_batch_of_a_gpu_and_are_at_most_half_of_all(
        changes, classes, decided):
    assert decided(**changes).sampled_classes == classes


def test_reason_of_hallucination_is_that_of_its_number(decided):
    told = reason(decided(), 'hallucination')
    assert told.choice == 'classes in a step on each GPU: c = 8; features of each: m = 12'
    assert told.reason == ('in proportion to the base, which has 8 for 2 images; '
                           'm is that of the base')
    told = reason(decided(counts=(5, 50, 500)), 'hallucination')
    assert told.reason.startswith('at most half of the 3 classes')


def test_crowded_images_have_more_proposals(decided):
    assert decided(objects=100).proposals == (2000, 1000, 1000)
    assert decided(objects=101).proposals == (4000, 2000, 2000)


def test_objects_are_pasted_only_with_masks_and_only_by_the_large_detector(decided):
    assert decided().canvas == 1280
    settings = decided(why_no_masks='3 of 9 have none, such as annotation 4')
    assert settings.canvas == 0
    assert 'annotation 4' in reason(settings, 'Copy-Paste in stage 1').reason
    assert decided(SMALL, gpus=0, memory=None).canvas == 0


# Which method first.


def test_without_a_tail_the_baseline_is_enough(decided):
    assert reason(decided(counts=[500] * 5 + [900] * 5), 'look at first').choice == 'the baseline'
    found = reason(decided(), 'look at first')
    assert found.choice == 'the baseline with NorCal, then BACL'
    assert '1000 times the images of the rarest' in found.reason


def test_what_was_compared_is_told_if_there_is_a_table(tmp_path, facts, detector):
    path = tmp_path / 'comparison.csv'
    assert best_compared(path) == ''
    path.write_text('row,AP\n')
    assert best_compared(path) == ''
    path.write_text('row,method,AP,APr\ncRT,cRT,35.12,9\nSCE + NorCal,SCE,34,1\nBACL,BACL,33.3,8\n')
    compared = best_compared(path)
    assert compared == (
        'of 3 rows compared on Emoji-LT lvis-like, another data set, cRT has the highest AP, 35.1 '
        '(SCE + NorCal 34.0, BACL 33.3): configs/comparison/README.md')
    settings = decide(facts(), detector(LARGE), Machine(8, 24), compared=compared)
    assert reason(settings, 'look at first').reason.endswith(compared)


def test_calibration_takes_a_tenth_of_the_images_and_2000_at_most(decided):
    assert decided().calibration_share == 0.02
    assert decided(num_images=1000).calibration_share == 0.1
