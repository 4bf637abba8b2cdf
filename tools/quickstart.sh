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
  --work-dir  folder of the results (default: work_dirs/quickstart/<preset>[-onedl]/seed-<N>)
  --seed      seed of the trainings (default: 0)

PYTHON=/path/to/python chooses the Python (>= 3.10) that makes .venv.
EOF
}

# shellcheck source=tools/_env.sh
source "$(dirname "${BASH_SOURCE[0]}")/_env.sh"

refuse() {
    echo "$1" >&2
    usage >&2
    exit 2
}

# Everything is checked here, because the installation comes first.
mm=official
arguments=()
while (($# > 0)); do
    case $1 in
    -h | --help) usage && exit ;;
    --*=*) set -- "${1%%=*}" "${1#*=}" "${@:2}" ;; # --option=value is --option value
    esac
    value=${2-}
    case $1 in
    --preset) [[ $value =~ ^(mini|smoke)$ ]] || refuse "--preset expects mini or smoke, got '$value'." ;;
    --mm) [[ $value =~ ^(official|onedl)$ ]] || refuse "--mm expects official or onedl, got '$value'." ;;
    --seed) [[ $value =~ ^[0-9]+$ ]] || refuse "--seed expects a number from 0 on, got '$value'." ;;
    --work-dir) [[ -n $value ]] || refuse '--work-dir expects a folder.' ;;
    *) refuse "Unknown option '$1'." ;;
    esac
    [[ $1 != --mm ]] || mm=$value
    arguments+=("$1" "$value")
    shift 2
done

setup_env "$mm"
cd "$root"
exec "$venv/bin/python" tools/quickstart.py ${arguments[@]+"${arguments[@]}"}
