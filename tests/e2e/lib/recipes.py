# SPDX-License-Identifier: GPL-2.0
"""
What the documentation tells people to type, run as it stands there.

A recipe is a literal block behind the comment '.. recipe NAME'.
"""
import re
import subprocess
import tempfile

from . import guest

DOC = "/opt/longterm/doc/tracing.rst"
# As trace-cmd report, perf script and tracefs itself print an event.
LINE = re.compile(r"(?:^|[ :])(\w+): +(dev=\d+:\d+ ino=\d+ .*?)\s*$", re.M)


def recipes(text):
    """{name: commands}"""
    found = {}
    for name, block in re.findall(
            r"^\.\. recipe ([\w-]+)\n\n(?:.*\n)*?.*::\n\n((?:    .*\n|\n)+)",
            text, re.M):
        if name in found:
            raise AssertionError(f"two recipes {name}")
        found[name] = re.sub("^    ", "", block, flags=re.M)
    return found


def run(name, timeout=60):
    """All output of the recipe, which has to succeed."""
    commands = recipes(guest.read(DOC))[name]
    with tempfile.TemporaryDirectory() as where:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", commands], cwd=where,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, check=False,
            timeout=timeout * guest.SLOW)
    if done.returncode:
        raise AssertionError(f"recipe {name}: status {done.returncode}: "
                             f"{done.stdout}")
    return done.stdout


def events(text):
    """What a tool has printed of events, as (name, fields) in their order."""
    return LINE.findall(text)


def traced():
    """The same of the test's own trace."""
    return events("\n".join(guest.trace_lines()))
