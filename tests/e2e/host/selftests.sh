#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2317,SC2329 # functions are called by check
# The kernel's own GUP selftests give the same results on the patched kernel as
# on the unpatched one, line by line. With the module some differ on DAX files:
# those in data/selftests.expected, which are meant, and no others.
set -euo pipefail
# shellcheck source=tests/e2e/host/ktap.bash
. "$(dirname "$0")/ktap.bash"

collect() {
	local to=$1
	shift
	mkdir "$work/$to"
	vm --share "$work/$to" "$@" -- /opt/longterm/e2e/selftests /share &&
		[ "$(wc -l <"$work/$to/results")" -gt 100 ]
}

same() { diff "$work/$1/results" "$work/$2/results"; }

# The lines that differ, without diff's line numbers.
as_meant() {
	diff "$work/$1/results" "$work/$2/results" | grep '^[<>]' >"$work/differences" || true
	diff <(grep -v '^#' "$top/tests/e2e/data/selftests.expected") "$work/differences"
}

plan 10
for fs in ext4 xfs; do
	check "$fs.unpatched" collect "$fs-unpatched" --kernel unpatched --fs "$fs"
	check "$fs.patched_without_module" collect "$fs-bare" --no-module --fs "$fs"
	check "$fs.patched" collect "$fs-patched" --fs "$fs"
	check "$fs.same_without_module" same "$fs-unpatched" "$fs-bare"
	check "$fs.meant_differences_only" as_meant "$fs-unpatched" "$fs-patched"
done
finish
