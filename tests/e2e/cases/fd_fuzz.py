# SPDX-License-Identifier: GPL-2.0
"""Random requests to the device and to lease fds."""
import re

from lib import guest
from lib.case import test

CALLS = 100000 if guest.LONG else 2000
FEWER = min(CALLS, 10000)


def fuzz(t, program, calls):
    """None crashes, hangs, ends in an undocumented way, or leaves anything."""
    guest.set_sysctl("break_time", 0)
    before = guest.module_users()
    status, out = guest.run(f"{guest.BIN}/{program}", guest.DAX, str(calls),
                            timeout=(50 + calls // 100) * guest.SLOW)
    t.eq(status, 0, out[-2000:])
    for call in ("LEASE", "INFO", "BREAK", "ADOPT", "read"):
        done = sum(map(int, re.findall(rf": {call} 0: (\d+)", out)))
        t.true(done > 0, f"no {call} succeeded")
    guest.wait_for(lambda: guest.module_users() == before,
                   f"{before} references to the module", 20)
    t.eq(guest.locks(), [], "leases")


@test(limit=60 + CALLS // 100)
def random_requests(t):
    fuzz(t, "fuzzfd", CALLS)


@test(limit=60 + FEWER // 100)
def random_requests_of_32_bits(t):
    fuzz(t, "fuzzfd32", FEWER)
