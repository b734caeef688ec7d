#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2317,SC2329 # functions are called by check
# perftest, fio and a program on liburing do with their buffers on DAX what they
# do on the unpatched kernel with other memory: as many messages, as many bytes
# that arrive, and about as fast. One round tells nothing about that.
set -euo pipefail
# shellcheck source=tests/e2e/host/ktap.bash
. "$(dirname "$0")/ktap.bash"

if [ -n "$long" ]; then rounds=5 much=5; else rounds=1 much=1; fi

# run NAME "MEMORY..." VM-ARGUMENT...
run() {
	local to=$work/$1 memory=$2
	shift 2
	mkdir "$to"
	# shellcheck disable=SC2086 # words
	vm --share "$to" "$@" -- /opt/longterm/e2e/clients /share/results $rounds $much $memory
}

compare() { "$top/tests/e2e/compare_clients.py" "$1" "$work/unpatched/results" "$work/$2/results"; }

plan 7
# There the filesystem does not matter.
check unpatched run unpatched "anonymous tmpfs" --kernel unpatched
for fs in ext4 xfs; do
	if [ -z "$long" ] && [ $fs = xfs ]; then
		skip $fs.{patched,counts,rates}
		continue
	fi
	check "$fs.patched" run $fs "dax anonymous" --fs $fs
	check "$fs.counts" compare counts $fs
	[ -n "$long" ] || { skip $fs.rates; continue; }
	check "$fs.rates" compare rates $fs
	tell
done
finish
