#!/bin/sh
# Create the virtual environment and install Tessera into it, in place and with its test tools.
#
# Goal: work on a bare Debian with python3 and root, where the venv module may be missing, and say
# in one message what to do where that cannot be mended from here.
# Non-goals: the guest's parts (`tessera guest setup`).
set -eu

PYTHON=${PYTHON:-python3}
VENV=${VENV:-.venv}

fail() {
	printf 'error: %s\n  help: %s\n' "$1" "$2" >&2
	exit 2
}

# Runs its arguments as root, or fails where that would need a password.
as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	else
		sudo -n "$@"
	fi
}

make_venv() {
	"$PYTHON" -m venv "$VENV" >/dev/null 2>&1 && "$VENV/bin/python" -m pip --version >/dev/null 2>&1
}

command -v "$PYTHON" >/dev/null 2>&1 ||
	fail "there is no $PYTHON" "apt-get install python3 python3-venv, or make PYTHON=/path/to/python3.11"
"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
	fail "$("$PYTHON" --version) is too old" "Tessera needs Python 3.11 or later: make PYTHON=python3.11"

if ! "$VENV/bin/python" -m pip --version >/dev/null 2>&1; then
	echo "creating $VENV"
	rm -rf "$VENV"
	if ! make_venv; then
		rm -rf "$VENV"
		echo "installing python3-venv"
		(as_root apt-get update -qq &&
			as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv) \
			>/dev/null 2>&1 || true
		make_venv || {
			rm -rf "$VENV"
			fail "$PYTHON cannot create a virtual environment" \
				"as root: apt-get install python3-venv"
		}
	fi
fi

echo "installing Tessera and its Python packages into $VENV"
"$VENV/bin/python" -m pip install -qq --disable-pip-version-check --editable '.[dev]' ||
	fail "pip could not install the Python packages" \
		"the lines above say why; pip reads its index from your own pip configuration"
