import json
import math
from pathlib import Path

import bacl  # noqa: F401
import numpy as np
import pytest
from bacl.evaluation import evaluate_lvis
from bacl.evaluation.metrics.predictions import Predictions
from bacl.evaluation.metrics.rank_files import collect_predictions

WORKER = Path(__file__).with_name('rank_worker.py')
WATCHDOG = 120  # seconds; a hang is one of the faults that are looked for


@pytest.fixture(scope='module')
def ranks(make_lvis, tmp_path_factory, warm_python):
    """What two ranks reported, the folder, and the expected metrics of boxes and masks."""
    folder = tmp_path_factory.mktemp('ranks')
    data, records = make_lvis(1, num_images=21)  # an odd number: one image is padded
    ann_file = folder / 'lvis.json'
    ann_file.write_text(json.dumps(data))
    images = []
    for image in data['images']:
        here = [record for record in records if record['image_id'] == image['id']]
        corners = np.array([[x, y, x + w, y + h] for x, y, w, h in (r['bbox'] for r in here)],
                           dtype=np.float32)
        for record, (x1, y1, x2, y2) in zip(here, corners.tolist(), strict=True):
            record['bbox'] = [x1, y1, x2 - x1, y2 - y1]
            record['score'] = float(np.float32(record['score']))
        images.append({'id': image['id'], 'bboxes': corners.tolist(),
                       'scores': [record['score'] for record in here],
                       'categories': [record['category_id'] for record in here],
                       'masks': [record['segmentation'] for record in here]})
    # As the metric does, in the order of the images.
    ordered = [record for image in data['images'] for record in records
               if record['image_id'] == image['id']]
    boxes = evaluate_lvis(ann_file, ordered)
    masks = evaluate_lvis(ann_file, [{k: v for k, v in record.items() if k != 'bbox'}
                                     for record in ordered], 'segm')
    fixed = evaluate_lvis(ann_file, ordered, max_dets=5, max_dets_per_class=20)
    expected = {'boxes': {f'lvis/bbox_{name}': value for name, value in boxes.items()},
                'fixed': {f'lvis/bbox_{name}': value for name, value in fixed.items()},
                'masks': {f'lvis/segm_{name}': value for name, value in masks.items()}}
    data_path, out_dir = folder / 'data.json', folder / 'out'
    data_path.write_text(json.dumps({
        'ann_file': str(ann_file), 'images': images,
        'category_ids': [category['id'] for category in data['categories']]}))
    out_dir.mkdir()
    cwd = folder / 'cwd'
    cwd.mkdir()
    done = warm_python.run([WORKER, data_path, out_dir], ranks=2, timeout=WATCHDOG, cwd=cwd)
    assert done.returncode == 0, done.stdout[-5000:]
    reports = [json.loads((out_dir / f'{rank}.json').read_text()) for rank in range(2)]
    return reports, out_dir, expected


@pytest.mark.dist
@pytest.mark.parametrize('case', ['boxes', 'without padding', 'repeated', 'one rank has none',
                                  'dumped', 'default'])
def test_both_ranks_get_the_metrics_of_one_process(ranks, case):
    reports, _, expected = ranks
    for report in reports:
        assert report[case]['metrics'] == expected['boxes']


@pytest.mark.dist
def test_what_ranks_drop_changes_no_number(ranks):
    reports, _, expected = ranks
    for report in reports:
        assert report['fixed']['metrics'] == expected['fixed']


@pytest.mark.dist
def test_masks_go_through_files_too(ranks):
    reports, _, expected = ranks
    for report in reports:
        assert report['masks']['metrics'] == {**expected['boxes'], **expected['masks']}


@pytest.mark.dist
def test_no_predictions_of_any_rank_are_missed_objects(ranks):
    for report in ranks[0]:
        assert set(report['none at all']['metrics'].values()) == {0}


@pytest.mark.dist
@pytest.mark.parametrize('case', ['boxes', 'masks', 'default'])
def test_only_names_and_metrics_are_pickled_and_no_file_is_left(ranks, case):
    for report in ranks[0]:
        # A name of a folder, a message, eighteen numbers with their names.
        assert 0 < report[case]['largest_pickle'] < 1500
        assert report[case]['left'] == []


@pytest.mark.dist
def test_only_the_main_process_keeps_predictions(ranks):
    _, out_dir, _ = ranks
    assert [path.name for path in out_dir.glob('dump_*')] == ['dump_0.bbox.json']


@pytest.mark.dist
def test_images_are_in_the_order_of_the_data_set(ranks):
    first, second = ranks[0]
    assert first['order'] == [[0, 1, 2, 3, 4]] * 2
    assert second['order'] is None


@pytest.mark.dist
def test_all_ranks_fail_where_one_cannot_write(ranks):
    for report in ranks[0]:
        for case, text in (('cannot write', 'rank 1: OSError: the disk is full. Set collect_dir'),
                           ('no folder', 'rank 0: ')):
            assert report[case].startswith('RuntimeError: FastLVISMetric(collect_dir=) expects')
            assert text in report[case]
        assert report['left of cannot write'] == []


@pytest.mark.dist
def test_no_rank_waits_for_a_main_process_that_failed(ranks):
    first, second = ranks[0]
    assert first['main fails'] == 'MemoryError: too much'
    assert second['main fails'] == \
        'RuntimeError: FastLVISMetric failed on the main process: MemoryError: too much'


@pytest.mark.dist
def test_files_are_removed_after_an_error_in_the_main_process(ranks):
    first, second = ranks[0]
    assert first['cannot read'] == 'ValueError: broken'
    assert second['cannot read'] == 'no error'
    assert first['left of cannot read'] == []


def test_one_process_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ids = np.arange(5)
    part = Predictions(ids, np.ones(5, int), np.zeros((5, 4)), ids / 10, ids.astype(np.int32))
    found = collect_predictions([part], 3, None, 'Metric')
    assert found.image_id.tolist() == found.labels.tolist() == [0, 1, 2]
    assert list(tmp_path.iterdir()) == []
    assert math.isclose(found.scores[2], 0.2)
