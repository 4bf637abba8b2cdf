"""One rank of the tests in test_rank_files.py: python rank_worker.py DATA OUT_DIR."""
import json
import sys
from pathlib import Path

import bacl  # noqa: F401
import numpy as np
import torch
from bacl.evaluation import FastLVISMetric
from bacl.evaluation.metrics import fast_lvis_metric, rank_files
from bacl.evaluation.metrics.predictions import Predictions
from mmengine import dist
from torch.distributed import distributed_c10d


def sample(image, category_ids, with_masks):
    instances = {
        'bboxes': torch.tensor(image['bboxes']).reshape(-1, 4),
        'scores': torch.tensor(image['scores']),
        'labels': torch.tensor([category_ids.index(i) for i in image['categories']],
                               dtype=torch.int64)}
    if with_masks:
        instances['masks'] = image['masks']
    return {'img_id': image['id'], 'pred_instances': instances}


def evaluate(ann_file, samples, size, **kwargs):
    """The metrics, and how many bytes of Python objects were pickled meanwhile."""
    metric = FastLVISMetric(ann_file=ann_file, **kwargs)
    for start in range(0, len(samples), 3):
        metric.process({}, samples[start:start + 3])
    sizes, original = [], distributed_c10d._object_to_tensor

    def counting(obj, *args):
        tensor, size = original(obj, *args)
        sizes.append(int(size))
        return tensor, size

    distributed_c10d._object_to_tensor = counting
    try:
        result = metric.evaluate(size)
    finally:
        distributed_c10d._object_to_tensor = original
    assert not metric.results
    return {'metrics': result, 'largest_pickle': max(sizes)}


def message_of(function):
    try:
        function()
    except Exception as error:
        return f'{type(error).__name__}: {error}'
    return 'no error'


def main(data_path, out_dir):
    data = json.loads(data_path.read_text())
    torch.distributed.init_process_group('gloo')
    rank, world_size = dist.get_dist_info()
    images, size = data['images'], len(data['images'])
    padded = images + images[:-size % world_size]
    results = {}

    def run(case, chosen, size=size, metric='bbox', **kwargs):
        samples = [sample(image, data['category_ids'], metric != 'bbox') for image in chosen]
        folder = out_dir / case
        results[case] = evaluate(data['ann_file'], samples, size, collect_dir=str(folder),
                                 metric=metric, **kwargs)
        dist.barrier()
        results[case]['left'] = [path.name for path in folder.rglob('*')]

    run('boxes', padded[rank::world_size])
    run('masks', padded[rank::world_size], metric=['bbox', 'segm'])
    run('without padding', images[rank::world_size])
    run('repeated', images if rank == 0 else images[::-1], size=2 * size)
    run('one rank has none', images if rank == 1 else [], size=2 * size)
    run('none at all', [])
    fast_lvis_metric._DROP_FROM = 60  # of some 400 predictions of a rank
    run('fixed', padded[rank::world_size], max_dets=5, max_dets_per_class=20)
    run('dumped', padded[rank::world_size], outfile_prefix=str(out_dir / f'dump_{rank}'))

    # Without a folder named, the working directory is used.
    results['default'] = evaluate(
        data['ann_file'], [sample(image, data['category_ids'], False)
                           for image in padded[rank::world_size]], size)
    dist.barrier()
    results['default']['left'] = [path.name for path in Path.cwd().rglob('*')]

    # One rank cannot write.
    save = Predictions.save
    if rank == 1:
        def fail(self, folder):
            save(self, folder)
            raise OSError('the disk is full')
        Predictions.save = fail
    results['cannot write'] = message_of(lambda: run('cannot write', padded[rank::world_size]))
    Predictions.save = save
    dist.barrier()
    results['left of cannot write'] = [p.name for p in (out_dir / 'cannot write').rglob('*')]
    # Nor make a folder where a file is.
    (out_dir / 'file').touch()
    results['no folder'] = message_of(
        lambda: evaluate(data['ann_file'], [], size, collect_dir=str(out_dir / 'file')))
    # The main process fails.
    compute = FastLVISMetric.compute_metrics
    FastLVISMetric.compute_metrics = lambda *_: (_ for _ in ()).throw(MemoryError('too much'))
    results['main fails'] = message_of(lambda: run('main fails', padded[rank::world_size]))
    FastLVISMetric.compute_metrics = compute
    # The main process cannot read.
    load = Predictions.load
    part = Predictions.concatenate([], 'Metric')
    if rank == 0:
        Predictions.load = lambda folder: (_ for _ in ()).throw(ValueError('broken'))
    results['cannot read'] = message_of(
        lambda: rank_files.collect_predictions([part], 4, str(out_dir / 'unread'), 'Metric'))
    Predictions.load = load
    dist.barrier()
    results['left of cannot read'] = [path.name for path in (out_dir / 'unread').rglob('*')]
    # Order: image k of rank r is image 2 k + r.
    ids = np.arange(3) * 2 + rank
    part = Predictions(ids, np.ones(3, int), np.zeros((3, 4)), ids / 10, ids.astype(np.int32))
    whole = rank_files.collect_predictions([part], 5, str(out_dir / 'order'), 'Metric')
    results['order'] = whole and [whole.image_id.tolist(), whole.labels.tolist()]
    (out_dir / f'{rank}.json').write_text(json.dumps(results))


if __name__ == '__main__':
    main(Path(sys.argv[1]), Path(sys.argv[2]))
    distributed_c10d.destroy_process_group()
