import sys
from types import SimpleNamespace

import pytest


@pytest.fixture
def call(load_tool, monkeypatch, tmp_path):
    """A function that runs tools/predict.py; what it predicts with is recorded, not done."""
    tool, calls = load_tool('predict.py'), []
    (tmp_path / 'a.png').touch()

    def predict(*args):
        calls.append(args)
        if args[0] == 'bad.py':
            raise FileNotFoundError('bad.py is not there.')
        return iter([SimpleNamespace(scores=[0.5, 0.4])])

    def run(*argv):
        monkeypatch.setattr(tool, 'predict', predict)
        monkeypatch.setattr(sys, 'argv', ['predict.py', *argv])
        tool.main()
        return calls[0]

    return run, tmp_path


def test_arguments_reach_the_function_and_the_result_is_told(call, capsys):
    run, folder = call
    args = run('c.py', 'a.pth', str(folder), '--out', 'o', '--score-thr', '0.1', '--max-dets', '7',
               '--device', 'cpu', '--skip-unreadable', '--cfg-options', 'a.b=3')
    assert args[:3] == ('c.py', 'a.pth', str(folder)) and str(args[3]) == 'o'
    assert args[4:] == (0.1, 7, 'cpu', True, {'a.b': 3})
    shown = capsys.readouterr().out.replace('\n', ' ')
    assert '100%' in shown and '2 objects in 1 images: o/detections.json, o/pictures' in shown


def test_the_defaults_leave_out_low_scores(call):
    run, folder = call
    assert run('c.py', 'a.pth', str(folder), '--out', 'o')[4:] == (0.3, 100, None, False, {})


@pytest.mark.parametrize('config, images, message', [
    ('bad.py', '', '^FileNotFoundError: bad.py is not there.$'),
    ('c.py', '/none.png', '^FileNotFoundError: IMAGES expects an image')])
def test_bad_input_ends_with_its_message(call, config, images, message):
    run, folder = call
    with pytest.raises(SystemExit, match=message):
        run(config, 'a.pth', f'{folder}{images}', '--out', 'o')
