import sys

import pytest
from bacl.compat.optional_packages import require_packages


def test_packages_that_are_there_pass():
    require_packages('Reports', 'json', 'numpy')


def test_missing_packages_are_named_with_the_command(monkeypatch):
    monkeypatch.setitem(sys.modules, 'jinja2', None)
    with pytest.raises(ImportError, match='Reports .* jinja2, no_such.*`pip install Jinja2 no_su'):
        require_packages('Reports', 'json', 'jinja2', 'no_such')


def test_a_package_that_lacks_something_itself_says_so(tmp_path, monkeypatch):
    (tmp_path / 'hollow.py').write_text('import missing_inside')
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ModuleNotFoundError, match='missing_inside'):
        require_packages('Reports', 'hollow')
