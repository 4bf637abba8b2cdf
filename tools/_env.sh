# shellcheck shell=bash
# Sourced by quickstart.sh and run_tests.sh: makes .venv and installs the package from wheels.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=$root/.venv
overlay=$root/.venv-onedl-overlay

# Print a digest of the files that decide what is installed.
_digest() {
    cat "$@" | "$venv/bin/python" -c \
        'import hashlib, sys; print(sys.version, hashlib.sha256(sys.stdin.buffer.read()).hexdigest())'
}

_make_venv() {
    local python=${PYTHON:-python3}
    if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))'; then
        echo "Python 3.10 or newer is needed, got $("$python" --version 2>&1 || true)." \
            "Name another one: PYTHON=/path/to/python bash $0" >&2
        exit 1
    fi
    if ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
        echo "[install] creating $venv"
        "$python" -m venv --clear "$venv"
    fi
}

# _once STAMP FILES... -- COMMAND...: run the command unless it did with the same files before.
_once() {
    local stamp=$1 files=() digest
    shift
    while [[ $1 != -- ]]; do
        files+=("$1")
        shift
    done
    shift
    digest=$(_digest "${files[@]}")
    if [[ ! -f $stamp || $(<"$stamp") != "$digest" ]]; then
        "$@"
        echo "$digest" >"$stamp"
    fi
}

# On a terminal pip shows its progress bars.
_pip_install() {
    local quiet=--quiet
    [[ ! -t 1 ]] || quiet=--disable-pip-version-check
    "$venv/bin/python" -m pip install "$quiet" --disable-pip-version-check "$@"
}

_install_package() {
    # torch and torchvision share a file, so that they are resolved together and fit each other.
    echo '[install] 1/4 PyTorch and the LVIS tools (once; the longest, about two minutes)'
    _pip_install --only-binary :all: -r "$root/requirements/runtime.txt"
    echo '[install] 2/4 MMDetection'
    _pip_install --only-binary :all: -r "$root/requirements/mminstall.txt"
    echo '[install] 3/4 what Emoji-LT is made of'
    _pip_install --only-binary :all: -r "$root/requirements/optional.txt"
    if ! "$venv/bin/python" -c 'import cv2' 2>/dev/null; then
        # The usual wheel needs libGL, which servers and containers often lack. Both wheels own
        # the folder cv2, so the second has to be written after the first is gone.
        echo '[install] OpenCV without windows, as this machine lacks the libraries for them'
        "$venv/bin/python" -m pip uninstall --quiet --yes opencv-python
        _pip_install --only-binary :all: --force-reinstall --no-deps opencv-python-headless
    fi
    echo '[install] 4/4 this package'
    _pip_install --no-deps --no-build-isolation -e "$root"
}

_install_onedl() {
    echo '[install] the onedl fork, in a folder that goes before .venv'
    rm -rf "$overlay"
    _pip_install --no-deps --target "$overlay" -r "$root/requirements/mminstall-onedl.txt"
}

_install_tests() {
    echo '[install] test tools'
    _pip_install --only-binary :all: -r "$root/requirements/tests.txt"
}

# setup_env [official|onedl] [tests]: afterwards "$venv/bin/python" runs the package.
setup_env() {
    local requirements=$root/requirements
    _make_venv
    _once "$venv/.bacl-package" \
        "$requirements/"{runtime,mminstall,optional}.txt "$root/setup.py" "$root/bacl/version.py" \
        -- _install_package
    if [[ ${1:-official} == onedl ]]; then
        _once "$overlay/.bacl-onedl" "$requirements/mminstall-onedl.txt" -- _install_onedl
        export PYTHONPATH="$overlay${PYTHONPATH:+:$PYTHONPATH}"
    fi
    if [[ ${2:-} == tests ]]; then
        _once "$venv/.bacl-tests" "$requirements/tests.txt" -- _install_tests
    fi
}
