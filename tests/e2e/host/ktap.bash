# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# For the tests that boot their own guests: KTAP, a place for files, the clean-up.

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/longterm-host.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP
number=0
failures=0

plan() { printf 'KTAP version 1\n1..%d\n' "$1"; }

# check NAME COMMAND...: one result, with the end of what COMMAND said if bad.
check() {
	local name=$1
	shift
	number=$((number + 1))
	if "$@" >"$work/check.log" 2>&1; then
		echo "ok $number $name"
	else
		tail -n 60 "$work/check.log" | sed 's/^/# /'
		echo "not ok $number $name"
		failures=$((failures + 1))
	fi
}

vm() { "$top/scripts/vm" run --timeout 300 "$@"; }

# tell: what the last check said, as remarks.
tell() { sed "s/^/# /" "$work/check.log"; }

# Set by make e2e: the long form of the tests. For those who source this.
# shellcheck disable=SC2034
long=${LONGTERM_LONG:-}

# skip NAME...: what is in the long form only.
skip() {
	local name
	for name; do
		number=$((number + 1))
		echo "ok $number $name # SKIP the long form only"
	done
}

finish() { exit $((failures ? 1 : 0)); }
