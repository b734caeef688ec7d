# SPDX-License-Identifier: GPL-2.0
"""That the kcsan kernel would tell of a data race, on the machine it runs on."""
import os
import re
import time

from lib import guest, pintest
from lib.case import KCSAN, test

STATE = "/sys/kernel/debug/kcsan"


def races():
    return int(re.search(r"^data_races: (\d+)$", guest.read(STATE), re.M)[1])


@test(limit=30, kernels=KCSAN)
def tells_of_a_race(t):
    """Of one that is there on purpose, and which alone is not in the log."""
    pintest.load()
    guest.write(STATE, "!pintest_race")
    before = races()
    until = time.monotonic() + 10 * guest.SLOW
    for _ in range(os.cpu_count()):
        t.proc().go.race(until)
    guest.wait_for(lambda: races() > before, "KCSAN counts a data race", 10)
