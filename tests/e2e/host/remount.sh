#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Bytes that came by RDMA write are in the file, seen by the unpatched kernel
# after a remount.
set -euo pipefail
# shellcheck source=tests/e2e/host/ktap.bash
. "$(dirname "$0")/ktap.bash"

size=65536
# shellcheck disable=SC2016 # expanded in the guest
write='set -e
/opt/longterm/bin/longterm_rdma --size '$size' --fill Z --seconds 3 /mnt/dax/file
echo left >/mnt/dax/other'
# shellcheck disable=SC2016
look='set -e
[ "$(cat /mnt/dax/other)" = left ]
[ "$(stat -c %s /mnt/dax/file)" = '$size' ]
[ "$(tr -d Z </mnt/dax/file | wc -c)" = 0 ]'

plan 4
for fs in ext4 xfs; do
	check "$fs.written_by_rdma" vm --fs "$fs" --disk "$work/disk.$fs" -- sh -c "$write"
	check "$fs.seen_by_the_unpatched_kernel" \
		vm --kernel unpatched --fs "$fs" --disk "$work/disk.$fs" -- sh -c "$look"
	rm -f "$work/disk.$fs"
done
finish
