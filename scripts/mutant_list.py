# SPDX-License-Identifier: GPL-2.0
"""The mutants of tests/mutants: what each switches off, and what must notice.

A patch to the series and one to the module ask longterm_mutant("NAME") or
mutant!(c"NAME") at each place; the lists beside them say of each NAME:

    Off: what it switches off
    Fs: ext4, or xfs: where its tests run
    Fails: tests, of which one must fail: FILE.NAME as tests/e2e/run has them, or
      kunit.SUITE for a suite of the module's own

with an empty line between two of them."""

import os
import re

TOP = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
KINDS = ("module", "kernel")


def path(kind, what):
    return os.path.join(TOP, "tests", "mutants", f"{kind}.{what}")


class Mutant:
    """One of them. kind: module or kernel."""

    def __init__(self, kind, text):
        fields = dict(re.findall(r"^(\w+):\s+(.*)$", re.sub(r"\n\s+", " ", text), re.M))
        if list(fields) != ["Name", "Off", "Fs", "Fails"]:
            raise ValueError(f"Name, Off, Fs and Fails are wanted:\n{text}")
        if fields["Fs"] not in ("ext4", "xfs"):
            raise ValueError(f"{fields['Name']}: Fs is ext4 or xfs, not {fields['Fs']}")
        self.kind, self.name = kind, fields["Name"]
        self.off, self.fs, self.tests = fields["Off"], fields["Fs"], fields["Fails"].split()

    @property
    def full_name(self):
        return f"{self.kind}.{self.name}"

    @property
    def switch(self):
        """What /proc/sys/kernel/longterm_mutant calls it."""
        return self.full_name if self.kind == "module" else self.name


def read(name):
    with open(name, encoding="utf-8") as text:
        return text.read()


def mutants(kind):
    # Comments, which begin with #, are for people.
    text = re.sub(r"^#.*\n", "", read(path(kind, "list")), flags=re.M)
    return [Mutant(kind, part) for part in re.split(r"\n\s*\n", text.strip())]


def asked_for(patch):
    """The names that a patch asks for."""
    return [name for line in patch.splitlines() if line.startswith("+")
            for name in re.findall(r'mutant!?\(c?"([\w-]+)"\)', line)]
