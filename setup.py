"""Packaging: one version, requirements read from files, configs and tools inside the wheel."""

import runpy
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
# OpenMIM looks for these in `.mim` inside the installed package.
MIM_FILES = ('configs', 'tools', 'model-index.yml')


def read_requirements(name: str) -> list[str]:
    """Return the requirements of requirements/<name>.txt without comments."""
    lines = (ROOT / 'requirements' / f'{name}.txt').read_text().splitlines()
    return [line for line in map(str.strip, lines) if line and not line.startswith('#')]


class BuildWithMim(build_py):
    """Put configs, tools and the model index into `bacl/.mim`: copied, or linked if editable."""

    def run(self) -> None:
        """Build the package, then add the files."""
        super().run()
        package = ROOT if self.editable_mode else Path(self.build_lib)
        mim = package / 'bacl' / '.mim'
        shutil.rmtree(mim, ignore_errors=True)
        mim.mkdir(parents=True)
        for name in MIM_FILES:
            source = ROOT / name
            if self.editable_mode:
                (mim / name).symlink_to(Path('..', '..', name))
            elif source.is_dir():
                shutil.copytree(source, mim / name, ignore=shutil.ignore_patterns('__pycache__'))
            else:
                shutil.copy(source, mim / name)


setup(
    name='bacl',
    version=runpy.run_path(str(ROOT / 'bacl' / 'version.py'))['__version__'],
    description='Balanced classification for long-tailed object detection on MMDetection',
    long_description=(ROOT / 'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    keywords='computer vision, object detection, long-tailed recognition, LVIS, MMDetection',
    packages=find_packages(include=['bacl', 'bacl.*']),
    # Said aloud, the root makes an editable install put the checkout on Python's path. Otherwise
    # setuptools adds an import hook, which Python asks last: in a folder with a clone named `bacl`
    # it takes that folder for an (empty) namespace package.
    package_dir={'': '.'},
    package_data={'': ['*.md', 'templates/*']},
    python_requires='>=3.10',
    install_requires=read_requirements('runtime'),
    extras_require={name: read_requirements(name) for name in ('mminstall', 'optional', 'tests')},
    cmdclass={'build_py': BuildWithMim},
    zip_safe=False,
)
