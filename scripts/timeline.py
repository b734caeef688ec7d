#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""
usage: timeline.py [TRACE]

Prints a short timeline of leases, pins and breaks from a kernel trace: text of
a tracefs 'trace' file (default: stdin) with the events of group longterm and,
if there, syscalls:sys_{enter,exit}_{truncate,ftruncate}.  A mark
'scene: TITLE' starts a new part.  Times are milliseconds since the first event
of the part.
"""
import re
import sys

LINE = re.compile(r"^\s*(?P<comm>.+)-(?P<tid>\d+)\s+(?:\(\s*[\d-]+\)\s+)?"
                  r"\[\d+\]\s+\S+\s+(?P<time>\d+\.\d+): "
                  r"(?P<name>\w+)(?P<sep>\(|: ?| -> )(?P<rest>.*)$")
TO_THE_END = (1 << 63) - 1
ERRNO = {11: "EAGAIN", 4: "EINTR", 16: "EBUSY", 26: "ETXTBSY", 35: "EDEADLK",
         37: "ENOLCK", 95: "EOPNOTSUPP", 13: "EACCES", 14: "EFAULT"}


class Event:
    def __init__(self, match):
        self.comm = match["comm"].strip()
        self.tid = int(match["tid"])
        self.time = float(match["time"])
        self.name = match["name"]
        self.rest = match["rest"]
        self.fields = dict(re.findall(r"(\w+)=(\S+)", self.rest))
        self.returns = match["sep"] == " -> "   # "sys_ftruncate -> 0x0"

    def number(self, field):
        return int(self.fields.get(field, "0"))


def read_events(lines):
    matches = [LINE.match(s) for s in lines if not s.startswith("#")]
    return [Event(m) for m in matches if m]


def amount(size):
    for unit, name in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if size >= unit and size % unit == 0:
            return f"{size // unit} {name}"
    return f"{size} bytes"


def span(event):
    start, end = event.number("start"), event.number("end")
    if end == TO_THE_END:
        return "the whole file" if start == 0 else \
            f"everything from {amount(start)} on"
    return f"{amount(end - start)} at offset {amount(start) if start else 0}"


def named(number):
    return ERRNO.get(number, f"errno {number}")


def syscall(event):
    if event.returns:
        value = int(event.rest.split()[0], 16)
        if not value:
            return "truncate returns 0"
        return "truncate fails: " + named((1 << 64) - value)
    sizes = re.findall(r"length: (?:0x)?([0-9a-f]+)", event.rest)
    return "truncate called" + \
        (f", to {amount(int(sizes[0], 16))}" if sizes else "")


def sentence(event):
    """What is said of an event; None: it would only repeat another."""
    if event.name in ("sys_truncate", "sys_ftruncate"):
        return syscall(event)
    if event.name == "break_begin" or event.name == "break_end":
        return None
    result = abs(event.number("result"))
    if event.name in ("lease_take", "deny", "pin") and result:
        return f"{event.name.replace('_', ' ')}: {named(result)}"
    return {
        "lease_take": "lease taken",
        "lease_revoke": "lease revoked",
        "pin": f"pin: {span(event)}",
        "unpin": f"dereg: {span(event)}, no longer pinned",
        "break_wait": "waits for the pins to go",
        "sigio": "gets SIGIO: someone wants blocks",
        "sigbus": "gets SIGBUS: its time is over",
        "sigkill": "gets SIGKILL",
        "busy": f"is refused: pins stay in {span(event)}",
    }.get(event.name)


def main():
    if len(sys.argv) > 2 or sys.argv[1:2] in (["-h"], ["--help"]):
        sys.exit(__doc__)
    if len(sys.argv) == 2:
        with open(sys.argv[1], encoding="utf-8", errors="replace") as f:
            events = read_events(f)
    else:
        events = read_events(sys.stdin)
    # Many events come from workers: their pid names the process concerned.
    names = {e.tid: e.comm for e in events if not e.comm.startswith("kworker")}
    start, printed = None, 0
    for event in events:
        if event.name == "tracing_mark_write":
            if event.rest.startswith("scene: "):
                print(("\n" if printed else "") + event.rest[7:].strip())
                start = None
            continue
        text = sentence(event)
        if text is None:
            continue
        if start is None:
            start = event.time
            print(f"  (0.0 ms is {start:.6f} s of the kernel's clock)")
        pid = int(event.fields.get("pid", event.tid))
        who = f"{names.get(pid, 'process')} {pid}"
        print(f"{(event.time - start) * 1000:10.1f} ms  {who:<20} {text}")
        printed += 1
    if not printed:
        sys.exit("timeline.py: this trace has no events of leases")


if __name__ == "__main__":
    main()
