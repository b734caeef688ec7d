# SPDX-License-Identifier: GPL-2.0
"""
Very many pins and unpins by eight threads, and in between whether the folios and
what is on record are what the threads say.
"""
import collections
import subprocess

from lib import calls, guest, pintest, pinwalk, view
from lib.case import RACES, test
from lib.pinspace import HUGE, PER_HUGE, File, Space

PAGE = pintest.PAGE
if guest.SLOW > 1:
    CALLS, CHECKPOINTS = (50000, 20) if guest.LONG else (1600, 2)
else:
    CALLS, CHECKPOINTS = (1000000, 50) if guest.LONG else (8000, 4)
Pinned = collections.namedtuple("Pinned", "file first pages through")


class Storm:
    """tests/e2e/bin/pinstorm, between its checkpoints."""

    def __init__(self, seed, paths):
        self.process = subprocess.Popen(
            [guest.BIN + "/pinstorm", str(seed), str(CALLS), str(CHECKPOINTS),
             *paths], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True)

    def checkpoint(self):
        """(calls so far, what is pinned by what the threads say)"""
        pinned = []
        for line in self.process.stdout:
            words = line.split()
            if words[0] == "checkpoint":
                return int(words[1]), pinned
            if len(words) != 4 or words[3] not in ("rdma", "io_uring", "other"):
                raise AssertionError(f"pinstorm: {line}")
            pinned.append(Pinned(*map(int, words[:3]), words[3]))
        raise AssertionError(f"pinstorm ended: {self.process.wait()}")

    def go_on(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()


def expected_counts(pinned, files, dev):
    """Long-term pins of each folio, {head: pins}, by how each kind pins."""
    pages = [dev.look(f.fd, 0, f.size // PAGE) for f in files]
    counts = collections.Counter({p.head: 0 for f in pages for p in f})
    for pin in pinned:
        part = pages[pin.file][pin.first:pin.first + pin.pages]
        heads = [p.head for p in part]
        # io_uring leaves one pin on each of several folios of the same size.
        if pin.through == "io_uring" and len({p.order for p in part}) == 1:
            heads = set(heads)
        counts.update(heads)
    return counts


def check_folios(t, pinned, files, dev, where):
    for head, pins in expected_counts(pinned, files, dev).items():
        seen = dev.look_at(head)[0]
        if (seen.all, seen.longterm) != (pins, pins):
            raise AssertionError(f"{where}: folio {head:#x} has {pins} pins, "
                                 f"counts {seen}")


def on_record(paths, pid):
    """{(file, first byte, end, through): how many records}"""
    found = collections.Counter()
    for number, path in enumerate(paths):
        for line in view.lines(path, "pin"):
            if line["pid"] != str(pid):
                raise AssertionError(f"a record of somebody else: {line}")
            found[number, int(line["start"]), int(line["end"]),
                  line["through"]] += 1
    return found


def check_records(t, pinned, paths, pid, where):
    """
    Each pin that carries a tag has its own record.  GUP_TEST's pins carry none:
    those on the same pages close when the folio's count says so.
    """
    want = collections.Counter(
        (p.file, p.first * PAGE, (p.first + p.pages) * PAGE, p.through)
        for p in pinned)
    got = on_record(paths, pid)

    def tagged(counter):
        return collections.Counter(
            {k: n for k, n in counter.items() if k[3] != "other"})

    def untagged():
        nonlocal got
        got = on_record(paths, pid)
        return sum((k[2] - k[1]) * n for k, n in got.items() if k[3] == "other")
    for what, more in (("on record, but not pinned", tagged(got) - want),
                       ("pinned, but not on record", tagged(want) - got)):
        t.eq(sorted(more.elements())[:5], [], f"{where}: {more.total()} {what}")
    total = sum(p.pages * PAGE for p in pinned if p.through == "other")
    guest.wait_for(lambda: untagged() == total,
                   f"{where}: {total} bytes by GUP_TEST on record")


@test(limit=3000 if guest.LONG else 120, kernels=RACES)
def eight_threads(t):
    """Eight threads; compared with what they themselves say, at rest."""
    seed = pinwalk.new_seed()
    print(f"# seed {seed}", flush=True)
    paths = [t.path() for _ in range(4)]
    files = [File(path, 4 if n < 3 else 2) for n, path in enumerate(paths)]
    space, dev = Space(8 * HUGE), pintest.Pintest()
    for number, file in enumerate(files):
        for region in range(file.regions):
            # The third has both; the one with the slots single pages only.
            space.touch(file, region, huge=number < 2 or
                        (number == 2 and region % 2))
    t.eq([dev.look(f.fd, PER_HUGE)[0].order for f in files], [9, 9, 9, 0],
         "orders of the second region's folios")
    for file in files:
        calls.setlease(file.fd, calls.F_LONGTERM)
    s = Storm(seed, paths)
    for point in range(CHECKPOINTS + 1):
        done, pinned = s.checkpoint()
        where = f"seed {seed}, checkpoint {point}, {done} calls"
        check_folios(t, pinned, files, dev, where)
        check_records(t, pinned, paths, s.process.pid, where)
        if guest.LONG:
            print(f"# {done} calls, {len(pinned)} pins", flush=True)
        s.go_on()
    t.eq(s.process.wait(60 * guest.SLOW), 0, "pinstorm's status")
    t.eq(pinned, [], "pinned at the end")
    print(f"# {done} calls, {CHECKPOINTS + 1} checkpoints", flush=True)
    for file in files:
        calls.setlease(file.fd, calls.F_UNLCK)
        file.close()
    dev.close()
