# SPDX-License-Identifier: GPL-2.0
"""The lease fd: how it is taken, who may, what it shows, and how it ends."""
import errno
import os
import resource
import stat

from lib import guest, leasefd
from lib.calls import F_LONGTERM, F_UNLCK, O_PATH, PUNCH_HOLE
from lib.case import test
from lib.leasefd import ASK, EOF, HELD, UNBREAKABLE

SIZE = 4 * guest.MIB
PAGE = 4096


def page_holder(t, path, page, pages=1, kind="mr", lease=True, process=None):
    """A process with a lease fd on some pages, which are pinned."""
    p = process or t.proc()
    p.fd = p.open(path)
    start, length = page * PAGE, pages * PAGE
    p.lease_fd = p.fd_lease(p.fd, start, length) if lease else None
    p.addr = p.mmap(p.fd, length, start)
    p.pin(p.addr, length, kind)
    return p


def held(path, what="pin"):
    """Lines of /proc/fs/longterm/holders of that file."""
    key = str(os.stat(path).st_ino)
    rows = [line.split() for line in
            guest.read("/proc/fs/longterm/holders").splitlines()]
    names = rows[0][1:]
    return [row for row in (dict(zip(names, row)) for row in rows[1:])
            if row["what"] == what and row["ino"] == key]


@test
def anybody_may_open_the_device(t):
    st = os.stat(leasefd.DEVICE)
    t.true(stat.S_ISCHR(st.st_mode), "no character device")
    t.eq(stat.S_IMODE(st.st_mode), 0o666, "mode")
    p = t.proc()
    p.drop_to(guest.NOBODY)
    p.dev()
    t.errno(errno.ENOTTY, p.go.fd_ask(0xb904, bytes(32)), "no such command")
    t.errno(errno.ENOTTY, p.go.fd_ask(leasefd.ADOPT, bytes(32)), "ADOPT")


@test
def is_seen_while_it_lives(t):
    path = t.file()
    p = t.proc()
    fd = p.open(path)
    lease = p.fd_lease(fd, 2 * PAGE, 3 * PAGE)
    p.close(fd)
    lines = guest.locks(path)
    t.eq(len(lines), 1, "lines in /proc/locks")
    t.eq(lines[0].split()[2:5] + lines[0].split()[6:],
         ["ACTIVE", "LONGTERM", str(p.pid), str(2 * PAGE), str(5 * PAGE - 1)],
         "line in /proc/locks")
    t.eq([(row["through"], row["start"], row["end"], row["path"])
          for row in held(path, "lease")],
         [("fd", str(2 * PAGE), str(5 * PAGE), path)], "line of holders")
    p.close(lease)
    t.eq(guest.locks(path) + held(path, "lease"), [], "after the close")


@test
def to_the_end_of_the_file(t):
    path = t.file()
    p = t.proc()
    fd = p.open(path)
    lease = p.fd_lease(fd, PAGE + 1)
    info = p.fd_info(lease)
    t.eq((info["start"], info["end"]), (PAGE, EOF), "range")
    t.true(guest.locks(path)[0].endswith(f"{PAGE} EOF"), "/proc/locks")
    t.eq(held(path, "lease")[0]["end"], "-", "holders")


@test
def lives_until_the_last_copy_is_closed(t):
    path = t.file()
    p = t.proc()
    fd = p.open(path)
    lease = p.fd_lease(fd)
    copy = p.dup(lease)
    child = t.fork(p)
    p.close(lease)
    p.close(copy)
    t.eq([line.split()[4] for line in guest.locks(path)], [str(p.pid)],
         "leases while the child has it")
    child.close(lease)
    t.eq(len(guest.locks(path)), 1, "leases while the child has a copy")
    child.close(copy)
    t.eq(guest.locks(path), [], "leases")


@test
def is_not_for_those_after_exec(t):
    path = t.file()
    p = t.proc()
    p.fd_lease(p.open(path))
    p.exec()
    t.eq(guest.locks(path), [], "leases after exec")


