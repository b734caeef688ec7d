# SPDX-License-Identifier: GPL-2.0
"""The kernel without our patches: what it says to our applications."""
import errno

from lib import guest
from lib.calls import F_LONGTERM, F_UNBREAKABLE, F_UNLCK, MAP_PRIVATE
from lib.case import UNPATCHED, test

SIZE = 4 * guest.MIB


@test(kernels=UNPATCHED)
def leases_are_unknown(t):
    p = t.proc()
    fd = p.open(t.file())
    for kind in (F_LONGTERM, F_LONGTERM | F_UNBREAKABLE):
        t.errno(errno.EINVAL, p.go.lease(fd, kind), f"kind {kind}")
    t.eq(p.getlease(fd), F_UNLCK, "F_GETLEASE")


@test(kernels=UNPATCHED)
def pins_are_refused(t):
    p = t.proc()
    fd = p.open(t.file())
    for flags in (1, MAP_PRIVATE):
        addr = p.mmap(fd, SIZE, flags=flags)
        for kind in ("mr", "gup", "gup_read", "uring"):
            t.errno(errno.EOPNOTSUPP, p.go.pin(addr, SIZE, kind),
                    f"{kind} of a mapping with flags {flags}")
