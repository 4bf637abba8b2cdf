"""What the numbers of a run mean: five findings, each a sentence with its figure and what to try.

The *tail* is the rarest group that has objects in the data set, the *head* the most frequent one.
AP is in points (percent). Every rule compares numbers that a figure of the report shows:

===================  ==============================================================================
Rank or              ``rank``: AP of the tail that competition for places costs, which is fixed AP
recognition?         minus AP; ``recognition``: fixed AP of the head minus that of the tail. The
                     larger part is the problem, and both are if the smaller one is more than
                     :data:`BOTH` of their sum. If the file holds no more detections of an image
                     than count, fixed AP cannot tell, and ``rank`` is what AP gained when the
                     number of detections was tripled to the last one. Less than :data:`NOTHING`
                     behind the head, or of both parts, is no problem; ``unknown``, if both have
                     less than that.
Localisation or      The type of error whose mending adds most to AP50 of the tail; none below
classification?      :data:`NOTHING`. What is missed may be crowded out, and a wrong class may be
                     the tail's: then the sentence says so, by the answers beside it.
Taken for what?      ``hardly``, if wrong classes outscore the right one on fewer than
                     :data:`FEW_CONFUSED` of the objects of the tail; else ``head`` or ``tail``, by
                     where the larger part of the wrong classes is: in more frequent groups or not.
Too few images, or   If training and validation objects have a 'style': ``styles``, if the tail's
too few styles?      objects of styles that their class had in training are found more often than
                     others, by more than :data:`CLEAR` standard errors and :data:`GAP`. Otherwise
                     ``images``, if AP rises with the number of training images among the classes of
                     the tail, by more than :data:`CLEAR` standard errors of the rank correlation;
                     else ``not images``. ``unknown`` below :data:`FEW_CLASSES` classes.
Is the difference    ``yes``, if the bootstrap interval of the difference to the first run, of all
real?                classes or of the tail, is on one side of zero.
===================  ==============================================================================
"""
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from bacl.annotations import FrequencyGroup

from .results import StyleRecall
from .results.average_precision import ALL

NOTHING = 0.02  # of AP
BOTH = 0.25
FEW_CONFUSED = 0.05
CLEAR = 2.0  # standard errors
GAP = 0.1  # of the share of objects that are found
FEW_CLASSES = 10
NUM_NAMED = 3  # classes in a sentence

TEST_DEEPER = ('python tools/test.py {config} {checkpoint} --work-dir {work_dir}/test '
               '--out {work_dir}/test/predictions.pkl '
               '--cfg-options model.test_cfg.rcnn.max_per_img=1000')
CALIBRATE = 'python tools/calibrate.py {config} {checkpoint} --calibrator LogitAdjustment'
TRAIN_CLASSIFIER = 'python tools/train.py STAGE2_CONFIG --stage1-checkpoint {checkpoint}'
REPEAT = 'python tools/train.py {config} --seed 1 --work-dir {work_dir}-seed1'
LOOK_AT_RUN = 'python tools/analysis_tools/export.py {work_dir} --out export'
LOOK_AT_DATA = ('python tools/analysis_tools/dataset_report.py TRAIN_ANN_FILE IMG_DIR '
                '--out data_report')


@dataclass(frozen=True)
class Paths:
    """Files of a run, as commands name them; capitals stand for what is not known."""

    config: str = 'CONFIG'
    checkpoint: str = 'CHECKPOINT'
    work_dir: str = 'WORK_DIR'

    def fill(self, command: str) -> str:
        """A command with these files."""
        return command.format(**vars(self))


@dataclass(frozen=True)
class Finding:
    """One thing that the numbers say.

    Attributes:
        question: that it answers.
        verdict: the answer, as in the table of :mod:`bacl.report.diagnosis`.
        text: the answer in a sentence, with its numbers.
        figure: name of the figure that shows them.
        advice: what to try next, in words.
        command: the command for it, or '' if there is none.
    """

    question: str
    verdict: str
    text: str
    figure: str
    advice: str
    command: str = ''