@test
def keeps_the_mount_but_not_the_file(t):
    """A lock on the open file goes with that, though the lease fd lives."""
    path = t.file()
    p, q = t.proc(), t.proc()
    fd = p.open(path)
    p.flock(fd, 2)
    lease = p.fd_lease(fd)
    p.close(fd)
    q.flock(q.open(path), 2 | 4)
    q.kill()
    status, out = guest.run("umount", guest.DAX)
    t.true(status and "busy" in out, f"umount: {out}")
    p.unlink(path)
    t.eq(p.fd_info(lease)["state"], HELD, "state")


def ask(fd, flags=0, reserved=0, start=0, length=0, size=ASK.size, more=b""):
    return ASK.pack(size, flags, fd, reserved, start, length) + more


@test
def what_is_refused(t):
    path = t.file()
    p = t.proc()
    fd = p.open(path)
    lease, brk = leasefd.LEASE, leasefd.BREAK

    def refuse(want, what, data, requests=(lease, brk)):
        for request in requests:
            t.errno(want, p.go.fd_ask(request, data), f"{what}, {request:#x}")

    refuse(errno.EBADF, "no file", ask(-1))
    refuse(errno.EBADF, "closed", ask(999))
    refuse(errno.EBADF, "O_PATH", ask(p.open(path, O_PATH)))
    refuse(errno.EINVAL, "unknown flag", ask(fd, flags=4))
    refuse(errno.EINVAL, "BREAK has no flags", ask(fd, flags=1), [brk])
    refuse(errno.EINVAL, "reserved", ask(fd, reserved=1))
    refuse(errno.EINVAL, "too far", ask(fd, start=1, length=EOF))
    refuse(errno.EINVAL, "behind the last byte", ask(fd, start=EOF))
    refuse(errno.EINVAL, "wraps", ask(fd, start=1 << 63, length=1 << 63))
    refuse(errno.EINVAL, "directory", ask(p.open(guest.DAX, os.O_RDONLY)),
           [lease])
    refuse(errno.EBADF, "directory", ask(p.open(guest.DAX, os.O_RDONLY)), [brk])
    refuse(errno.EINVAL, "device", ask(p.open("/dev/null")))
    refuse(errno.EOPNOTSUPP, "no DAX file", ask(p.open(
        "/dev/shm/fd", os.O_RDWR | os.O_CREAT)))
    readonly = p.open(path, os.O_RDONLY)
    refuse(errno.EACCES, "unbreakable, read only", ask(readonly, flags=1),
           [lease])
    refuse(errno.EBADF, "not for writing", ask(readonly), [brk])
    t.eq(guest.locks(path), [], "leases")
    t.errno(errno.EINVAL, p.go.fd_info(file=fd, size=80), "INFO, too small")
    t.errno(errno.ENOENT, p.go.fd_info(file=fd), "INFO without a lease")
    t.errno(errno.EBADF, p.go.fd_info(file=-1), "INFO of nothing")


@test
def sizes_of_other_versions(t):
    path = t.file()
    p = t.proc()
    fd = p.open(path)
    for size in (0, 4, 31):
        t.errno(errno.EINVAL, p.go.fd_ask(leasefd.LEASE, ask(fd, size=size)),
                f"size {size}")
    for more in (1, 8, 100, PAGE - 32):
        data = ask(fd, size=32 + more, more=bytes(more))
        p.close(p.fd_ask(leasefd.LEASE, data))
        data = data[:-1] + b"\1"
        t.errno(errno.E2BIG, p.go.fd_ask(leasefd.LEASE, data),
                f"{more} more, the last not 0")
    t.errno(errno.E2BIG, p.go.fd_ask(
        leasefd.LEASE, ask(fd, size=PAGE + 1, more=bytes(PAGE))), "a page")
    t.errno(errno.E2BIG, p.go.fd_ask(
        leasefd.LEASE, ask(fd, size=0xffffffff)), "all of memory")
    lease = p.fd_lease(fd)
    t.eq(p.fd_info(lease, size=88)["size"], 88, "size of INFO")
    t.eq(p.fd_info(lease, size=188)["size"], 88, "size of a larger INFO")
    t.errno(errno.EINVAL, p.go.fd_info(lease, file=fd), "INFO with a file")
    t.eq(guest.locks(path)[1:], [], "more leases")


