import shutil
import subprocess
import sys
import zipfile
from collections import Counter
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ('bacl', 'configs', 'tools', 'requirements', 'setup.py', 'pyproject.toml', 'MANIFEST.in',
           'README.md', 'LICENSE', 'model-index.yml')


@pytest.fixture(scope='module')
def source(tmp_path_factory):
    """A copy of the sources, so that building leaves nothing in the repository.

    Its folder has the name of the package, as a clone has.
    """
    folder = tmp_path_factory.mktemp('source') / 'bacl'
    folder.mkdir()
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name,
                            ignore=shutil.ignore_patterns('__pycache__', '.mim'))
        else:
            shutil.copy(ROOT / name, folder)
    return folder


def files_below(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob('*')
            if path.is_file() and '__pycache__' not in path.parts and path.suffix != '.pyc'}


def mim_files(names):
    prefix = 'bacl/.mim/'
    return {name.removeprefix(prefix) for name in names if name.startswith(prefix)}


def expected_mim_files(source):
    return {name for name in files_below(source)
            if name.startswith(('configs/', 'tools/')) or name == 'model-index.yml'}


def build(source, out, hook):
    """Call a hook of the build backend, as pip does."""
    code = ('import sys\nfrom setuptools import build_meta\n'
            f'print(build_meta.{hook}(sys.argv[1]))')
    done = subprocess.run([sys.executable, '-c', code, str(out)], cwd=source,
                          capture_output=True, text=True, check=True)
    return out / done.stdout.splitlines()[-1]


def requirements_of(name):
    lines = (ROOT / 'requirements' / f'{name}.txt').read_text().splitlines()
    return [Requirement(line.partition('#')[0]) for line in lines if line.partition('#')[0].strip()]


@pytest.mark.parametrize('name', ['runtime', 'mminstall', 'optional', 'tests'])
def test_tested_versions_have_what_the_requirements_ask_for(name):
    tested = {canonicalize_name(requirement.name): str(requirement.specifier).removeprefix('==')
              for requirement in requirements_of('tested-versions')}
    for requirement in requirements_of(name):
        assert requirement.specifier.contains(tested[canonicalize_name(requirement.name)])


def test_wheel_has_configs_and_tools_and_no_mm_requirement(source, tmp_path):
    wheel = zipfile.ZipFile(build(source, tmp_path, 'build_wheel'))
    names = set(wheel.namelist())
    assert mim_files(names) == expected_mim_files(source)
    modules = {f'bacl/{name}' for name in files_below(source / 'bacl')
               if name.endswith(('.py', '.html', '.css'))}
    assert modules <= names
    metadata = next(name for name in names if name.endswith('METADATA'))
    required = [line for line in wheel.read(metadata).decode().splitlines()
                if line.startswith('Requires-Dist:') and 'extra ==' not in line]
    assert any('torch' in line for line in required)
    assert not any(name in line for line in required for name in ('mmcv', 'mmdet', 'mmengine'))


def test_mim_finds_every_config_by_its_name(source):
    # `mim train bacl NAME.py` looks for the name in the whole package, and refuses a second.
    names = Counter(Path(name).name for name in files_below(source)
                    if name.startswith(('bacl/', 'configs/', 'tools/')))
    configs = [name for name in files_below(source / 'configs')
               if name.endswith('.py') and not name.startswith('_base_/')]
    assert len(configs) > 50
    assert [name for name in configs if names[Path(name).name] > 1] == []


def test_sdist_builds_the_same_wheel(source, tmp_path):
    archive = build(source, tmp_path, 'build_sdist')
    shutil.unpack_archive(archive, tmp_path / 'unpacked')
    unpacked = tmp_path / 'unpacked' / archive.name.removesuffix('.tar.gz')
    direct, through_sdist = (
        set(zipfile.ZipFile(build(folder, tmp_path / name, 'build_wheel')).namelist())
        for folder, name in ((source, 'direct'), (unpacked, 'through_sdist')))
    assert direct == through_sdist


def test_editable_install_links_configs_and_tools(source, tmp_path):
    build(source, tmp_path, 'build_editable')
    mim = source / 'bacl' / '.mim'
    assert (mim / 'configs').resolve() == source / 'configs'
    assert (mim / 'tools').resolve() == source / 'tools'
    assert (mim / 'model-index.yml').read_text() == (source / 'model-index.yml').read_text()


def test_editable_install_is_found_from_a_script_beside_the_clone(source, tmp_path):
    # Python asks import hooks last, after it has taken a folder `bacl` for a namespace package.
    site_packages = tmp_path / 'site-packages'
    shutil.unpack_archive(build(source, tmp_path, 'build_editable'), site_packages, 'zip')
    script = source.parent / 'script.py'
    script.write_text('import importlib.util, site, sys\n'
                      'site.addsitedir(sys.argv[1])\n'
                      'print(importlib.util.find_spec("bacl").origin)\n')
    # -S: without the packages of this environment, among which the package may be, too.
    done = subprocess.run([sys.executable, '-S', str(script), str(site_packages)], env={},
                          capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(source / 'bacl' / '__init__.py')
