#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# One guest writes by RDMA into a file of another, where a third process cuts it,
# and a second file gets the blocks: see tests/e2e/remote.
set -euo pipefail
# shellcheck source=tests/e2e/host/ktap.bash
. "$(dirname "$0")/ktap.bash"

peer() { vm --mem 1G "$@"; }

# A server that lets go at once, and one that has to be stopped: on either
# filesystem, or in the short form one on each.
both() {
	local fs=$1 server=$2 status=0 guest
	mkdir "$work/link.$fs.$server"
	peer --fs "$fs" --link "$work/link.$fs.$server:1" -- /opt/longterm/e2e/remote serve "$server" >"$work/server.log" 2>&1 &
	guest=$!
	check "$fs.$server.client" peer --no-module --fs "$fs" --link "$work/link.$fs.$server:2" -- \
		/opt/longterm/e2e/remote write "$server"
	tell
	wait $guest || status=$?
	# shellcheck disable=SC2016
	check "$fs.$server.server" bash -c 'cat "$1"; exit "$2"' bash "$work/server.log" $status
	tell
}

plan 8
for fs in ext4 xfs; do
	for server in reacts deaf; do
		case $long$fs$server in
		ext4deaf | xfsreacts) skip $fs.$server.{client,server} ;;
		*) both $fs $server ;;
		esac
	done
done
finish