@test
def info_and_adopt_have_no_flags(t):
    p = t.proc()
    fd = p.open(t.file())
    p.lease(fd)
    lease = p.fd_lease(fd)

    def info(flags, file):
        return leasefd.INFO_ANSWER.pack(leasefd.INFO_ANSWER.size, flags, file,
                                        *[0] * 11)

    def adopt(flags):
        return leasefd.ADOPT_ASK.pack(leasefd.ADOPT_ASK.size, flags)
    for want, flags in ((0, 0), (errno.EINVAL, 1), (errno.EINVAL, 1 << 31)):
        t.errno(want, p.go.fd_ask(leasefd.INFO, info(flags, -1), lease),
                f"INFO, flags {flags:#x}")
        t.errno(want, p.go.fd_ask(leasefd.INFO, info(flags, fd)),
                f"INFO of the file, flags {flags:#x}")
        t.errno(want, p.go.fd_ask(leasefd.ADOPT, adopt(flags), lease),
                f"ADOPT, flags {flags:#x}")


@test
def bad_addresses(t):
    p = t.proc()
    fd = p.open(t.file())
    lease = p.fd_lease(fd)
    for request in (leasefd.LEASE, leasefd.INFO, leasefd.BREAK):
        for addr in (0, 8, (1 << 64) - 4096, 1 << 62):
            t.errno(errno.EFAULT, p.go.ioctl(p.dev(), request, addr),
                    f"{request:#x} at {addr:#x}")
    for request in (leasefd.INFO, leasefd.ADOPT):
        t.errno(errno.EFAULT, p.go.ioctl(lease, request, 0), f"{request:#x}")
    for request in (leasefd.LEASE, leasefd.BREAK, 0x5401):
        t.errno(errno.ENOTTY, p.go.fd_ask(request, bytes(32), lease),
                f"{request:#x} on a lease fd")


@test
def permission_is_that_of_f_setlease(t):
    path = t.file()
    os.chmod(path, 0o666)
    p = t.proc()
    p.dev()
    p.drop_to(guest.NOBODY)
    fd = p.open(path)
    t.errno(errno.EACCES, p.go.fd_lease(fd), "another's file")
    t.errno(errno.EACCES, p.go.lease(fd), "F_SETLEASE")
    q = t.proc()
    q.dev()
    q.drop_to(guest.NOBODY, keep=[28])  # CAP_LEASE
    q.fd_lease(q.open(path))
    os.chown(path, guest.NOBODY, guest.NOBODY)
    p.fd_lease(fd)
    guest.set_sysctl("unbreakable", 1)
    t.errno(errno.EACCES, p.go.fd_lease(fd, flags=UNBREAKABLE), "unbreakable")


@test
def leases_can_be_off(t):
    p = t.proc()
    fd = p.open(t.file())
    guest.write(guest.LEASES_ENABLE, 0)
    t.errno(errno.EINVAL, p.go.fd_lease(fd), "leases-enable=0")
    guest.write(guest.LEASES_ENABLE, 1)
    p.fd_lease(fd)


