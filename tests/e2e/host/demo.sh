#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2317,SC2329 # functions are called by check
# The demo works on both filesystems, and each line of its timeline is an event
# of the trace of the same run.
set -euo pipefail
# shellcheck source=tests/e2e/host/ktap.bash
. "$(dirname "$0")/ktap.bash"

says() { grep -q "$1" "$2" || { cat "$2"; echo "no line like '$1'"; return 1; }; }

# In this order, and all of them.
story() {
	local at=0 line
	local -a want=("A holder that reacts" "lease taken" "pin: 2 MiB"
		"truncate called, to 1 MiB" "gets SIGIO" "dereg: 2 MiB"
		"truncate returns 0" "pin: 1 MiB" "A holder that does not" "lease taken"
		"pin: 1 MiB" "truncate called" "gets SIGIO" "gets SIGBUS"
		"dereg: 1 MiB" "truncate returns 0")
	while read -r line; do
		((at == ${#want[@]})) || [[ $line != *"${want[at]}"* ]] || at=$((at + 1))
	done <"$1"
	((at == ${#want[@]})) || { cat "$1"; echo "missing or too late: ${want[at]}"; return 1; }
}

plan 8
for fs in ext4 xfs; do
	mkdir "$work/$fs"
	check "$fs.runs" "$top/scripts/demo" --fs "$fs" --keep "$work/$fs"
	cp "$work/check.log" "$work/$fs/output"
	check "$fs.refused_without_the_module" says "Operation not supported" "$work/$fs/output"
	check "$fs.tells_the_story" story "$work/$fs/timeline"
	check "$fs.lines_are_events" "$top/tests/e2e/match_timeline.py" \
		"$work/$fs/timeline" "$work/$fs/trace"
done
finish
