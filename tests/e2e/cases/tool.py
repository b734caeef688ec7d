# SPDX-License-Identifier: GPL-2.0
"""The longterm command: what it says is what is there."""
import json
import os
import signal
import subprocess
import xml.etree.ElementTree

from lib import guest, tool
from lib.calls import PUNCH_HOLE
from lib.case import UNPATCHED, test
from lib.machine import insmod

SIZE = 4 * guest.MIB
# It is a program's tests: where the kernel's part is the same as in other tests,
# the debug kernel has nothing to add but time.
PLAIN = ("patched",)
MISSING = ("longterm: the module is not loaded: modprobe longterm, or insmod "
           "longterm.ko ('longterm doctor' says more)\n")


def picture(t, path):
    """All texts of an SVG, hints too; it has to be well-formed."""
    root = xml.etree.ElementTree.parse(path).getroot()
    t.true(root.tag.endswith("svg"), f"{path} is {root.tag}")
    return [e.text.strip() for e in root.iter() if e.text and e.text.strip()]


# ---- ls, watch

@test(kernels=PLAIN)
def ls(t):
    """Known leases and pins, each line once; files by any name."""
    one, two = t.file(), guest.DAX + "/a b\\c\nd"
    guest.make_file(two, SIZE)
    a, b = t.holder(one, SIZE // 2), t.holder(two, lease=None)
    os.link(two, guest.DAX + "/link")
    lines = tool.ls()
    held = [(s["what"], s["ino"], s["pid"], s["start"], s["end"], s["bytes"],
             s["kind"], s["path"]) for s in lines]
    ino_a, ino_b = guest.inode_of(one), guest.inode_of(two)
    t.eq(sorted(held), sorted([
        ("lease", ino_a, a.pid, 0, None, SIZE // 2, "breakable", one),
        ("pin", ino_a, a.pid, 0, SIZE // 2, SIZE // 2, "breakable", one),
        ("pin", ino_b, b.pid, 0, SIZE, SIZE, "automatic", two)]), "ls --json")
    st = os.stat(one)
    dev = f"{os.major(st.st_dev)}:{os.minor(st.st_dev)}"
    t.eq({s["dev"] for s in lines}, {dev}, "device")
    by_link = tool.ls("--file", guest.DAX + "/link")
    t.eq([s["ino"] for s in by_link], [ino_b], "ls --file")
    t.eq({s["ino"] for s in tool.ls("--pid", a.pid)}, {ino_a}, "ls --pid")
    t.eq(tool.ls("--pid", 1), [], "of a process that holds nothing")
    text = tool.output("ls").splitlines()
    t.eq(len(text), 1 + len(lines), "lines of the table")
    t.true(any(s.endswith(guest.DAX + "/a b\\c\\012d") for s in text),
           f"no escaped name in {text}")
    a.unpin_all()
    b.unpin_all()
    a.lease(a.fd, 2)    # F_UNLCK
    guest.wait_for(lambda: tool.ls() == [], "nothing is held")
    t.eq(tool.output("ls"), "nothing is held\n", "ls of nothing")


@test
def ls_of_a_break(t):
    """Who breaks, how far it is, and the time that is left."""
    path = t.file()
    h, b = t.holder(path), t.proc()
    cut = b.go.truncate(path, 0)
    guest.wait_for(lambda: guest.trace_events("break_wait"), "it waits")
    lines = {s["what"]: s for s in tool.ls("--file", path)}
    t.eq((lines["break"]["pid"], lines["break"]["state"]),
         (b.pid, "notified"), "the break")
    t.eq(lines["lease"]["state"], "breaking", "the lease")
    limit = t.break_time * 1000
    for what in ("lease", "break"):
        t.true(0 < lines[what]["left_ms"] <= limit, f"{what}: {lines[what]}")
    h.unpin_all()
    t.errno(0, cut, "truncate")


@test(kernels=PLAIN)
def watch_piped(t):
    """A block for each look, each with its head and a blank line between."""
    t.holder(t.file())
    out = tool.output("watch", "-n", 3, "-i", 0.05)
    blocks = out.split("\n\n")
    t.eq(len(blocks), 3, f"blocks in {out!r}")
    for block in blocks:
        head = block.splitlines()[0]
        t.true(head.endswith("1 file, 1 process, 1 pin"), head)
        t.true("breakable" in block, block)


# ---- events

@test(break_time=1, limit=40, kernels=PLAIN)
def events(t):
    """A break as objects and as lines, with names for the numbers."""
    path = t.file()
    h, b = t.holder(path), t.proc()
    objects = tool.Listener("--json")
    lines = tool.Listener("--file", path, "-n", 3)
    fd = b.open(path)
    t.errno(0, b.go.fallocate(fd, PUNCH_HOLE, 0, SIZE), "punch")
    # In either order.
    objects.until("break_end")
    seen = [json.loads(s) for s in objects.until("unpin")]
    t.eq(objects.end(), 0, "status after SIGINT")
    t.eq(lines.process.wait(20 * guest.SLOW), 0, "status with enough")
    told = [s.split() for s in lines.until("sigio")]
    name = guest.read(f"/proc/{b.pid}/comm").strip()
    t.eq(tool.instances(), [], "instances left")
    by = {o["event"]: o for o in seen}
    for event, who in (("break_begin", b), ("break_wait", b), ("sigio", h),
                       ("sigbus", h), ("unpin", h), ("break_end", b)):
        o = by[event]
        t.eq((o["pid"], o["ino"], o["path"], o["result"]),
             (who.pid, guest.inode_of(path), path, 0), event)
    t.eq((by["sigbus"]["start"], by["sigbus"]["end"]), (0, SIZE), "range")
    t.eq([(o["from"], o["to"]) for o in seen if o["event"] == "break_state"],
         [("idle", "notified"), ("notified", "revoked"), ("revoked", "idle")],
         "steps")
    times = [o["time"] for o in seen]
    t.eq(times, sorted(times), "order")
    t.eq([s[1:5] for s in told if s[1] != "break_state"],
         [["break_begin", name, str(b.pid), path],
          ["sigio", name, str(h.pid), path]], "lines")
    t.eq([s[1:] for s in told if s[1] == "break_state"],
         [["break_state", "idle", "->", "notified", "(begin)", path]], "step")


@test(limit=40, kernels=PLAIN)
def events_end_in_order(t):
    """By a reader that goes, and a signal; a killed one is swept up later."""
    deaf = tool.Listener()
    deaf.process.stdout.close()
    t.eq(deaf.process.wait(20 * guest.SLOW), 0, "status without a reader")
    t.eq(deaf.process.stderr.read().decode().count("\n"), 1, "lines of stderr")
    t.eq(tool.instances(), [], "instances left")
    tool.Listener().end(signal.SIGKILL)
    t.eq(len(tool.instances()), 1, "instances of the killed one")
    t.eq(tool.Listener().end(signal.SIGTERM), 0, "status of the next")
    t.eq(tool.instances(), [], "instances after the next")


# ---- timeline

@test(break_time=1, limit=40, kernels=PLAIN)
def timeline_live(t):
    """A holder that does not listen, and who breaks its lease."""
    path, svg = t.file(), "/tmp/live.svg"
    h = t.holder(path)
    tool.output("timeline", "-o", svg, "--live", guest.BIN + "/shrink", path, 0)
    texts = picture(t, svg)
    t.true(texts[0].startswith(f"Who held {path}, who wanted its blocks: "
                               "1 holder, 1 breaker"), texts[0])
    for want in ("SIGIO ", "SIGBUS ", "done after ", "notified, ", "shrink ",
                 "pin of 0..4 MiB: ", "lease held", "lease, revoked: "):
        t.true(any(s.startswith(want) for s in texts), f"no {want}: {texts}")
    t.true(any(s.endswith(f" {h.pid}") for s in texts), f"no {h.pid}: {texts}")
    t.eq(tool.instances(), [], "instances left")
    # The command's status is ours; here the file is leased, and nothing pinned.
    p = t.proc()
    other = t.file()
    p.lease(p.open(other))
    status, _, _ = tool.run("timeline", "-o", svg, "--live", "sh", "-c",
                            f"{guest.BIN}/shrink {other} 0; exit 3")
    t.eq(status, 3, "status")
    t.true(other in picture(t, svg), "no name of the second file")


@test(limit=40, kernels=PLAIN)
def timeline_recorded(t):
    """By trace-cmd, and as the text of tracefs; the same story."""
    path, dat, svg = t.file(), "/tmp/trace.dat", "/tmp/dat.svg"
    p = t.proc()
    recorder = subprocess.Popen(
        ["trace-cmd", "record", "-q", "-e", "longterm", "-o", dat],
        cwd="/tmp", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    on = guest.TRACING + "/events/longterm/enable"
    guest.wait_for(lambda: guest.read(on) == "1\n", "trace-cmd records", 30)
    p.hold(path, SIZE)
    p.unpin_all()
    t.errno(0, t.proc().go.truncate(path, 0), "truncate")
    recorder.send_signal(signal.SIGINT)
    recorder.wait(60)
    tool.output("timeline", dat, "-o", svg, "--path", path)
    from_dat = picture(t, svg)
    with open("/tmp/text", "w", encoding="utf-8") as f:
        f.write(guest.read(guest.INSTANCE + "/trace"))
    tool.output("timeline", "/tmp/text", "-o", svg, "--path", path)
    from_text = picture(t, svg)
    for texts in (from_dat, from_text):
        t.true(path in texts, f"no {path}: {texts}")
        # Whether there is room for words is a matter of how long it took; a
        # pointer finds them always.
        for want in (f" {p.pid}", "pin of 0..4 MiB: "):
            t.true(any(want in s for s in texts), f"no {want}: {texts}")
    t.eq(from_dat[0], from_text[0], "title")


@test(limit=40, kernels=PLAIN)
def timeline_says_what_is_missing(t):
    for args, how, want in (
            (["/tmp/none.dat"], {}, "there is no /tmp/none.dat"),
            (["/etc/passwd"], {}, "no event of a lease"),
            (["/tmp/fake.dat"], {"env": {"PATH": "/nowhere"}},
             "there is no trace-cmd"),
            (["/tmp/fake.dat"], {}, "trace-cmd can't read /tmp/fake.dat"),
            (["--live", "/nowhere/cmd"], {}, "/nowhere/cmd: No such file"),
            (["--live", "true"], {}, "no event of a lease")):
        with open("/tmp/fake.dat", "wb") as f:
            f.write(b"\x17\x08Dtracing0\0")
        status, out, err = tool.run("timeline", "-o", "/tmp/x.svg", *args, **how)
        t.eq((status, out, err.count("\n")), (1, "", 1), f"{args}: {err}")
        t.true(err.startswith("longterm: ") and want in err, err)
    t.eq(tool.instances(), [], "instances left")


# ---- status, metrics

@test(kernels=PLAIN)
def status_and_metrics(t):
    """Both say what the module counts; the numbers are those of what was done."""
    before = tool.counters()
    h = t.holder(t.file())
    h.pin(h.addr, 4096)
    with open("/proc/fs/longterm/stat", encoding="utf-8") as f:
        raw = {n: int(v) for n, v in (s.split() for s in f)}
    now = tool.counters()
    t.eq(set(now) | {"abi"}, set(raw) | {"abi"}, "names")
    t.eq(now["lease_taken"] - before["lease_taken"], 1, "leases taken")
    t.eq((now["leases"], now["records"]), (1, 2), "there now")
    text = tool.output("status")
    for want in ("module   loaded", "fs.longterm.require_lease",
                 "fs.lease-break-time", "pinned_bytes"):
        t.true(want in text, f"no {want} in {text}")
    scrape = tool.samples(tool.output("metrics"))
    t.eq(scrape["longterm_leases"], 1, "longterm_leases")
    t.eq(scrape["longterm_records"], 2, "longterm_records")
    t.eq(scrape["longterm_pinned_bytes"], SIZE + 4096, "longterm_pinned_bytes")
    t.eq(scrape["longterm_lease_taken_total"], now["lease_taken"], "taken")
    t.true('longterm_refused_total{reason="closed"}' in scrape, str(scrape))
    wait = "longterm_break_wait_seconds"
    t.eq(scrape[wait + '_bucket{le="+Inf"}'], scrape[wait + "_count"], wait)
    # All counters are there, and no other.
    t.eq(len(scrape), len(raw), "series")


# ---- doctor

def ill(t, want, *args, before=()):
    """doctor finds this and nothing else, and ends with 1."""
    status, out = guest.run(*before, tool.COMMAND, "doctor", *args)
    wrong = tool.findings(out)["WRONG"]
    t.eq((status, len(wrong)), (1, 1), f"for {want}: {out}")
    t.true(want in wrong[0] and ": " in wrong[0], f"no {want} in {wrong}")


@test(kernels=PLAIN)
def doctor_finds_each_fault(t):
    path = t.file()
    t.eq(tool.findings(tool.output("doctor", path))["WRONG"], [], "healthy")
    t.eq(tool.findings(tool.output("doctor"))["WRONG"], [], "without a file")
    for name, value, want in (
            (guest.LEASES_ENABLE, 0, "sysctl fs.leases-enable=1"),
            (guest.BREAK_TIME, 0, "sysctl fs.lease-break-time=45"),
            (guest.SYSCTLS + "/break_time", 0, "sysctl fs.longterm.break_time"),
            (guest.SYSCTLS + "/max_files", 0, "sysctl fs.longterm.max_files")):
        was = guest.read(name)
        guest.write(name, value)
        ill(t, want, path)
        guest.write(name, was.strip())
    apart = ["unshare", "-m", "sh", "-ec", 'umount "$0"; exec "$@"']
    ill(t, "mount -o dax=always", before=[*apart, guest.DAX])
    # debugfs mounts it once more when somebody looks.
    traces = ('umount -l "$0"; umount -l /sys/kernel/debug/tracing 2>/dev/null;'
              ' exec "$@"')
    ill(t, "mount -t tracefs",
        before=["unshare", "-m", "sh", "-c", traces, guest.TRACING])
    with open("/tmp/plain", "wb"):
        ill(t, "/tmp/plain is on tmpfs", "/tmp/plain")
    ill(t, "No such file", guest.DAX + "/none")
    ill(t, "no regular file", "/dev/null")


@test(kernels=PLAIN)
def doctor_as_another_user(t):
    """Neither owner nor capable: may not lease; may not lock much."""
    path = t.file()
    os.chmod(path, 0o666)
    user = ["setpriv", f"--reuid={guest.NOBODY}", f"--regid={guest.NOBODY}",
            "--clear-groups"]
    ill(t, "setcap cap_lease", path, before=user)
    os.chown(path, guest.NOBODY, guest.NOBODY)
    status, out = guest.run(*user, tool.COMMAND, "doctor", path)
    t.eq(status, 0, out)
    ill(t, "ulimit -l unlimited", path,
        before=["prlimit", f"--memlock={SIZE - 1}", *user])
    status, _, err = tool.run("events", user=guest.NOBODY)
    t.eq((status, err), (1, "longterm: only root may trace: run it with sudo\n"),
         "events")


@test(fs="xfs", kernels=PLAIN)
def doctor_of_shared_blocks(t):
    path = t.file()
    with open(path, "r+b") as f:    # what was never written is not shared
        f.write(bytes(4096))
    guest.must("cp", "--reflink=always", path, guest.DAX + "/clone")
    ill(t, "cp --reflink=never", path)


# ---- without the module, without the patches; things that always work

def always(t):
    """What needs neither module nor kernel."""
    t.true("Usage: longterm" in tool.output("--help"), "--help")
    t.true(tool.output("--version").startswith("longterm "), "--version")
    t.true(".TH longterm 1" in tool.output("man"), "man")
    for shell in ("bash", "zsh", "fish"):
        t.true("timeline" in tool.output("completions", shell), shell)


@test(limit=60)
def without_the_module(t):
    """One line that says what to do, and status 1."""
    listener = tool.Listener()
    guest.must("rmmod", "longterm")
    try:
        t.eq(listener.end(), 0, "status of who listened meanwhile")
        for args in (["ls"], ["ls", "--json"], ["watch"], ["events"],
                     ["events", "--json"], ["status"], ["metrics"],
                     ["break", "/etc/passwd"],
                     ["timeline", "-o", "/tmp/x.svg", "--live", "true"]):
            t.eq(tool.run(*args), (1, "", MISSING), f"longterm {args}")
        ill(t, "modprobe longterm")
        always(t)
        t.eq(tool.instances(), [], "instances left")
    finally:
        insmod()
    t.eq(tool.output("ls"), "nothing is held\n", "with it again")


@test(kernels=UNPATCHED)
def on_the_unpatched_kernel(t):
    status, out, _ = tool.run("doctor")
    wrong = tool.findings(out)["WRONG"]
    t.eq((status, len(wrong)), (1, 2), out)
    t.true("CONFIG_LONGTERM_LEASE=y" in wrong[0], out)
    t.true("modprobe longterm" in wrong[1], out)
    t.eq(tool.run("ls"), (1, "", MISSING), "ls")
    always(t)


@test(kernels=PLAIN)
def a_reader_that_goes_is_no_error(t):
    for args in (["metrics"], ["completions", "bash"], ["watch", "-i", "0.01"]):
        reader, writer = os.pipe()
        os.close(reader)
        done = subprocess.run([tool.COMMAND, *args], stdout=writer, check=False,
                              stderr=subprocess.PIPE, timeout=30 * guest.SLOW)
        os.close(writer)
        t.eq((done.returncode, done.stderr), (0, b""), f"longterm {args}")


@test(kernels=PLAIN)
def completions_are_taken_by_bash(t):
    with open("/tmp/completions", "w", encoding="utf-8") as f:
        f.write(tool.output("completions", "bash"))
    out = guest.must("bash", "-c", "source /tmp/completions; complete -p longterm")
    t.true("_longterm" in out, out)
