import json
import sys

import pytest
from bacl.run import main


def test_script_runs_as_if_it_had_been_started_itself(tmp_path, monkeypatch):
    (tmp_path / 'beside.py').write_text('word = "beside"\n')
    script = tmp_path / 'script.py'
    script.write_text(
        'from mmdet.apis import DetInferencer\n'  # needs the operators
        'import beside, json, pathlib, sys\n'
        'out = [__name__, beside.word, sys.argv]\n'
        'pathlib.Path(sys.argv[1]).write_text(json.dumps(out))\n')
    monkeypatch.setattr(sys, 'path', list(sys.path))
    argv = [str(script), str(tmp_path / 'out.json'), '--flag']
    monkeypatch.setattr(sys, 'argv', ['bacl/run.py', *argv])
    main()
    assert json.loads((tmp_path / 'out.json').read_text()) == ['__main__', 'beside', argv]


def test_script_has_to_be_named(monkeypatch):
    monkeypatch.setattr(sys, 'argv', ['bacl/run.py'])
    with pytest.raises(SystemExit, match='SCRIPT'):
        main()
