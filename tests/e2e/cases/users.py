# SPDX-License-Identifier: GPL-2.0
"""Users in user namespaces, and on mounts that map them."""
import ctypes
import errno
import os
import signal
import struct

from lib import calls, guest
from lib.birth import CLONE_NEWUSER
from lib.calls import F_LONGTERM, F_UNBREAKABLE, F_UNLCK
from lib.case import test

SIZE = 4 * guest.MIB
ALICE, BOB, CAROL = 1001, 1002, 1003

SYS_OPEN_TREE, SYS_MOVE_MOUNT, SYS_MOUNT_SETATTR = 428, 429, 442
AT_EMPTY_PATH, MOVE_MOUNT_F_EMPTY_PATH = 0x1000, 4
OPEN_TREE_CLONE, MOUNT_ATTR_IDMAP = 1, 0x100000


def syscall(number, *args):
    return calls.check(calls.LIBC.syscall(number, *(
        ctypes.c_char_p(a) if isinstance(a, bytes) else ctypes.c_long(a)
        for a in args)))


def file_of(t, uid, mode=0o600):
    path = t.file(SIZE)
    os.chown(path, uid, uid)
    os.chmod(path, mode)
    return path


def map_ids(pid, inside, outside):
    for name in ("uid_map", "gid_map"):
        guest.write(f"/proc/{pid}/{name}", f"{inside} {outside} 1")


@test
def limits_in_a_user_namespace(t):
    """Root of a namespace counts as who it is outside, and is not exempt."""
    guest.set_sysctl("max_leases", 2)
    guest.set_sysctl("max_records", 1)
    path = file_of(t, ALICE)
    procs = [t.proc() for _ in range(3)]
    for p in procs:
        p.fd = p.open(path)
        p.drop_to(ALICE)
    for p in procs[:2]:
        p.unshare(CLONE_NEWUSER)
        map_ids(p.pid, 0, ALICE)
        p.lease(p.fd)
    t.errno(errno.ENOLCK, procs[2].go.lease(procs[2].fd), "the third")
    procs[0].pin(procs[0].mmap(procs[0].fd, SIZE), SIZE, "uring")
    for p in procs[1:]:
        addr = p.mmap(p.fd, SIZE)
        t.errno(errno.ENOLCK, p.go.pin(addr, 4096, "uring"), "record")
    procs[1].lease(procs[1].fd, F_UNLCK)
    procs[2].lease(procs[2].fd)


@test
def sysctls_in_a_user_namespace(t):
    p = t.proc()
    p.drop_to(ALICE)
    p.unshare(CLONE_NEWUSER)
    map_ids(p.pid, 0, ALICE)
    for name in os.listdir(guest.SYSCTLS):
        t.errno(errno.EACCES, p.go.open(f"{guest.SYSCTLS}/{name}",
                                        os.O_WRONLY), name)


def mount_as(t, where, inside, outside):
    """The DAX filesystem once more, inside's files shown as outside's."""
    ns = t.proc()
    ns.unshare(CLONE_NEWUSER)
    map_ids(ns.pid, inside, outside)
    userns = os.open(f"/proc/{ns.pid}/ns/user", os.O_RDONLY)
    tree = syscall(SYS_OPEN_TREE, -100, guest.DAX.encode(), OPEN_TREE_CLONE)
    try:
        attr = struct.pack("QQQQ", MOUNT_ATTR_IDMAP, 0, 0, userns)
        syscall(SYS_MOUNT_SETATTR, tree, b"", AT_EMPTY_PATH, attr, len(attr))
        syscall(SYS_MOVE_MOUNT, tree, b"", -100, where.encode(),
                MOVE_MOUNT_F_EMPTY_PATH)
    finally:
        os.close(tree)
        os.close(userns)
    ns.kill()


def owner_by_a_mount(t, where):
    """ALICE's file, which the mount shows as BOB's; CAROL holds it."""
    path = file_of(t, ALICE, 0o666)
    there = f"{where}/{os.path.basename(path)}"
    t.eq(os.stat(there).st_uid, BOB, "owner on that mount")
    for uid, want in ((BOB, 0), (ALICE, errno.EACCES)):
        p = t.proc()
        fd = p.open(there)
        p.drop_to(uid)
        for kind in (F_LONGTERM, F_LONGTERM | F_UNBREAKABLE):
            t.errno(want, p.go.lease(fd, kind), f"lease of {uid}")
        p.kill()
    h = t.proc()
    fd = h.open(there)
    h.preopen_gup()
    h.drop_to(CAROL)
    h.pin(h.mmap(fd, SIZE), SIZE, "gup")
    guest.set_step(1)
    bob, alice = t.proc(), t.proc()
    bob.drop_to(BOB)
    alice.drop_to(ALICE)
    # Owner by the mount: he may not have another's process stopped.
    t.errno(errno.ETXTBSY, bob.go.truncate(there, 0), "truncate by BOB")
    t.true(h.alive(), "the holder died")
    t.errno(0, alice.go.truncate(there, 0), "truncate by ALICE")
    t.eq(os.WTERMSIG(h.wait()), signal.SIGBUS, "holder killed by")


@test
def owner_on_an_idmapped_mount(t):
    where = "/run/longterm-e2e-id"
    os.makedirs(where, exist_ok=True)
    mount_as(t, where, ALICE, BOB)
    try:
        owner_by_a_mount(t, where)
    finally:
        t.end_all()
        guest.wait_for(lambda: not guest.module_users(), "records end")
        guest.must("umount", where)
