"""Reports: one HTML page about a data set, or about runs that were tested on one.

Why these libraries: plotly names the class under the pointer and is one script that a page can
hold; DataTables, as itables packs it, sorts and searches 1,203 rows without code of ours; Jinja2
escapes what names of classes may contain; pandas keeps the numbers of a chart, which are its CSV.
"""
try:
    from .inputs import Images, Run, Validation, class_frame
    from .page import Section, write_page
    from .reports import write_dataset_report, write_run_report
except ModuleNotFoundError as error:
    package = str(error.name).partition('.')[0]
    if package not in ('plotly', 'jinja2', 'itables'):
        raise
    raise ImportError(f'Reports expect the package {package} to be installed. '
                      'Run `pip install -r requirements/optional.txt`.') from None

__all__ = ['Images', 'Run', 'Section', 'Validation', 'class_frame', 'write_dataset_report',
           'write_page', 'write_run_report']