@dataclass(frozen=True)
class Ends:
    """The two ends of the frequency groups.

    Attributes:
        tail: key of the rarest group with objects.
        head: key of the most frequent one; the same if there is only one.
        labels: of all groups by their key, in words, from the rarest.
    """

    tail: str
    head: str
    labels: dict[str, str]

    @classmethod
    def of(cls, groups: Sequence[FrequencyGroup], num_objects: dict[str, int]) -> 'Ends':
        """Find them.

        Args:
            groups: from the rarest.
            num_objects: of each group's classes, by its key.

        Raises:
            ValueError: if no group has an object.
        """
        present = [group.key for group in groups if num_objects.get(group.key)]
        if not present:
            raise ValueError('Ends.of(num_objects=) expects a group with objects, got none.')
        return cls(present[0], present[-1], {group.key: group.label for group in groups})

    def name(self, key: str) -> str:
        """'the tail (rare)'."""
        return f'the {"tail" if key == self.tail else "head"} ({self.labels[key]})'

    def more_frequent(self) -> list[str]:
        """Keys of the groups behind the tail."""
        keys = list(self.labels)
        return keys[keys.index(self.tail) + 1:]


def rank_or_recognition(fixed: pd.DataFrame, caps: pd.DataFrame, ends: Ends, is_deep: bool,
                        paths: Paths = Paths(), counts_all: bool = False) -> Finding:
    """Is the tail crowded out by higher scores of other classes, or not recognised?

    Args:
        fixed: of :func:`.results.fixed_ap`.
        caps: of :func:`.results.ap_by_cap`.
        ends: of the groups.
        is_deep: whether the file holds more detections of an image than the evaluation counts.
        paths: of the run.
        counts_all: whether the evaluation has no limit on an image, as that of COCO, whose limit is
            on an image and class: then a file is never deep, and what AP gained is no estimate.
    """
    question = 'Rank or recognition?'
    frame = fixed.set_index('group')
    ap, behind = frame.loc[ends.tail, 'ap'], frame.loc[ends.head, 'ap'] - frame.loc[ends.tail, 'ap']
    tail, head = ends.name(ends.tail), ends.name(ends.head)
    figure = 'fixed_ap' if is_deep else 'ap_by_cap'
    if ends.tail == ends.head:
        return Finding(question, 'nothing', f'Neither: all objects are of one group, '
                       f'{ends.labels[ends.tail]}, with AP {_points(ap)}; there is no tail to '
                       'compare with a head.', figure,
                       'Evaluate on images with classes of other groups, too.')
    if max(ap, ap + behind) < NOTHING:
        return Finding(question, 'unknown', f'Not known: hardly anything is found, {tail} with AP '
                       f'{_points(ap)}, {head} with {_points(ap + behind)}.', figure,
                       'Train longer, before the tail is compared with the head.')
    if behind < NOTHING:
        return Finding(question, 'nothing', f'Neither: {tail} has AP {_points(ap)}, {head} '
                       f'{_points(ap + behind)}.', figure,
                       'Look at the other findings.')
    if is_deep:
        rank = max(0., frame.loc[ends.tail, 'fixed_ap'] - ap)
        recognition = max(0., frame.loc[ends.head, 'fixed_ap'] - frame.loc[ends.tail, 'fixed_ap'])
        how = (f'without competition for places in an image its AP is '
               f'{_points(frame.loc[ends.tail, "fixed_ap"])} instead of {_points(ap)}, and that of '
               f'{head} {_points(frame.loc[ends.head, "fixed_ap"])}')
    else:
        gained, first, last = _last_tripling(caps, ends.tail)
        rank, recognition = max(0., gained), max(0., behind - max(0., gained))
        how = (f'its AP grew by {_points(gained)} from {first} to {last} detections of an image, '
               f'and is {_points(behind)} below that of {head}')
        if not counts_all:
            how += '; the file holds no more detections, so this is an estimate'
    if max(rank, recognition) < NOTHING:
        return Finding(question, 'nothing', f'Neither, for {tail}: {how}.', figure,
                       'Look at the other findings.')
    share = rank / (rank + recognition)
    verdict = 'both' if BOTH < share < 1 - BOTH else 'rank' if share >= 0.5 else 'recognition'
    text = {'rank': f'Rank, not recognition: {tail} is known, but crowded out', 'recognition':
            f'Recognition, not rank: {tail} is not known well enough', 'both':
            f'Rank and recognition: {tail} is crowded out and not known well enough'}[verdict]
    if not is_deep and not counts_all:
        advice, command = 'Test with more detections of an image, and report again', TEST_DEEPER
    elif verdict == 'recognition':
        advice, command = ('Train the classifier on balanced samples: a stage 2 with FCBL and '
                           'feature hallucination', TRAIN_CLASSIFIER)
    else:
        advice, command = 'Calibrate the scores, which needs no training', CALIBRATE
    return Finding(question, verdict, f'{text}: {how}.', figure, f'{advice}.', paths.fill(command))


