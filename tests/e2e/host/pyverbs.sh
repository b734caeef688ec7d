#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2317,SC2329 # functions are called by check
# rdma-core's own tests end on ours as on the unpatched kernel, each of them; also
# with their memory regions on DAX.
set -euo pipefail
# shellcheck source=tests/e2e/host/ktap.bash
. "$(dirname "$0")/ktap.bash"

# The short form: what registers memory and uses it.
if [ -n "$long" ]; then some=(); else some=(tests.test_mr tests.test_qpex); fi

# run NAME OPTION VM-ARGUMENT...
run() {
	local to=$work/$1 option=$2
	shift 2
	mkdir "$to"
	# shellcheck disable=SC2086 # no option where empty
	vm --timeout 900 --share "$to" "$@" -- /opt/longterm/e2e/pyverbs $option /share/results "${some[@]}" &&
		grep -q ' ok$' "$to/results"
}

same() { diff "$work/$1/results" <(grep -v '^on DAX:' "$work/$2/results"); }

# Regions were there.
on_dax() { grep -q '^on DAX: [1-9]' "$work/$1/results" && same unpatched "$1"; }

plan 7
# The filesystem is of no matter to memory that is not on it.
check unpatched run unpatched "" --kernel unpatched
if [ -n "$long" ]; then
	check anonymous run anonymous ""
	check anonymous.same same unpatched anonymous
else
	skip anonymous{,.same}
fi
for fs in ext4 xfs; do
	if [ -z "$long" ] && [ $fs = xfs ]; then
		skip $fs.{dax,dax.same}
		continue
	fi
	check $fs.dax run $fs --dax --fs $fs
	check $fs.dax.same on_dax $fs
done
finish
