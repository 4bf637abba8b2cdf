import multiprocessing
import sqlite3

import bacl  # noqa: F401
import pytest
import torch
from bacl.models.semantics import EmbeddingCache, RandomTeacher
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData

PROBE = torch.ones(2, 3)
BOXES = torch.tensor([[0., 0, 4, 4], [1, 1, 3, 3]])
IMAGE = torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(0))


def test_what_is_put_is_there_for_the_next_and_nothing_else(tmp_path):
    cache = EmbeddingCache(tmp_path / 'new/cache.sqlite', PROBE)
    assert cache.get(IMAGE, BOXES) is None
    embeddings = torch.randn(2, 3)
    cache.put(IMAGE, BOXES, embeddings)
    again = EmbeddingCache(tmp_path / 'new/cache.sqlite', PROBE)
    # As a normalisation and back leaves the pixels.
    assert torch.equal(again.get((IMAGE * 255 - 127) / 128 * 128 / 255 + 127 / 255, BOXES),
                       embeddings)
    assert again.get(IMAGE.flip(2), BOXES) is None
    assert again.get(IMAGE, BOXES + 0.5) is None
    assert again.get(IMAGE.view(3, 4, 16), BOXES) is None


def test_no_boxes_are_kept_as_none(tmp_path):
    cache = EmbeddingCache(tmp_path / 'cache.sqlite', PROBE)
    cache.put(IMAGE, BOXES[:0], torch.zeros(0, 3))
    assert cache.get(IMAGE, BOXES[:0]).shape == (0, 3)


def test_files_of_another_teacher_and_other_files_are_refused(tmp_path):
    file = tmp_path / 'cache.sqlite'
    EmbeddingCache(file, PROBE)
    EmbeddingCache(file, PROBE * 1.001)  # on another machine
    for probe in (-PROBE, torch.ones(2, 4)):
        with pytest.raises(ValueError, match=r'of this teacher, got .*cache\.sqlite'):
            EmbeddingCache(file, probe)
    file.write_text('no database, but longer than its header has to be' * 20)
    with pytest.raises(ValueError, match=r'cache_file= expects a file of embeddings'):
        EmbeddingCache(file, PROBE)


def fill(file):
    cache = EmbeddingCache(file, PROBE)
    for count in range(40):
        cache.put(torch.full_like(IMAGE, count / 255), BOXES, torch.full((2, 3), float(count)))


def test_two_processes_may_fill_it_at_once(tmp_path):
    file = tmp_path / 'cache.sqlite'
    context = multiprocessing.get_context('fork')
    processes = [context.Process(target=fill, args=(file,)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    cache = EmbeddingCache(file, PROBE)
    for count in range(40):
        assert (cache.get(torch.full_like(IMAGE, count / 255), BOXES) == count).all()
    with sqlite3.connect(file) as table:
        assert table.execute('SELECT COUNT(*) FROM embeddings').fetchone() == (41,)


def test_a_teacher_finds_what_another_of_its_kind_has_seen(tmp_path, monkeypatch):
    def teacher(**kwargs):
        teacher = RandomTeacher(cached_sources=('detection',), cache_file=tmp_path / 'c.sqlite',
                                **kwargs)
        teacher.set_classes(('dog', 'cat'))
        return teacher

    sample = DetDataSample(metainfo=dict(img_path='a.jpg', img_shape=(8, 8)))
    sample.gt_instances = InstanceData(bboxes=BOXES)
    (expected,) = teacher()(IMAGE[None], [sample])
    second = teacher()
    monkeypatch.setattr(second, 'embed_boxes', lambda *args: pytest.fail('embedded again'))
    (logits,) = second(IMAGE[None], [sample])
    assert torch.equal(logits, expected)
    with pytest.raises(ValueError, match='of another'):
        teacher(seed=1)
