#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# The unpatched kernel refuses what we make possible, and does all else as the
# patched one does: the guest's suite picks the tests for it.
set -euo pipefail
# shellcheck source=tests/e2e/host/ktap.bash
. "$(dirname "$0")/ktap.bash"

plan 2
for fs in ext4 xfs; do
	number=$((number + 1))
	status=0
	vm --kernel unpatched --fs "$fs" -- /opt/longterm/e2e/run >"$work/$fs" 2>"$work/err" || status=$?
	sed 's/^/    /' "$work/$fs"
	if ((status == 0)); then
		echo "ok $number $fs"
	else
		sed 's/^/# /' "$work/err" | tail -n 40
		echo "not ok $number $fs"
		failures=1
	fi
done
finish
