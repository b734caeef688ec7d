# SPDX-License-Identifier: GPL-2.0
"""
Programs that know nothing of us, with their buffers on DAX: data arrives, and
all that they pin is on record and gone again with them.  Against the unpatched
kernel: host/clients.sh.
"""
import os

from lib import clients, guest
from lib.case import test
from lib.program import Program

MUCH = 10 if guest.LONG else 1
WINDOW = clients.FIO_DEPTH * clients.FIO_BLOCK  # all buffers of a job of fio


def pinned(path, event="pin"):
    """Bytes, by the events of that file."""
    return sum(int(values["end"]) - int(values["start"]) for _, _, values in
               guest.trace_events(event, ino=guest.inode_of(path)))


def client(t, run, arrived, each=None):
    """It works, and each of its files was pinned for as many bytes."""
    if guest.KERNEL == "debug" and not guest.LONG and t.name not in SHORT:
        t.skip("takes minutes there: make e2e")
    with clients.Memory("dax") as memory:
        result = run(memory)
        t.eq(result.arrived, arrived, "bytes that have arrived")
        for path in memory.files.values():
            guest.wait_for(lambda: pinned(path) == pinned(path, "unpin"),
                           f"{pinned(path)} bytes were pinned, "
                           f"{pinned(path, 'unpin')} unpinned", 2)
            t.true(pinned(path) == each if each else
                   pinned(path) >= 2 * arrived, f"{pinned(path)} bytes pinned")
    print(f"# {result}", flush=True)


# Those that the debug kernel runs in their short form too.
SHORT = ("clients.ib_write_bw", "clients.fio_uring")


def declare(name, *args):
    def body(t):
        client(t, *args)
    body.__name__ = name
    test(body, limit=60 * MUCH)


for tool in clients.PERFTEST:
    declare(tool, lambda memory, tool=tool: clients.perftest(
        tool, memory, 20 * MUCH), 2 if tool == "ib_write_lat" else 65536)
# It draws the buffer of each operation by lot: enough that none is left out.
for verb in clients.FIO_VERBS:
    declare(f"fio_rdma_{verb}", lambda memory, verb=verb: clients.fio_rdma(
        verb, memory, 8 * MUCH * guest.MIB), WINDOW, WINDOW)
declare("fio_uring", lambda memory: clients.fio_uring(memory, MUCH * guest.MIB),
        MUCH * guest.MIB, WINDOW)
declare("uring", lambda memory: clients.uring(memory, 20 * MUCH),
        20 * MUCH * 8 * 32768, clients.BUFFER)


@test(limit=60)
def uring_survives_a_truncate(t):
    """Buffers unregistered when told, and registered again on what is left."""
    path = t.file(clients.BUFFER)
    app = Program(clients.URING, "--lease", path, "/dev/shm/uring.data")
    app.until(f"registered {clients.BUFFER}")
    b = t.proc()
    for size in clients.BUFFER // 2, 65536:
        cut = b.go.truncate(path, size)
        app.until(f"registered {size}")
        t.errno(0, cut, "truncate")
        t.true(cut.took < 1.8 * guest.SLOW, f"truncate took {cut.took:.3f} s")
    t.eq(app.stop(), 0, f"its end: {app.lines}")
    t.true(app.lines[-1].startswith("rounds "), app.lines)
    os.unlink("/dev/shm/uring.data")
