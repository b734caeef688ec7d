#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# The RDMA server of the examples in one guest and its client in another: the file
# is truncated, and then punched, while the client writes.
set -euo pipefail
# shellcheck source=tests/e2e/host/ktap.bash
. "$(dirname "$0")/ktap.bash"

# Until the client has come so far its block is zero.
# shellcheck disable=SC2016 # expanded in the guest
serve='
file=/mnt/dax/file blocks=1024
/opt/longterm/bin/longterm_server --once --size 8388608 $1 $file & server=$!
written() { [ -n "$(dd if=$file bs=4096 skip=$1 count=1 2>/dev/null | tr -d "\0")" ]; }
until [ -e $file ]; do sleep 0.1; done
until written 200; do kill -0 $server; sleep 0.05; done
# coreutils truncate(1) would not wait.
python3 -c "import os; os.truncate(\"$file\", 4 << 20)"
until written 400; do kill -0 $server; sleep 0.05; done
fallocate --punch-hole --offset 0 --length 1048576 $file
wait $server
[ "$(stat -c %s $file)" = 4194304 ]
for block in 0 255 256 1023; do written $block; done'

plan 4
for fs in ext4 xfs; do
	[ $fs = ext4 ] && how='' || how=--windows
	mkdir "$work/link.$fs"
	vm --fs $fs --mem 1G --link "$work/link.$fs:1" -- bash -euc "$serve" bash "$how" >"$work/server.log" 2>&1 &
	server=$!
	# shellcheck disable=SC2016
	check "$fs.client" vm --no-module --fs $fs --mem 1G --link "$work/link.$fs:2" -- \
		sh -c '/opt/longterm/bin/longterm_client --pace-ms 5 --wait 250 192.0.2.1 >/tmp/log
			status=$?; cat /tmp/log; grep -q "equal; 2 breaks, 1 connections" /tmp/log && exit $status'
	status=0
	wait $server || status=$?
	# shellcheck disable=SC2016
	check "$fs.server" bash -c 'cat "$1"; exit "$2"' bash "$work/server.log" $status
done
finish
