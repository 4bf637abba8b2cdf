"""Imbalances of a dataset, and of trainings on it: numbers, charts, HTML pages.

``import bacl`` does not load it. Why these libraries: plotly names the class under the pointer and
is one script that a page can hold; DataTables, as itables packs it, sorts and searches 1,203 rows
without code of ours; Jinja2 escapes what names of classes may contain; pandas keeps the numbers of
a chart, which are its CSV.
"""
from bacl.compat.optional_packages import require_packages

require_packages('Reports', 'pandas', 'plotly', 'jinja2', 'itables')
