# SPDX-License-Identifier: GPL-2.0
"""scripts/check-man: an error that one of three texts does not name must not pass.
Run by make check."""

import os
import shutil
import subprocess
import tempfile
import unittest

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
PAGE = "Documentation/man/F_LONGTERM.2const"
DEVICE = "Documentation/man/longterm.4"
TEXT = "Documentation/uapi.rst"
HEADER = "include/uapi/linux/longterm.h"


class CheckMan(unittest.TestCase):
    def after(self, path, old, new):
        """What the script says when `old` has become `new` there."""
        with tempfile.TemporaryDirectory() as top:
            for name in ("scripts/check-man", PAGE, DEVICE, TEXT, HEADER):
                os.makedirs(os.path.dirname(os.path.join(top, name)), exist_ok=True)
                shutil.copy(os.path.join(TOP, name), os.path.join(top, name))
            with open(os.path.join(top, path), encoding="utf-8") as text:
                before = text.read()
            changed = before.replace(old, new)
            self.assertNotEqual(changed, before)
            with open(os.path.join(top, path), "w", encoding="utf-8") as out:
                out.write(changed)
            return subprocess.run([os.path.join(top, "scripts/check-man")],
                                  capture_output=True, text=True, check=False)

    def missed(self, path, old, new, *said):
        done = self.after(path, old, new)
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        for text in said:
            self.assertIn(text, done.stdout)

    def test_page(self):
        self.missed(PAGE, ".B EINTR\n", ".B EINTX\n", f"{PAGE}: errors of the lease: not EINTR",
                    f"{PAGE}: errors of the break: not EINTR")

    def test_text(self):
        self.missed(TEXT, "\nEFAULT ", "\n       ", f"{TEXT}: errors of the pin: not EFAULT")

    def test_header(self):
        self.missed(HEADER, " * EDEADLK\n", "", f"{HEADER}: errors of the break: not EDEADLK")

    def test_one_too_many(self):
        self.missed(HEADER, " * EDEADLK\n", " * EDEADLK\n * EPERM\n", f"{PAGE}: ", f"{TEXT}: ")

    def test_device(self):
        self.missed(DEVICE, ".B ESTALE\n", "", f"{DEVICE}: errors of LONGTERM_IOC_ADOPT: not ESTALE")
        self.missed(HEADER, " * EPERM\n", "", f"{HEADER}: errors of LONGTERM_IOC_BREAK: not EPERM")
        self.missed(TEXT, "\nEFAULT       the buffer", "\n", f"{TEXT}: errors of read(2): not EFAULT")

    def test_section_that_went(self):
        done = self.after(TEXT, "The pin\n", "Pins\n")
        self.assertNotEqual(done.returncode, 0)


if __name__ == "__main__":
    unittest.main()
