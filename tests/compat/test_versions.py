import importlib.metadata

import bacl  # noqa: F401
import pytest
from bacl.compat import versions
from bacl.compat.versions import (
    REQUIREMENTS,
    Installed,
    Requirement,
    check_versions,
    find_all_installed,
    find_installed,
    pip_command,
)

MMDET = next(requirement for requirement in REQUIREMENTS if requirement.module == 'mmdet')


@pytest.fixture
def installed(monkeypatch):
    """Pretend that a distribution has another version, and that it provides the module."""
    pretended = {}
    real = importlib.metadata.distribution

    def distribution(name):
        if not pretended.keys() & {name}:
            return real(name)
        if pretended[name] is None:
            raise importlib.metadata.PackageNotFoundError(name)

        class Distribution:
            version = pretended[name]

            def locate_file(self, path):
                return versions.importlib.util.find_spec(str(path)).origin.rsplit('/', 1)[0]

        return Distribution()

    monkeypatch.setattr(importlib.metadata, 'distribution', distribution)
    return pretended


@pytest.mark.parametrize(
    ('version', 'accepted'),
    [
        ('3.3.0', True),
        ('3.3', True),
        ('3.5.1', True),
        ('3.10.0', True),  # numbers, not strings
        ('3.3.0+local', True),
        ('3.3.0a0+29c30b1', True),
        ('4.0.0rc1', False),
        ('3.2.9', False),
        ('4', False),
        ('4.0.0', False),
        ('2.28.2', False),
    ],
)
def test_window_is_half_open(version, accepted):
    assert MMDET.accepts(version) is accepted


def test_this_environment_passes():
    check_versions()
    assert all(package.version for package in find_all_installed())


@pytest.mark.parametrize(
    ('distribution', 'version', 'message'),
    [
        (
            'mmdet',
            '3.2.0',
            r'mmdet>=3.3.0,<4 .*mmdet 3.2.0 .*pip install "mmdet>=3.3.0,<4"',
        ),
        ('mmcv-lite', '2.2.0', r'mmcv>=2.0.0,<2.2.0 .*pip install "mmcv-lite>=2.0.0,<2.2.0"'),
        ('torch', '2.0.1', r'torch>=2.1 .*pip install "torch>=2.1" "torchvision"'),
        ('setuptools', '82.0.1', r'setuptools 82.0.1 .*pip install "setuptools<82"'),
    ],
)
def test_wrong_version_names_the_fix(installed, distribution, version, message):
    providers = {package.distribution for package in find_all_installed()}
    if distribution not in providers or 'onedl-mmdetection' in providers:
        pytest.skip('needs the default distributions')
    installed[distribution] = version
    with pytest.raises(ImportError, match=message):
        check_versions()


def test_missing_packages_are_named_in_one_command(monkeypatch):
    real = importlib.util.find_spec
    missing = {'mmdet', 'torch', 'torchvision'}
    monkeypatch.setattr(
        importlib.util, 'find_spec', lambda name: None if name in missing else real(name)
    )
    with pytest.raises(ImportError) as error:
        check_versions()
    command = 'pip install "torch>=2.1" "torchvision>=0.16" "mmdet>=3.3.0,<4"'
    assert 'mmdet is not installed.' in str(error.value)
    assert command in str(error.value)


def test_without_packaging_it_is_what_is_missing(monkeypatch, installed):
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, 'find_spec', lambda name: None if name == 'packaging' else real(name)
    )
    broken = [package for package in find_all_installed() if package.problem]
    assert pip_command(broken) == 'pip install "packaging"'


def test_fork_is_recognised_and_frees_mmcv(installed):
    installed.update(
        {'mmdet': None, 'onedl-mmdetection': '3.5.1', 'mmcv-lite': '2.3.0', 'mmcv': None}
    )
    packages = {package.requirement.module: package for package in find_all_installed()}
    assert packages['mmdet'].distribution == 'onedl-mmdetection'
    assert not packages['mmdet'].problem
    assert not packages['mmcv'].problem


@pytest.mark.parametrize('order', [1, -1])
def test_distribution_whose_files_are_imported_counts(tmp_path, monkeypatch, order):
    # As with `pip install --target`: the folder that comes first on the path hides the other.
    for distribution in ('official_detector', 'forked_detector'):
        folder = tmp_path / distribution
        metadata = folder / f'{distribution}-1.0.dist-info' / 'METADATA'
        metadata.parent.mkdir(parents=True)
        metadata.write_text(f'Name: {distribution}\nVersion: 1.0\n')
        (folder / 'some_detector').mkdir()
        (folder / 'some_detector' / '__init__.py').touch()
        monkeypatch.syspath_prepend(folder)
    requirement = Requirement('some_detector', ('official-detector', 'forked-detector')[::order])
    assert find_installed(requirement).distribution == 'forked-detector'


def test_source_folder_without_metadata_is_accepted(tmp_path, monkeypatch):
    (tmp_path / 'from_source.py').touch()
    monkeypatch.syspath_prepend(tmp_path)
    package = find_installed(Requirement('from_source', ('no-such-distribution',), '>=9'))
    assert package.found and package.version == '' and package.problem == ''


def test_command_keeps_the_distribution_that_is_there():
    mmcv = Requirement('mmcv', ('mmcv-lite', 'mmcv'), '<2.2.0')
    broken = Installed(mmcv, True, 'mmcv', '2.2.0')
    assert pip_command([broken]) == 'pip install "mmcv<2.2.0"'
