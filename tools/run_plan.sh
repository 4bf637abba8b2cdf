#!/usr/bin/env bash
# Run a plan of tools/plan.py: trainings, tests, calibration and report. Run again, it goes on.
set -euo pipefail

if (($# < 1)); then
    echo "Usage: bash $0 configs/NAME [GPUS] [--work-dir DIR] [--seed N]" >&2
    exit 2
fi

# shellcheck source=tools/_launch.sh
source "$(dirname "${BASH_SOURCE[0]}")/_launch.sh"

exec "$python" "$tools/run_plan.py" "$@"
