#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# The pmem device is unbound below pinned files: in guests of their own, as the
# filesystem does not survive it.
set -euo pipefail
# shellcheck source=tests/e2e/host/ktap.bash
. "$(dirname "$0")/ktap.bash"

plan 2
for fs in ext4 xfs; do
	check "$fs.waits_for_the_last_unpin" vm --fs "$fs" -- /opt/longterm/e2e/unbind
done
finish