def _last_tripling(caps: pd.DataFrame, group: str) -> tuple[float, int, int]:
    """What AP gained between a third of the detections and all, and these two numbers."""
    ap = caps[caps['group'] == group].set_index('cap')['ap'].sort_index()
    last = int(ap.index[-1])
    below = [int(cap) for cap in ap.index if cap <= last / 3] or [int(ap.index[0])]
    return float(ap.iloc[-1] - ap.loc[below[-1]]), below[-1], last


_ERROR_WORDS = {
    'classification': 'wrong classes', 'localisation': 'inexact boxes',
    'both': 'boxes that are inexact and of a wrong class', 'duplicate': 'duplicates',
    'background': 'detections of background', 'missed': 'missed objects'}
_ERROR_ADVICE = {
    'classification': ('Lift the scores of the tail against frequent classes', CALIBRATE),
    'localisation': ('Learn the boxes of all classes together, if each has its own regression',
                     'python tools/train.py {config} --cfg-options '
                     'model.roi_head.bbox_head.reg_class_agnostic=True'),
    'both': ('Look at the pictures: boxes and classes are wrong together; train longer', REPEAT),
    'duplicate': ('Suppress more overlap', 'python tools/test.py {config} {checkpoint} '
                  '--cfg-options model.test_cfg.rcnn.nms.iou_threshold=0.4'),
    'background': ('Show the classifier more background: more RoIs of an image',
                   'python tools/train.py {config} --cfg-options '
                   'model.train_cfg.rcnn.sampler.num=1024'),
    'missed': ('Keep more proposals and lower scores; what stays missed is not recognised',
               'python tools/test.py {config} {checkpoint} --cfg-options '
               'model.test_cfg.rpn.max_per_img=2000 model.test_cfg.rcnn.score_thr=0.00001')}


def costliest_error(errors: pd.DataFrame, ends: Ends, paths: Paths = Paths(), rank: str = '',
                    taken: str = '') -> Finding:
    """Is the tail found in the wrong place, or called the wrong name?

    Args:
        errors: of :func:`.results.error_types`.
        ends: of the groups.
        paths: of the run.
        rank: verdict of :func:`rank_or_recognition`.
        taken: verdict of :func:`confusion`.
    """
    question, figure = 'Localisation or classification?', 'error_gains'
    gain = errors.pivot(index='group', columns='error', values='gain_ap50')
    of_tail, of_head = gain.loc[ends.tail], gain.loc[ends.head]
    worst = of_tail.idxmax()
    tail = ends.name(ends.tail)
    if of_tail[worst] < NOTHING:
        return Finding(question, 'nothing', f'Neither: no type of error costs {tail} '
                       f'{_points(NOTHING)} points of AP50.', figure, 'Look at the other findings.')
    others = [name for name in ('classification', 'localisation') if name != worst]
    against = ' and '.join(f'{_points(of_tail[name])} for {_ERROR_WORDS[name]}' for name in others)
    answer = worst.capitalize() if len(others) == 1 else 'Neither first'
    text = (f'{answer}: {_ERROR_WORDS[worst]} cost {tail} most, {_points(of_tail[worst])} points '
            f'of AP50 against {against}')
    if ends.head != ends.tail:
        text += f'; they cost {ends.name(ends.head)} {_points(of_head[worst])}'
    advice, command = _ERROR_ADVICE[worst]
    if worst == 'missed' and rank in ('rank', 'both'):
        text += '; below the limit of an image, that is: see rank'
        advice, command = 'Calibrate the scores, which needs no training', CALIBRATE
    elif worst == 'classification' and taken == 'hardly':
        text += '; its own objects are hardly taken for others, so others are taken for it'
        advice, command = 'Look at what is taken for it', LOOK_AT_RUN
    return Finding(question, worst, f'{text}.', figure, f'{advice}.', paths.fill(command))


