# SPDX-License-Identifier: GPL-2.0
"""
Where the module and the series allocate: what the sources say, and the list of it
in data/allocations.
"""
import collections
import glob
import os
import re

# What is built for KUnit only.
TESTS = re.compile(r"(_kunit|/machine_walk)\.rs$")

# Functions of the kernel that we call and that allocate for us.
THROUGH = {
    "rs": ["anon_inode_getfile", "fasync_helper", "get_unused_fd_flags",
           "kill_fasync", "kill_pid", "longterm_sigbus", "misc_register"],
    "c": ["alloc_workqueue", "fasync_helper", "file_f_owner_allocate",
          "kill_fasync", "proc_create_seq_private", "proc_create_single",
          "proc_mkdir", "register_sysctl_sz"],
}
# What allocates in C, in the series.
ALLOCATORS = re.compile(
    r"\b(k[vmz]*alloc\w*|kcalloc\w*|kmem_cache_\w*alloc\w*|alloc_pages?\w*|"
    r"vmalloc\w*|vzalloc\w*|kstrdup\w*|kmemdup\w*|alloc_percpu\w*|"
    r"__get_free_pages?|mempool_alloc\w*|alloc_workqueue)\(")
NAME = re.compile(r"(?:\w+(?:::|\.))?\w+$")

# One of them.  lines: first and last of the call.
Site = collections.namedtuple("Site", "file function call lines")


def blank(text):
    """The same without comments, of the same length."""
    return re.sub(r"//[^\n]*|/\*.*?\*/",
                  lambda m: re.sub(r"[^\n]", " ", m.group()), text, flags=re.S)


def opening(text, at):
    """Where the parenthesis is that is open at a place."""
    depth = 0
    while at > 0:
        at -= 1
        if text[at] == ")":
            depth += 1
        elif text[at] == "(":
            if not depth:
                return at
            depth -= 1
    raise ValueError("no call around it")


def closing(text, at):
    """Where that one ends which begins there."""
    depth = 0
    for i in range(at, len(text)):
        depth += {"(": 1, ")": -1}.get(text[i], 0)
        if not depth:
            return i
    raise ValueError("a call without an end")


def function_at(text, at, kind):
    """The function that a place is in, '' if in none."""
    found = ""
    pattern = r"\bfn (\w+)" if kind == "rs" else \
        r"^[a-z][\w \t\n*]*?\b(\w+)\([^;{]*\)\n\{"
    for m in re.finditer(pattern, text, re.M):
        if m.start() > at:
            break
        found = m.group(1)
    return found


def of_source(file, text):
    """Those of one file of the module."""
    kind = file.rsplit(".", 1)[1]
    text = blank(text)
    calls = [(opening(text, m.start()), m.start())
             for m in re.finditer(r"\bGFP_\w+", text)
             if "use " not in text[text.rfind("\n", 0, m.start()):m.start()]]
    for name in THROUGH[kind]:
        calls += [(m.end() - 1, m.start())
                  for m in re.finditer(rf"\b{name}\(", text)]
    found = []
    for begin, inside in sorted(calls):
        function = function_at(text, inside, kind)
        if not function:
            continue    # a declaration
        call = NAME.search(text[:begin].rstrip()).group()
        first = text.count("\n", 0, begin)
        lines = text.splitlines()
        # A chain of calls begins where its first one does.
        while lines[first].lstrip().startswith("."):
            first -= 1
        last = text.count("\n", 0, closing(text, begin))
        found.append(Site(file, function, call, (first + 1, last + 1)))
    return found


def of_module(top):
    """All of the module's."""
    found = []
    for path in sorted(glob.glob(top + "/src/*") + glob.glob(top + "/rust/*")):
        if path.endswith((".rs", ".c")) and not TESTS.search(path):
            with open(path, encoding="utf-8") as f:
                found += of_source(os.path.relpath(path, top), f.read())
    return found


def of_series(top):
    """All that the patches add.  The function: of what they add, or the hunk's."""
    found = []
    for path in sorted(glob.glob(top + "/patches/*.patch")):
        file = function = ""
        with open(path, encoding="utf-8") as f:
            lines = f.read().splitlines()
        for line in lines:
            if line.startswith("+++ b/"):
                file = line[6:]
            hunk = re.match(r"@@ .*@@ .*?(\w+)\(", line)
            begun = re.match(r"[+ ](?:\w[\w *]*?)\b(\w+)\((?!.*;$)", line)
            if hunk or begun:
                function = (hunk or begun).group(1)
            if line.startswith("+") and not line.startswith("+++"):
                for m in ALLOCATORS.finditer(blank(line)):
                    if not (begun and begun.group(1) == m.group(1)):
                        found.append(Site(file, function, m.group(1), None))
    return found


def listed(path):
    """[(file, function, call)] and, of those that nothing can fail, why."""
    names, excused = [], {}
    with open(path, encoding="utf-8") as f:
        for line in f:
            words, _, why = line.strip().partition(" # ")
            if not words or words.startswith("#"):
                continue
            names.append(tuple(words.split()))
            if why:
                excused[names[-1]] = why.strip()
    return names, excused
