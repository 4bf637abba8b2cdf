# shellcheck shell=bash
# Sourced by dist_*.sh and slurm_*.sh: where the tools are, and the Python that runs them.

tools=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=${tools%/*}
export PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}"

# An activated virtual environment (venv, not conda) goes before the one that the quickstart made.
python=${PYTHON:-python}
if [[ -z ${PYTHON:-} && -z ${VIRTUAL_ENV:-} && -x $root/.venv/bin/python ]]; then
    python=$root/.venv/bin/python
fi