def confusion(pairs: pd.DataFrame, num_objects: int, ends: Ends, figure: str,
              paths: Paths = Paths()) -> Finding:
    """Which classes is the tail taken for?

    Args:
        pairs: of :func:`.results.confused_pairs`.
        num_objects: of the tail.
        ends: of the groups.
        figure: that shows the pairs.
        paths: of the run.
    """
    question, tail = 'Taken for what?', ends.name(ends.tail)
    pairs = pairs[(pairs['true_group'] == ends.tail) & (pairs['num_outscored'] > 0)]
    count = int(pairs['num_outscored'].sum())
    if count < FEW_CONFUSED * num_objects or not count:
        return Finding(question, 'hardly', 'Hardly for anything: wrong classes outscore the right '
                       f'one {_times(count)} on the {num_objects:,} objects of {tail}.', figure,
                       'Look at the other findings.')
    is_frequent = pairs['predicted_group'].isin(ends.more_frequent())
    to_frequent = int(pairs.loc[is_frequent, 'num_outscored'].sum())
    verdict = 'head' if to_frequent > count / 2 else 'tail'
    named = pairs[is_frequent if verdict == 'head' else ~is_frequent].groupby(
        'predicted')['num_outscored'].sum().sort_values(ascending=False, kind='stable')
    names = ', '.join(f'{name} ({number})' for name, number in named.head(NUM_NAMED).items())
    where = 'more frequent classes' if verdict == 'head' else 'classes of its own group'
    number = to_frequent if verdict == 'head' else count - to_frequent
    text = (f'For {where}: wrong classes outscore the right one {_times(count)} on the '
            f'{num_objects:,} objects of {tail}, {number} times such classes, most often {names}.')
    if verdict == 'head':
        return Finding(question, verdict, text, figure, 'Lower the scores of frequent classes, or '
                       'train with margins between such pairs (FCBL).', paths.fill(CALIBRATE))
    return Finding(question, verdict, text, figure, 'Compare the pictures of these classes: they '
                   'may be one thing with two names.', LOOK_AT_DATA)


