# SPDX-License-Identifier: GPL-2.0
"""What /proc/fs/longterm says."""
import os
import re

from . import guest

HOLDERS = "fs/longterm/holders"
STAT = "fs/longterm/stat"
COLUMNS = ("what dev ino start end bytes pid through kind state left lease "
           "mount comm path").split()


def parse(text):
    """Lines as dictionaries of text."""
    head, *lines = text.splitlines()
    if head != "# " + " ".join(COLUMNS):
        raise AssertionError(f"columns {head!r}")
    found = []
    for line in lines:
        words = line.split(" ")
        if len(words) != len(COLUMNS):
            raise AssertionError(f"{len(words)} columns: {line!r}")
        found.append(dict(zip(COLUMNS, words)))
    return found


def of(path, lines):
    """Those of one file."""
    st = os.stat(path)
    dev = f"{os.major(st.st_dev)}:{os.minor(st.st_dev)}"
    return [s for s in lines if (s["dev"], s["ino"]) == (dev, str(st.st_ino))]


def lines(path=None, what=None, reader=None, proc="/proc"):
    """All, or those of one file, or of one kind; as a process sees them."""
    read = reader.read if reader else guest.read
    found = parse(read(f"{proc}/{HOLDERS}"))
    return [s for s in (found if path is None else of(path, found))
            if what in (None, s["what"])]


def mount_of(path):
    """The mount through which a path is opened, as the kernel says elsewhere."""
    fd = os.open(path, os.O_RDONLY)
    try:
        fields = dict(line.split(":\t", 1) for line in
                      guest.read(f"/proc/self/fdinfo/{fd}").splitlines())
    finally:
        os.close(fd)
    return fields["mnt_id"]


def name(text):
    """A path or command as it was."""
    return re.sub(r"\\(\d{3})", lambda m: chr(int(m.group(1), 8)), text)


def stat():
    return {key: int(value) for key, value in
            map(str.split, guest.read("/proc/" + STAT).splitlines())}


def settled():
    """The counters, once nothing is on record any more that was unpinned."""
    lines()
    return stat()
