#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2317,SC2329 # functions are called by check
# The pmem device is unbound below pinned files: in guests of their own, which go
# down before the filesystem could end.
set -euo pipefail
# shellcheck source=tests/e2e/host/ktap.bash
. "$(dirname "$0")/ktap.bash"

waits() {
	local dir=$work/$1
	mkdir "$dir"
	# That it goes down is all that may be wrong with the guest.
	vm --fs "$1" --share "$dir" -- /opt/longterm/e2e/unbind /share/result 2>"$dir/err" || true
	cat "$dir/err"
	grep -qx "unbound behind the last unpin" "$dir/result" && ! grep "report in the kernel log" "$dir/err"
}

plan 2
for fs in ext4 xfs; do check "$fs.waits_for_the_last_unpin" waits "$fs"; done
finish
