# SPDX-License-Identifier: GPL-2.0
"""32-bit programs: they are told what 64-bit ones are told."""
import os

from lib import guest
from lib.case import test

SIZE = 6 << 30      # sparse; 32 bits can't count so far


def both_say(t, what):
    """The same program, compiled for either; it checks what it is told."""
    told = []
    for program in ("abi", "abi32"):
        path = guest.make_file(t.path(), SIZE, data=False)
        status, out = guest.run(f"{guest.BIN}/{program}", what, path,
                                timeout=30 * guest.SLOW)
        t.eq(status, 0, f"{program}: {out[-2000:]}")
        os.unlink(path)
        told.append(out.splitlines())
    t.eq(told[1], told[0], "what the 32-bit program is told")
    with open(f"{guest.BIN}/abi32", "rb") as f:
        t.eq(f.read(5), b"\x7fELF\x01", "what abi32 is")


@test
def both_doors(t):
    both_say(t, "reacts")


@test(break_time=1)
def the_ladder(t):
    both_say(t, "deaf")
