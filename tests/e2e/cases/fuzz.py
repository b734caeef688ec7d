# SPDX-License-Identifier: GPL-2.0
"""Random calls of everything, by those who have no rights."""
import os
import random
import re
import threading

from lib import guest, machine, program
from lib.case import test
from lib.machine import insmod

# A million of them on the debug kernel: run --long fuzz.
CALLS = 1000000 if guest.LONG else 20000
USERS = 8 if guest.LONG else 3
EVENTS = guest.TRACING + "/events/longterm"
STUCK = 12      # seconds; the longest wait that there may be takes four

# Kinds of call that can't succeed, or not here.
NEVER = {"unknown", "forbidden"} | ({"clone"} if guest.FS == "ext4" else set())


def event_names():
    return sorted(name for name in os.listdir(EVENTS)
                  if os.path.isdir(f"{EVENTS}/{name}"))


def instance(name):
    return f"{guest.TRACING}/instances/fuzz-{name}"


def count_events():
    """One small buffer for each event, which counts what it drops, too."""
    for name in event_names():
        os.mkdir(instance(name))
        guest.write(instance(name) + "/buffer_size_kb", 4)
        guest.write(f"{instance(name)}/events/longterm/{name}/enable", 1)


def counted(name):
    total = 0
    for cpu in os.listdir(instance(name) + "/per_cpu"):
        stats = guest.read(f"{instance(name)}/per_cpu/{cpu}/stats")
        total += sum(int(n) for n in
                     re.findall(r"^(?:entries|overrun): (\d+)$", stats, re.M))
    return total


def stop_counting():
    for name in event_names():
        if os.path.isdir(instance(name)):
            guest.write(f"{instance(name)}/events/longterm/{name}/enable", 0)
            os.rmdir(instance(name))


def others_trace(on):
    """The runner's own traces, which would overflow."""
    for place in guest.INSTANCE, machine.INSTANCE:
        guest.write(place + "/tracing_on", int(on))


def stat(name):
    text = guest.read("/proc/fs/longterm/stat")
    return int(re.search(rf"^{name} (\d+)$", text, re.M).group(1))


NOW = ("leases", "records", "inodes", "breaks", "pinned_bytes")


def nothing_left(t):
    def all_gone():
        return (not guest.module_users() and
                not any(stat(name) for name in NOW))
    try:
        guest.wait_for(all_gone, "", 20)
    except AssertionError:
        t.true(False, f"left: { {name: stat(name) for name in NOW} }, "
               f"{guest.module_users()} references to the module\n" +
               guest.read("/proc/fs/longterm/holders"))
    holders = guest.read("/proc/fs/longterm/holders").splitlines()
    t.eq(len(holders), 1, "lines of /proc/fs/longterm/holders")
    t.eq(stat("lease_taken") > 0 and stat("pin") > 0, True, "leases and pins")
    guest.must("rmmod", "longterm")
    insmod()


def fuzz(t, where, seed):
    """How often each kind of call ended how; prints what it says meanwhile."""
    argv = [f"{guest.BIN}/fuzzall", where, str(CALLS), str(seed),
            str(int(STUCK * guest.SLOW)), str(USERS)]
    lines = []
    with program.start(*argv) as process:
        # All of its processes end with it.
        timer = threading.Timer((60 + CALLS // 300) * guest.SLOW, process.kill)
        timer.start()
        for line in process.stdout:
            print("# " + line.removeprefix("# "), end="", flush=True)
            lines.append(line)
        timer.cancel()
    out = "".join(lines)
    t.eq(process.returncode, 0, out[-3000:])
    found = re.findall(r"^(\w+) (\d+) of (\d+)", out, re.M)
    return {name: (int(good), int(calls)) for name, good, calls in found}


@test(limit=100 + CALLS // 250, kernels=("patched", "debug"))
def all_at_random(t):
    """
    No report, no hang, nothing left; enough of it succeeds to mean something,
    and each tracepoint has fired: none needs rights that they don't have.
    """
    if guest.KERNEL == "debug" and not guest.LONG:
        t.skip("may take half an hour there, make e2e does it")
    where = f"{guest.DAX}/fuzz"
    os.mkdir(where)
    others_trace(False)
    count_events()
    try:
        ended = fuzz(t, where, random.SystemRandom().getrandbits(32))
        fired = {name: counted(name) for name in event_names()}
    finally:
        stop_counting()
        others_trace(True)
    print("# events: " + ", ".join(f"{k} {v}" for k, v in fired.items()),
          flush=True)
    good = sum(kind[0] for kind in ended.values())
    calls = sum(kind[1] for kind in ended.values())
    print(f"# {good} of {calls} calls succeeded", flush=True)
    t.true(calls >= CALLS * 0.99, f"{calls} calls were made, not {CALLS}")
    t.true(good * 10 >= calls, f"{good} of {calls} succeeded")
    t.eq([kind for kind, (well, tried) in ended.items()
          if not well and tried > 20 and kind not in NEVER], [],
         "kinds of call of which none succeeded")
    t.eq([name for name, times in fired.items() if not times], [],
         "tracepoints that did not fire")
    t.true(len(fired) >= 14, f"only the tracepoints {sorted(fired)}")
    nothing_left(t)
