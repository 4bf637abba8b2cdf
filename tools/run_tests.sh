#!/usr/bin/env bash
# Install what the tests need into .venv and run them; arguments go to pytest.
set -euo pipefail

# shellcheck source=tools/_env.sh
source "$(dirname "${BASH_SOURCE[0]}")/_env.sh"

setup_env official tests
cd "$root"
exec "$venv/bin/python" -m pytest "$@"
