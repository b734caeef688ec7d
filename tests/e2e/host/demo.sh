#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2317,SC2329 # functions are called by check
# The demo works on both filesystems, and each line of its timeline is an event
# of the trace of the same run.
set -euo pipefail
# shellcheck source=tests/e2e/host/ktap.bash
. "$(dirname "$0")/ktap.bash"

says() { grep -q "$1" "$2" || { cat "$2"; echo "no line like '$1'"; return 1; }; }

# follows FILE TEXT...: lines with these, in this order.
follows() {
	local file=$1 at=0 line
	shift
	local -a want=("$@")
	while read -r line; do
		((at == ${#want[@]})) || [[ $line != *"${want[at]}"* ]] || at=$((at + 1))
	done <"$file"
	((at == ${#want[@]})) || { cat "$file"; echo "missing or too late: ${want[at]}"; return 1; }
}

# The program may pin again before the truncate that is over has returned; and the
# folios, which a truncate waits for, are free a moment before the trace has the unpin.
story() {
	follows "$1" "A holder that reacts" "lease taken" "pin: 2 MiB" \
		"truncate called, to 1 MiB" "gets SIGIO" "truncate returns 0" \
		"A holder that does not" "lease taken" "pin: 1 MiB" \
		"truncate called" "gets SIGIO" "gets SIGBUS" "truncate returns 0" &&
		follows "$1" "truncate called, to 1 MiB" "gets SIGIO" "dereg: 2 MiB" \
			"lease taken" "pin: 1 MiB" "A holder that does not" "gets SIGBUS" "dereg: 1 MiB"
}

# Marks and signals, in the order of the lanes; what a pointer shows is not looked at.
drawn() {
	local what
	python3 -c 'import sys, xml.etree.ElementTree as e; e.parse(sys.argv[1])' "$1" || return
	for what in "A holder that reacts" "A holder that does not" /mnt/dax/file "longterm_rdma " "shrink " \
		"pin of 0..2 MiB" "SIGIO " "SIGBUS " "done after " "notified, "; do
		grep -q "$what" "$1" || { cat "$1"; echo "no '$what'"; return 1; }
	done
}

plan 10
for fs in ext4 xfs; do
	mkdir "$work/$fs"
	check "$fs.runs" "$top/scripts/demo" --fs "$fs" --keep "$work/$fs"
	cp "$work/check.log" "$work/$fs/output"
	check "$fs.refused_without_the_module" says "Operation not supported" "$work/$fs/output"
	check "$fs.tells_the_story" story "$work/$fs/timeline"
	check "$fs.lines_are_events" "$top/tests/e2e/match_timeline.py" \
		"$work/$fs/timeline" "$work/$fs/trace"
	check "$fs.draws_the_story" drawn "$work/$fs/timeline.svg"
done
finish
