#!/usr/bin/env bash
# Install what the tests need into .venv and run them on all cores; arguments go to pytest.
set -euo pipefail

# shellcheck source=tools/_env.sh
source "$(dirname "${BASH_SOURCE[0]}")/_env.sh"

setup_env official tests
cd "$root"
# One thread per worker: more would compete for the cores. Each worker starts with neighbouring
# tests, which share fixtures, and takes some of another one's when it is done.
export OMP_NUM_THREADS=1
exec "$venv/bin/python" -m pytest --numprocesses auto --dist worksteal "$@"
