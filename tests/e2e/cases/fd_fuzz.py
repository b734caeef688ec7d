# SPDX-License-Identifier: GPL-2.0
"""Random requests to the device and to lease fds."""
import re

from lib import guest
from lib.case import test

CALLS = 100000 if guest.LONG else 2000


@test(limit=60 + CALLS // 100)
def random_requests(t):
    """None crashes, hangs, ends in an undocumented way, or leaves anything."""
    guest.set_sysctl("break_time", 0)
    before = guest.module_users()
    status, out = guest.run(guest.BIN + "/fuzzfd", guest.DAX, str(CALLS),
                            timeout=(50 + CALLS // 100) * guest.SLOW)
    t.eq(status, 0, out[-2000:])
    for call in ("LEASE", "INFO", "BREAK", "ADOPT", "read"):
        done = sum(map(int, re.findall(rf": {call} 0: (\d+)", out)))
        t.true(done > 0, f"no {call} succeeded")
    guest.wait_for(lambda: guest.module_users() == before,
                   f"{before} references to the module", 20)
    t.eq(guest.locks(), [], "leases")
