# SPDX-License-Identifier: GPL-2.0
"""scripts/lib.sh: what runs beside a script ends with it."""
import os
import signal
import subprocess
import unittest

LIB = os.path.join(os.path.dirname(__file__), "../../scripts/lib.sh")

# Its last two processes have nobody but the group to end them.
SCRIPT = f"""
set -euo pipefail
. {LIB}
trap lt_end_all EXIT
trap 'exit 130' INT TERM HUP
beside() {{ sleep 1000 | sleep 1000; }}
lt_start beside
echo there
lt_wait
"""


def run(script):
    return subprocess.run(["bash", "-c", f"set -eu; . {LIB}; {script}"],
                          stdout=subprocess.PIPE, text=True, check=False)


class Running(unittest.TestCase):
    def test_a_signal_to_the_script_alone_ends_all(self):
        for number in signal.SIGTERM, signal.SIGINT, signal.SIGHUP:
            with self.subTest(signal=number), \
                 subprocess.Popen(["bash", "-c", SCRIPT], text=True,
                                  stdout=subprocess.PIPE) as script:
                self.assertEqual(script.stdout.readline(), "there\n")
                script.send_signal(number)
                # Whoever is left has the pipe's other end.
                self.assertEqual(script.communicate(timeout=60), ("", None))
                self.assertEqual(script.returncode, 130)

    def test_all_are_waited_for(self):
        done = run("lt_start sh -c 'sleep 0.2; echo one; exit 3'; "
                   "lt_start echo two; lt_wait || echo $?; lt_wait")
        self.assertEqual(sorted(done.stdout.split()), ["3", "one", "two"])
        self.assertEqual(done.returncode, 0)


if __name__ == "__main__":
    unittest.main()
