import bacl  # noqa: F401
import pytest
from bacl.engine.running.command_line import build_runner, read_config, run_parser
from mmengine.config import Config
from mmengine.registry import RUNNERS


def parse(*argv):
    return run_parser('Run.').parse_args([*map(str, argv)])


def test_settings_of_the_command_line_count_more(tmp_path):
    path = tmp_path / 'a.py'
    path.write_text('first = 1\nsecond = dict(third=2)\n')
    assert read_config(parse(path)).to_dict() == dict(first=1, second=dict(third=2))
    cfg = read_config(parse(path, '--cfg-options', 'second.third=3', 'fourth=[a,b]'))
    assert cfg.to_dict() == dict(first=1, second=dict(third=3), fourth=['a', 'b'])


def test_what_is_wrong_is_told_before_anything_is_built(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'nothing\.py'):
        read_config(parse(tmp_path / 'nothing.py'))
    (tmp_path / 'a.py').write_text("loss = dict(type='FCBL')")
    with pytest.raises(ValueError, match=r"a\.py .*\n  loss: FCBL has no argument 'alhpa'"):
        read_config(parse(tmp_path / 'a.py', '--cfg-options', 'loss.alhpa=1'))


def test_runner_of_the_config_is_built():
    @RUNNERS.register_module()
    class OwnRunner:
        @classmethod
        def from_cfg(cls, cfg):
            return cls()

    try:
        assert type(build_runner(Config(dict(runner_type='OwnRunner')))) is OwnRunner
    finally:
        RUNNERS.module_dict.pop('OwnRunner')


def test_only_tools_that_read_a_bank_offer_it(capsys):
    argv = ['a.py', '--feature-bank', 'bank']
    assert run_parser('Run.', feature_bank=True).parse_args(argv).feature_bank == 'bank'
    with pytest.raises(SystemExit):
        run_parser('Run.').parse_args(argv)
    assert '--feature-bank' in capsys.readouterr().err
