"""The README of a plan: half a page with every decision and its reason."""
from collections.abc import Mapping, Sequence

from .decisions import Decision


def readme_text(name: str, comment: str, decisions: Sequence[Decision], notes: Sequence[str],
                configs: Mapping[str, str], command: str, folder: str) -> str:
    """Markdown about a plan.

    Args:
        name: of the plan.
        comment: about the data, a line.
        decisions: of the plan.
        notes: what was changed in annotations, and what is unusual there.
        configs: names of the configs, by run.
        command: that made the plan.
        folder: of the configs.
    """
    lines = [f'# {name}', '', f'{comment} Planned by', '', '```bash', command, '```', '',
             '| matter | decision | because |', '|---|---|---|']
    lines += [f'| {" | ".join(map(_cell, decision))} |' for decision in decisions]
    if notes:
        lines += ['', '**The data.**', '', *(f'- {note}' for note in notes)]
    lines += ['', '**Run.** ' + ', '.join(
        f'[{run}]({config}.py)' for run, config in configs.items()) + ':', '',
        '```bash', *next_commands(folder, configs), '```']
    return '\n'.join(lines) + '\n'


def next_commands(folder: str, configs: Mapping[str, str]) -> list[str]:
    """What to run after planning, as lines for a shell."""
    return [f'bash tools/run_plan.sh {folder}        # all of it; again, it goes on',
            f'python tools/train.py {folder}/{configs["stage1"]}.py  # or a step alone']


def _cell(text: str) -> str:
    return text.replace('|', r'\|').replace('\n', ' ')
