"""Reports: one HTML page about a data set, or about runs that were tested on one."""
from .inputs import Images, Run, Validation
from .page import Section, write_page
from .reports import write_dataset_report, write_run_report

__all__ = ['Images', 'Run', 'Section', 'Validation', 'write_dataset_report', 'write_page',
           'write_run_report']
