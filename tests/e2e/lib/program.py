# SPDX-License-Identifier: GPL-2.0
"""Programs that a test starts, and what they say."""
import signal
import subprocess

from . import guest


def start(*argv, **how):
    return subprocess.Popen(argv, text=True, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT,
                            **{"stdin": subprocess.DEVNULL, **how})


def finish(process, timeout=60):
    """Its status and what it said."""
    try:
        out = process.communicate(timeout=timeout * guest.SLOW)[0]
    except subprocess.TimeoutExpired:
        process.kill()
        out = process.communicate()[0]
        raise AssertionError(f"{process.args}: not done after "
                             f"{timeout * guest.SLOW:.0f} s:\n{out}") from None
    return process.returncode, out


class Program:
    """One that is followed by its lines."""

    def __init__(self, *argv, **how):
        self.process = start(*map(str, argv), **how)
        self.name = argv[0].rsplit("/", 1)[-1]
        self.lines = []

    def until(self, word):
        """Read on to a line with this word, and return it."""
        for line in self.process.stdout:
            self.lines.append(line.rstrip())
            if word in line:
                return line
        raise AssertionError(f"{self.name}: no {word!r} in {self.lines}")

    def end(self, timeout=60):
        status, out = finish(self.process, timeout)
        self.lines += out.splitlines()
        return status

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.end()
