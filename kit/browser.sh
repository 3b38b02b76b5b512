#!/bin/sh
# A browser for the tests that look at the report: Debian's Chromium, installed by apt where the
# user may. Without it those tests are skipped, and say so.
set -u
command -v chromium >/dev/null 2>&1 && exit 0
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null 2>&1; then
	echo 'no chromium: the browser tests will be skipped; to mend: sudo apt install chromium' >&2
	exit 1
fi
echo 'installing chromium for the browser tests ...' >&2
log=$(mktemp)
trap 'rm -f "$log"' EXIT
export DEBIAN_FRONTEND=noninteractive
apt-get -q update >"$log" 2>&1
if ! apt-get -q install -y --no-install-recommends chromium >>"$log" 2>&1; then
	tail -n 5 "$log" >&2
	echo 'chromium could not be installed; the browser tests will be skipped' >&2
	exit 1
fi
