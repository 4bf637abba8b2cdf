"""Imports inside the package go one way."""
import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / 'bacl'
# Folder -> folders of the package that it may import from, besides itself.
ALLOWED = {
    'compat': set(),
    'annotations': set(),
    'ops': set(),
    'datasets': {'annotations', 'compat'},
    'evaluation': {'annotations'},
    'visualization': {'annotations'},
    'models/indicators': {'models/class_counts', 'ops'},
    'models/losses': {'annotations', 'ops', 'models/class_counts', 'models/indicators'},
    'models/augmenters': {'models/class_counts', 'ops', 'models/indicators'},
    'models/predictors': set(),
    'models/calibrators': {'annotations', 'models/class_counts'},
    'models/backbones': set(),
    'models/dense_heads': {'annotations', 'models/semantics'},
    'models/semantics': {'compat', 'models/backbones', 'ops'},
    'models/detectors': {'annotations', 'models/dense_heads', 'models/semantics'},
    'models/roi_heads': {'ops', 'models/augmenters', 'models/calibrators', 'models/class_counts',
                         'models/indicators', 'models/losses', 'models/semantics'},
    'engine': {'annotations', 'compat', 'datasets', 'evaluation', 'models', 'visualization'},
    'feature_bank': {'compat', 'engine', 'models'},
    'report': {'annotations', 'compat', 'datasets', 'engine', 'evaluation', 'models',
               'visualization'},
    'planning': {'annotations', 'compat', 'datasets', 'engine'},
    'comparison': {'annotations', 'compat', 'datasets', 'engine', 'evaluation', 'feature_bank',
                   'report'},
}


def folder_of(parts):
    """The entry of ALLOWED, or the folder above it, that a module path belongs to."""
    depth = 2 if parts[0] == 'models' else 1
    return '/'.join(parts[:depth])


def imported_folders(path):
    package = path.relative_to(PACKAGE.parent).parent.parts
    for node in ast.walk(ast.parse(path.read_text())):
        modules = []
        if isinstance(node, ast.ImportFrom):
            base = package[:len(package) - node.level + 1] if node.level else ()
            modules = [(*base, *(node.module or '').split('.'))]
        elif isinstance(node, ast.Import):
            modules = [tuple(alias.name.split('.')) for alias in node.names]
        for module in modules:
            inner = [part for part in module[1:] if part]
            if module[0] == 'bacl' and inner:
                yield folder_of(inner)


@pytest.mark.parametrize('folder', ALLOWED)
def test_folder_imports_only_what_it_may(folder):
    files = [path for path in (PACKAGE / folder).rglob('*.py')]
    assert files
    for path in files:
        for imported in imported_folders(path):
            if imported.startswith(folder) or path.name == '__init__.py':
                continue
            allowed = ALLOWED[folder]
            assert any(imported.startswith(a) for a in allowed), f'{path} imports {imported}'


def test_every_folder_with_modules_has_a_rule():
    folders = {folder_of(path.relative_to(PACKAGE).parent.parts)
               for path in PACKAGE.rglob('*.py') if path.parent != PACKAGE}
    assert folders - {'models'} <= set(ALLOWED)


def test_nothing_that_the_import_loads_knows_the_report():
    modules = [PACKAGE / '__init__.py', *(
        path for folder in ALLOWED if folder not in ('report', 'comparison')
        for path in (PACKAGE / folder).rglob('*.py'))]
    assert not [path for path in modules if 'report' in set(imported_folders(path))]


def test_nothing_else_but_comparisons_knows_the_feature_bank():
    files = [path for folder in ALLOWED if folder not in ('feature_bank', 'comparison')
             for path in (PACKAGE / folder).rglob('*.py')]
    assert not [path for path in files if 'feature_bank' in set(imported_folders(path))]


def test_nothing_else_in_the_package_knows_plans():
    files = [path for folder in ALLOWED if folder != 'planning'
             for path in (PACKAGE / folder).rglob('*.py')]
    assert not [path for path in [PACKAGE / '__init__.py', *files]
                if 'planning' in set(imported_folders(path))]


def test_only_engine_imports_the_runner():
    for path in PACKAGE.rglob('*.py'):
        if 'engine' in path.parts or 'compat' in path.parts:
            continue
        assert 'import Runner' not in path.read_text(), path
