# SPDX-License-Identifier: GPL-2.0
"""The longterm command, run by a test."""
import contextlib
import json
import os
import re
import select
import signal
import subprocess

from . import guest

COMMAND = guest.BIN + "/longterm"
INSTANCES = guest.TRACING + "/instances"


def run(*args, **how):
    """Status, output, and what was said on standard error."""
    done = subprocess.run([COMMAND, *map(str, args)], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, check=False,
                          timeout=60 * guest.SLOW, **how)
    return done.returncode, done.stdout, done.stderr


def output(*args, **how):
    status, out, err = run(*args, **how)
    if status or err:
        raise AssertionError(f"longterm {args}: status {status}: {err}")
    return out


def ls(*args):
    return json.loads(output("ls", "--json", *args))


def counters():
    """What the module has counted, as status says it."""
    return json.loads(output("status", "--json"))["counters"]


def findings(out):
    """doctor's lines by their first word."""
    found = {"ok": [], "note": [], "WRONG": []}
    for line in out.splitlines():
        word, text = line.split(maxsplit=1)
        found[word].append(text)
    return found


def samples(text):
    """
    A scrape, read as strictly as a scraper would: {series: value}.  Each metric
    is once there, with its HELP and TYPE before its samples.
    """
    series, kinds, helped, current = {}, {}, None, None
    for line in text.splitlines():
        if line.startswith("# HELP "):
            helped = line.split(" ", 3)[2]
        elif line.startswith("# TYPE "):
            _, _, current, kind = line.split(" ")
            assert helped == current and current not in kinds, line
            kinds[current] = kind
        else:
            m = re.fullmatch(r'([a-z_]+)(\{[a-z]+="[^"]*"\})? (\S+)', line)
            assert m, line
            name = m.group(1)
            if kinds[current] == "histogram":
                name = re.sub(r"_(bucket|sum|count)$", "", name)
            assert name == current, line
            key = m.group(1) + (m.group(2) or "")
            assert key not in series, line
            series[key] = float(m.group(3))
    return series


def instances():
    """The command's own, there now."""
    return [n for n in os.listdir(INSTANCES) if n.startswith("longterm-")]


class Listener:
    """longterm events, under way."""

    def __init__(self, *args):
        self.process = subprocess.Popen(
            [COMMAND, "events", *map(str, args)], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.instance = f"{INSTANCES}/longterm-{self.process.pid}"
        guest.wait_for(self.ready, "longterm listens", 20)
        self.text = b""

    def ready(self):
        """Are its events on?  Only then does it see what comes."""
        with contextlib.suppress(OSError):
            return guest.read(self.instance + "/events/longterm/enable") == "1\n"
        return False

    def until(self, word, timeout=20):
        """Read until a line has the word; all lines."""
        fd = self.process.stdout.fileno()

        def there():
            if select.select([fd], [], [], 0.05)[0]:
                self.text += os.read(fd, 65536)
            return any(word in s for s in self.text.decode().split("\n")[:-1])
        guest.wait_for(there, f"a line with {word}", timeout)
        return self.text.decode().split("\n")[:-1]

    def end(self, sig=signal.SIGINT):
        """Its status, once the signal has ended it."""
        self.process.send_signal(sig)
        return self.process.wait(20 * guest.SLOW)
