# SPDX-License-Identifier: GPL-2.0
"""
Transient pins, those of O_DIRECT: the blocks of a file that is cut go to another
one at once, and what is still read into them never gets there.
"""
import re

from lib import blocks, guest, machine
from lib.case import ALL, PATCHED, test

# ext4 takes a tenth of a second for each, on a busy host.
ROUNDS = 100000 if guest.LONG else 200
if guest.KERNEL == "debug":
    ROUNDS = 2000 if guest.LONG else 20
LIMIT = 6000 if guest.LONG else 300
SAID = re.compile(r"rounds (\d+) met (\d+) moved (\d+) early (\d+) "
                  r"again \d+$", re.M)


def copy(*args):
    with blocks.no_reserve():
        return guest.run(guest.BIN + "/latecopy", guest.DAX, *map(str, args),
                         timeout=LIMIT * guest.SLOW)


def rounds(t):
    status, out = copy(ROUNDS)
    print(f"# {out.strip()}", flush=True)
    t.eq(status, 0, f"status; it says: {out}")
    done, met, moved, early = map(int, SAID.search(out).groups())
    t.true(moved >= ROUNDS, f"only {moved} of {done} rounds moved the blocks")
    t.true(met >= moved, f"{moved} moved, {met} met the read")
    t.eq(early, 0, "how often blocks were there before the read had ended")


@test(limit=LIMIT, kernels=PATCHED)
def with_the_module(t):
    rounds(t)


@test(limit=LIMIT, kernels=ALL)
def without_the_module(t):
    """And on the kernel without our patches."""
    loaded = guest.module_users() is not None
    if loaded:
        guest.must("rmmod", "longterm")
    try:
        rounds(t)
    finally:
        if loaded:
            machine.insmod()


@test(limit=90, kernels=ALL)
def a_late_copy_is_seen(t):
    """The program's own eyes: one page too much, in one of its rounds."""
    status, out = copy(20, 7)
    t.eq(status, 1, f"status; it says: {out}")
    t.true("round 7, at its end" in out and "another file's" in out, out)
