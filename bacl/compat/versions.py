"""The packages that bacl needs, the versions it accepts, and the command that provides them.

One table, :data:`REQUIREMENTS`, drives the check at import, its message, and the report of
``python -m bacl.check``.
No package is imported to learn its version: mmdet refuses an unsuitable mmcv while it is imported,
with a message that does not name the cure.
"""

import importlib.metadata
import importlib.util
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path


@dataclass(frozen=True)
class Requirement:
    """A module and the versions of it that work.

    Args:
        module: top-level import name.
        distributions: names on the package index that provide it; the first is the default.
        window: versions that work, as pip writes them, e.g. ``>=3.3.0,<4``; '' for any.
        along: requirements that pip has to resolve together with this one.
    """

    module: str
    distributions: tuple[str, ...]
    window: str = ''
    along: tuple[str, ...] = ()

    def accepts(self, version: str) -> bool:
        """True if ``version`` lies in the window; compared by release number alone."""
        if importlib.util.find_spec('packaging') is None:  # that it is missing is said of itself
            return True
        from packaging.specifiers import SpecifierSet
        from packaging.version import Version

        # Such as 2.1.0a0+29c30b1, which is how containers number a finished 2.1.0.
        return Version(version).base_version in SpecifierSet(self.window)


@dataclass(frozen=True)
class Installed:
    """The installed package of one requirement.

    Args:
        requirement: what was asked for.
        found: whether Python finds the module.
        distribution: who provides the module; '' if unknown (a source folder on the path).
        version: of the distribution; '' if unknown, which is accepted.
    """

    requirement: Requirement
    found: bool
    distribution: str = ''
    version: str = ''

    @property
    def problem(self) -> str:
        """The fault in one sentence; '' if there is none."""
        requirement = self.requirement
        if not self.found:
            return f'{requirement.module} is not installed.'
        if self.version and not requirement.accepts(self.version):
            return (
                f'{requirement.module}{requirement.window} is needed, '
                f'{self.distribution} {self.version} is installed.'
            )
        return ''

    @property
    def cure(self) -> tuple[str, ...]:
        """The pip requirements that repair the problem."""
        # The distribution that is there is kept: mmcv and mmcv-lite, or mmdet and its fork,
        # share one folder and must not be installed over each other.
        name = self.distribution or self.requirement.distributions[0]
        return (name + self.requirement.window, *self.requirement.along)


_FORK_OF_MMDET = 'onedl-mmdetection'

REQUIREMENTS = (
    Requirement('packaging', ('packaging',)),
    Requirement('torch', ('torch',), '>=2.1', along=('torchvision',)),
    Requirement('torchvision', ('torchvision',), '>=0.16', along=('torch',)),
    Requirement('numpy', ('numpy',)),
    Requirement('mmengine', ('mmengine', 'onedl-mmengine'), '>=0.10.3,<1'),
    Requirement('mmcv', ('mmcv-lite', 'mmcv', 'onedl-mmcv'), '>=2.0.0,<2.2.0'),
    Requirement('mmdet', ('mmdet', _FORK_OF_MMDET), '>=3.3.0,<4'),
    # mmengine resolves `mmdet::` in configs with pkg_resources, gone with setuptools 82.
    Requirement('pkg_resources', ('setuptools',), '<82'),
    # Before 4, forked processes of a loader keep the lock of a run that was killed.
    Requirement('filelock', ('filelock',), '>=4'),
    Requirement('faster_coco_eval', ('faster-coco-eval',)),
    Requirement('pycocotools', ('pycocotools',)),
    Requirement('lvis', ('lvis',)),  # mmdet's LVIS datasets read their files with it
)


def find_installed(requirement: Requirement) -> Installed:
    """Look up who provides the module and in which version, without importing it.

    Where several of the distributions are installed, the one whose files Python would import
    counts; an editable install cannot be recognised by its files and counts last.
    """
    spec = importlib.util.find_spec(requirement.module)
    if spec is None:
        return Installed(requirement, found=False)
    last = Installed(requirement, found=True)
    for name in requirement.distributions:
        try:
            distribution = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        installed = Installed(requirement, True, name, distribution.version)
        provided = Path(distribution.locate_file(requirement.module), '__init__.py')
        if spec.origin and provided.resolve() == Path(spec.origin).resolve():
            return installed
        last = installed
    return last


def find_all_installed() -> list[Installed]:
    """Look up all of :data:`REQUIREMENTS`, in their order."""
    packages = [find_installed(requirement) for requirement in REQUIREMENTS]
    if any(package.distribution == _FORK_OF_MMDET for package in packages):
        # It is the official mmdet 3.3.0 that refuses mmcv 2.2.0 and above.
        packages = [
            replace(package, requirement=replace(package.requirement, window='>=2.0.0'))
            if package.requirement.module == 'mmcv'
            else package
            for package in packages
        ]
    return packages


def pip_command(packages: Sequence[Installed]) -> str:
    """Write the one command that repairs all of ``packages``."""
    wanted = dict.fromkeys(item for package in packages for item in package.cure)
    # `torch>=2.1` already says what a bare `torch` would.
    names = {re.split('[<>=]', item)[0] for item in wanted if re.search('[<>=]', item)}
    wanted = [item for item in wanted if item not in names]
    return 'pip install ' + ' '.join(f'"{item}"' for item in wanted)


def check_versions() -> None:
    """Refuse an environment in which bacl cannot work.

    Raises:
        ImportError: if a package is missing or outside its window; names the command that helps.
    """
    broken = [package for package in find_all_installed() if package.problem]
    if broken:
        problems = ' '.join(package.problem for package in broken)
        raise ImportError(
            f'bacl cannot work here: {problems} Run: {pip_command(broken)} '
            '("python -m bacl.check" reports on the whole environment).'
        )