def images_or_styles(classes: pd.DataFrame, ends: Ends, figure: str,
                     styles: StyleRecall | None = None) -> Finding:
    """Does the tail lack images, or variety in them?

    Args:
        classes: of :func:`.results.class_ap_frame`.
        ends: of the groups.
        figure: that shows them.
        styles: if training and validation objects have a style.
    """
    question, tail = 'Too few images, or too few styles?', ends.name(ends.tail)
    part = classes[(classes['group'] == ends.tail) & (classes['num_objects'] > 0)]
    usual = f'its classes have {part["image_count"].median():g} training images (median)'
    if styles and styles.num_seen and styles.num_new:
        seen, new = styles.found_seen / styles.num_seen, styles.found_new / styles.num_new
        text = (f'of the objects of {tail} in a style that training showed of their class '
                f'{seen:.0%} are found (of {styles.num_seen:,}), of others {new:.0%} (of '
                f'{styles.num_new:,}); {usual}.')
        error = np.sqrt(seen * (1 - seen) / styles.num_seen + new * (1 - new) / styles.num_new)
        if seen - new > max(GAP, CLEAR * error):
            return Finding(question, 'styles', f'Too few styles: {text}', figure, 'Add images in '
                           'which these classes look different, rather than more of the same.',
                           LOOK_AT_DATA)
    if len(part) < FEW_CLASSES or part['image_count'].nunique() < 2:
        return Finding(question, 'unknown', f'Not known: {tail} has {len(part)} classes with '
                       f'objects, too few to compare by their number of images; {usual}.', figure,
                       'Evaluate on images with more of its classes.', LOOK_AT_DATA)
    correlation = float(part['image_count'].rank().corr(part['ap'].rank()))
    correlation = 0. if np.isnan(correlation) else correlation
    among = (f'among the {len(part)} classes of {tail} AP %s with the number of training images '
             f'(rank correlation {correlation:.2f}); {usual}.')
    # Standard error of a rank correlation of independent numbers.
    if correlation > CLEAR / np.sqrt(len(part) - 1):
        return Finding(question, 'images', f'Too few images: {among % "rises"}', figure,
                       'Label more images of the classes that have the fewest; until then train on '
                       'copies of their objects (SimpleCopyPaste) or features (FHM).', LOOK_AT_DATA)
    return Finding(question, 'not images', f'Not only images: {among % "does not rise"}', figure,
                   'Compare what training and validation images show of the worst classes: look '
                   'for variety rather than number.', LOOK_AT_DATA)


def is_difference_real(bootstrap: pd.DataFrame, ends: Ends, paths: Paths = Paths()) -> Finding:
    """Is the difference between the first run and the last one more than luck?

    Args:
        bootstrap: of :func:`.results.paired_bootstrap`.
        ends: of the groups.
        paths: of the last run.
    """
    question = 'Is the difference real?'
    first, last = bootstrap['run'].iloc[0], bootstrap['run'].iloc[-1]
    rows = bootstrap[bootstrap['run'] == last].set_index('group')
    names = {ALL: 'all classes', ends.tail: ends.name(ends.tail)}
    if first == last:
        intervals = ' and '.join(
            f'{_points(rows.loc[key, "ap"])} for {name} ({_points(rows.loc[key, "ap_low"])} to '
            f'{_points(rows.loc[key, "ap_high"])})' for key, name in names.items())
        return Finding(question, 'one run', f'There is one run alone, with AP {intervals}, and '
                       'nothing to compare it with.', 'group_ap', 'Report it beside a baseline: '
                       'the first run is what others are compared with.',
                       paths.fill('python tools/analysis_tools/report.py BASELINE_WORK_DIR '
                                  '{work_dir} --out report'))
    clear = {key: rows.loc[key, 'low'] > 0 or rows.loc[key, 'high'] < 0 for key in names}
    changes = ' and '.join(
        f'{100 * rows.loc[key, "difference"]:+.1f} for {name} '
        f'({100 * rows.loc[key, "low"]:+.1f} to {100 * rows.loc[key, "high"]:+.1f})'
        for key, name in names.items())
    if any(clear.values()):
        of = ' and '.join(name for key, name in names.items() if clear[key])
        verdict, answer = 'yes', f'Yes, on such images, for {of}'
        advice = 'See whether it is the luck of one training: repeat both with other seeds'
    else:
        verdict, answer = 'no', 'Not to be told from luck'
        advice = 'Test on more images, or take the mean of several trainings'
    return Finding(question, verdict, f'{answer}: the AP of {last} differs from that of {first} by '
                   f'{changes}.', 'ap_difference', f'{advice}.', paths.fill(REPEAT))


def _points(value: float) -> str:
    return f'{100 * value:.1f}'


def _times(count: int) -> str:
    return 'once' if count == 1 else f'{count:,} times' if count else 'never'