@test
def counts_as_a_lease(t):
    """Of the user's limit; each adoption is one more; all comes back."""
    path = t.file()
    os.chown(path, guest.NOBODY, guest.NOBODY)
    guest.set_sysctl("max_leases", 3)
    p = t.proc()
    fd = p.open(path)
    child = t.fork(p)
    for q in (p, child):
        q.dev()
        q.drop_to(guest.NOBODY)
        q.share_files()
    first, second = p.fd_lease(fd), p.fd_lease(fd)
    theirs = {lease: child.take_fd(p.pid, lease) for lease in (first, second)}
    child.fd_adopt(theirs[first])
    child.fd_adopt(theirs[first])
    t.errno(errno.ENOLCK, p.go.fd_lease(fd), "the fourth")
    t.errno(errno.ENOLCK, p.go.lease(fd), "F_SETLEASE")
    t.errno(errno.ENOLCK, child.go.fd_adopt(theirs[second]), "adopted")
    t.eq(p.fd_info(first)["holders"], 2, "holders")
    child.close(theirs[second])
    p.close(second)
    third = p.fd_lease(fd)
    child.kill()
    t.eq(p.fd_info(first)["holders"], 1, "holders when one has died")
    p.close(third)
    p.close(first)
    for _ in range(3):
        p.fd_lease(fd)


@test
def adopters_that_have_died(t):
    """Count no more when others adopt the lease."""
    path = t.file()
    os.chown(path, guest.NOBODY, guest.NOBODY)
    guest.set_sysctl("max_leases", 2)
    p = t.proc()
    fd = p.open(path)
    children = [t.fork(p) for _ in range(3)]
    for q in (p, *children):
        q.dev()
        q.drop_to(guest.NOBODY)
        q.share_files()
    lease = p.fd_lease(fd)
    for child in children:
        child.fd_adopt(child.take_fd(p.pid, lease))
        t.eq(p.fd_info(lease)["holders"], 2, "holders")
        t.errno(errno.ENOLCK, p.go.fd_lease(fd), "one more lease")
        child.kill()


