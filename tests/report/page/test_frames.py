from dataclasses import replace

from bacl.report.page import Images
from bacl.report.page.frames import ResultFrames, recall_by_style
from bacl.report.results import StyleRecall


def with_styles(images, styles):
    annotations = [dict(annotation, style=style) for annotation, style in zip(
        images.annotations['annotations'], styles, strict=True)]
    return replace(images, annotations=dict(images.annotations, annotations=annotations))


def test_styles_are_compared_class_by_class(validation, runs):
    # Classes 11, 11, 11, 11, 22 and 22; ids are not in label order.
    tested = with_styles(validation, ['x', 'y', 'x', 'z', 'x', 'y'])
    training = with_styles(Images(validation.annotations, 'train.json', validation.class_table,
                                  validation.image_path), ['x', 'x', 'x', 'z', 'y', 'y'])
    # The last run finds all but the first object of class 11.
    assert recall_by_style(tested, training, runs[1], 'f') == StyleRecall(3, 2, 1, 1)
    assert recall_by_style(tested, training, runs[1], 'r') == StyleRecall(1, 1, 1, 1)
    assert recall_by_style(tested, training, runs[0], 'r') == StyleRecall(1, 0, 1, 0)


def test_without_styles_of_all_objects_nothing_is_compared(validation, runs):
    tested = with_styles(validation, 'xxxxxx')
    assert recall_by_style(tested, validation, runs[0], 'r') is None
    assert recall_by_style(validation, tested, runs[0], 'r') is None


def test_frames_are_those_of_each_run(validation, runs):
    frames = ResultFrames.of(validation, runs, 3)
    assert list(frames.class_ap) == list(frames.error_types) == ['first', 'last']
    assert frames.fixed_ap['last'].set_index('group').loc['r', 'ap'] == 1
    assert frames.bootstrap['num_draws'].max() == 3
