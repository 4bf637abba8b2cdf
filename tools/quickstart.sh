#!/usr/bin/env bash
# From a bare machine to a table that compares BACL with its baseline. See tools/README.md.
set -euo pipefail

usage() {
    cat <<EOF
Usage: bash $0 [--preset mini|smoke] [--mm official|onedl] [--work-dir DIR] [--seed N]

Installs everything into .venv, builds Emoji-LT, trains stage 1, the baseline and BACL, tests the
three and prints one table. What is finished is reused when it runs again.

  --preset    mini: the benchmark, up to 15 minutes on 2 cores (default); smoke: a trial of minutes
  --mm        which mmengine and mmdet: the official ones (default) or the onedl fork
  --work-dir  folder of the results (default: work_dirs/quickstart/<preset>)
  --seed      seed of the trainings (default: 0)

PYTHON=/path/to/python chooses the Python (>= 3.10) that makes .venv.
EOF
}

# shellcheck source=tools/_env.sh
source "$(dirname "${BASH_SOURCE[0]}")/_env.sh"

mm=official
arguments=()
while (($# > 0)); do
    case $1 in
    -h | --help) usage && exit ;;
    --mm=*) mm=${1#*=} ;;
    --mm) mm=${2:-} && shift ;;
    *) arguments+=("$1") ;;
    esac
    shift || true
done
if [[ $mm != official && $mm != onedl ]]; then
    echo "--mm expects official or onedl, got '$mm'." >&2
    usage >&2
    exit 2
fi

setup_env "$mm"
cd "$root"
exec "$venv/bin/python" tools/quickstart.py --mm "$mm" ${arguments[@]+"${arguments[@]}"}