@test
def files_may_run_out(t):
    path = t.file()
    p = t.proc()
    fd = p.open(path)
    p.dev()
    old = resource.prlimit(p.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(p.pid, resource.RLIMIT_NOFILE, (fd + 1, old[1]))
    t.errno(errno.EMFILE, p.go.fd_lease(fd), "no descriptor")
    t.eq(guest.locks(path), [], "leases")
    resource.prlimit(p.pid, resource.RLIMIT_NOFILE, old)
    p.fd_lease(fd)


@test
def info_of_both_doors(t):
    path = t.file()
    p = t.proc()
    fd = p.open(path)
    p.lease(fd, F_LONGTERM)
    lease = p.fd_lease(fd, PAGE, PAGE, UNBREAKABLE)
    info = p.fd_info(file=fd)
    t.eq((info["state"], info["kind"], info["holders"], info["start"],
          info["end"], info["pinned"], info["break_end"], info["deadline"]),
         (HELD, 0, 1, 0, EOF, 0, 0, 0), "fcntl")
    p.pin(p.mmap(fd, PAGE, PAGE), PAGE)
    info = p.fd_info(lease)
    t.eq((info["state"], info["kind"], info["holders"], info["start"],
          info["end"], info["pinned"]),
         (HELD, UNBREAKABLE, 1, PAGE, 2 * PAGE, PAGE), "lease fd")
    t.eq(p.fd_info(file=fd)["pinned"], 0, "charged to fcntl's")
    p.unpin_all()
    t.eq(p.fd_info(lease)["pinned"], 0, "pinned at the end")
    p.lease(fd, F_UNLCK)
    t.errno(errno.ENOENT, p.go.fd_info(file=fd), "INFO after F_UNLCK")


@test
def closing_leaves_orphans(t):
    """What F_UNLCK refuses close can't: the pins stay, and are waited for."""
    path = t.file()
    h = page_holder(t, path, 3)
    t.eq([row["kind"] for row in held(path)], ["breakable"], "kind")
    h.close(h.lease_fd)
    t.eq([row["kind"] for row in held(path)], ["orphan"], "kind after close")
    b = t.proc()
    cut = b.go.fallocate(b.open(path), PUNCH_HOLE, 0, SIZE)
    t.blocked(cut, "punch")
    h.unpin_all()
    t.errno(0, cut, "punch")


@test
def unbreakable_is_so(t):
    path = t.file()
    p, b = t.proc(), t.proc()
    fd = p.open(path)
    lease = p.fd_lease(fd, 0, 2 * PAGE, UNBREAKABLE)
    t.true("UNBREAKABLE" in guest.locks(path)[0], "/proc/locks")
    p.pin(p.mmap(fd, PAGE), PAGE)
    other = b.open(path)
    t.errno(errno.ETXTBSY, b.go.fallocate(other, PUNCH_HOLE, 0, PAGE), "punch")
    t.eq(p.fd_events(lease), [], "events")
    b.fallocate(other, PUNCH_HOLE, SIZE // 2, PAGE)


def forgotten(path):
    """What was unpinned may be on record for a moment."""
    guest.wait_for(lambda: not held(path), "nothing on record")


def charged(t, path, p):
    """Which lease a page of p is charged to: (through, start), or a kind."""
    pin = held(path)
    t.eq(len(pin), 1, "pins")
    lease = [row for row in held(path, "lease")
             if row["lease"] == pin[0]["lease"]]
    p.unpin_all()
    forgotten(path)
    return (lease[0]["through"], int(lease[0]["start"])) if lease else \
        pin[0]["kind"]


@test
def which_lease_a_pin_is_charged_to(t):
    path = t.file()
    p = t.proc()
    one, two = p.open(path), p.open(path)
    addr = {fd: p.mmap(fd, SIZE) for fd in (one, two)}

    def pin(fd, page, pages=1):
        p.pin(addr[fd] + page * PAGE, pages * PAGE)
        return charged(t, path, p)

    leases = [p.fd_lease(two, PAGE, 8 * PAGE)]
    t.eq(pin(one, 1), ("fd", PAGE), "the process's")
    t.eq(pin(one, 0), "automatic", "not covered")
    t.eq(pin(one, 8, 2), "automatic", "covered in part")
    leases.append(p.fd_lease(two, 2 * PAGE, 2 * PAGE))
    t.eq(pin(one, 3), ("fd", 2 * PAGE), "the smallest")
    t.eq(pin(one, 5), ("fd", PAGE), "the one that covers it")
    p.lease(one)
    t.eq(pin(one, 3), ("fcntl", 0), "its own open file's")
    t.eq(pin(two, 3), ("fd", 2 * PAGE), "taken through its own open file")
    t.eq(pin(two, 20), ("fcntl", 0), "any that covers it")
    p.lease(one, F_UNLCK)
    p.close(leases[1])
    t.eq(pin(one, 3), ("fd", PAGE), "the one that is left")
    p.munmap(addr.pop(two), SIZE)
    p.close(two)
    t.eq(pin(one, 3), ("fd", PAGE), "the open file has gone")


@test
def who_has_adopted_may_pin_under_it(t):
    path = t.file()
    p = t.proc()
    fd = p.open(path)
    lease = p.fd_lease(fd)
    child, other = t.fork(p), t.proc()
    addr = child.mmap(child.open(path), PAGE)
    child.pin(addr, PAGE)
    t.eq(held(path)[0]["kind"], "automatic", "before")
    child.unpin_all()
    forgotten(path)
    child.fd_adopt(lease)
    child.pin(addr, PAGE)
    t.eq(charged(t, path, child), ("fd", 0), "after fork()")
    copy = other.take_fd(p.pid, lease)
    other.fd_adopt(copy)
    other.pin(other.mmap(other.open(path), PAGE), PAGE)
    t.eq(held(path)[0]["pid"], str(other.pid), "who has pinned")
    t.eq(charged(t, path, other), ("fd", 0), "after SCM_RIGHTS")
    t.eq(other.fd_info(copy)["holders"], 3, "holders")
    p.kill()
    t.eq(other.fd_info(copy)["holders"], 2, "holders")
    t.true(guest.locks(path), "the lease lives")
