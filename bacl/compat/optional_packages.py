"""Packages that only parts of the project need."""
from importlib import import_module

# What pip calls a package that is imported under another name.
DISTRIBUTIONS = {'jinja2': 'Jinja2', 'open_clip': 'open_clip_torch'}


def require_packages(user: str, *modules: str) -> None:
    """Import packages, so that a missing one is named before anything else fails.

    Args:
        user: what needs them, in the plural, for the message.
        *modules: as they are imported.

    Raises:
        ImportError: naming those that are missing, and the command that installs them.
    """
    missing = [module for module in modules if not _is_there(module)]
    if missing:
        names = ' '.join(DISTRIBUTIONS.get(module, module) for module in missing)
        raise ImportError(f'{user} expect the package {", ".join(missing)} to be installed. Run '
                          f'`pip install {names}`.')


def _is_there(module: str) -> bool:
    try:
        import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module:  # it is there, but lacks something itself
            raise
        return False
    return True
