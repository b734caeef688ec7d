# SPDX-License-Identifier: GPL-2.0
"""What programs build with: make install-headers, and the crate's own copy of the
header's numbers.  Run by make check."""

import os
import re
import subprocess
import tempfile
import unittest

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
HEADER = "include/uapi/linux/longterm.h"
CRATE = "tools/lib/src/abi.rs"


def read(*path):
    with open(os.path.join(TOP, *path), encoding="utf-8") as text:
        return text.read()


class Install(unittest.TestCase):
    def test_headers_and_pkg_config(self):
        with tempfile.TemporaryDirectory() as top:
            subprocess.run(["make", "-s", "-C", TOP, "install-headers", f"DESTDIR={top}",
                            "PREFIX=/opt/x"], check=True)
            self.assertEqual(read(top, "opt/x/include/linux/longterm.h"), read(HEADER))
            said = read(top, "opt/x/share/pkgconfig/longterm.pc")
            self.assertIn("\nprefix=/opt/x\n", said)
            self.assertNotIn("@", said)


def structures(text):
    """{name: [(field, bits)]} of a header or of Rust."""
    found = {}
    for name, body in re.findall(r"struct (\w+) \{\n(.*?)\n\}", text, re.S):
        c = re.findall(r"^\s*__(?:aligned_)?[us](\d+) (\w+);", body, re.M)
        rust = re.findall(r"^\s*pub (\w+): [iu](\d+),", body, re.M)
        found[name] = [(field, bits) for bits, field in c] or rust
    return found


class Crate(unittest.TestCase):
    def test_structures(self):
        header, crate = structures(read(HEADER)), structures(read(CRATE))
        for c, rust in (("longterm_ioc_lease", "Range"), ("longterm_ioc_break", "Range"),
                        ("longterm_ioc_info", "Info"), ("longterm_ioc_adopt", "Adopt")):
            self.assertTrue(header[c])
            self.assertEqual(header[c], crate[rust], c)
        size = sum(int(bits) for _, bits in header["longterm_event"]) // 8
        self.assertIn(f"EVENT_SIZE: usize = {size};", read(CRATE))

    def test_numbers(self):
        header, crate = read(HEADER), read(CRATE)
        numbers = re.findall(r"#define\tLONGTERM_(\w+)\s+(\S.*?)(?:\t/\*.*)?$",
                             header.replace("#define ", "#define\t"), re.M)
        seen = dict(re.findall(r"const (\w+): \S+ = (.*);", crate))
        values = {name: eval(re.sub(r"([0-9a-f])U(LL)?\b", r"\1", value), {}) for name, value
                  in numbers if re.match(r"[(0-9]", value)}
        self.assertGreater(len(values), 8)
        for name, value in values.items():
            if name == "IOC_TYPE":
                name, got = "TYPE", seen["TYPE"]
            elif name == "EOF":
                got = seen["EOF"].replace("i64::MAX as u64", str((1 << 63) - 1))
            else:
                got = seen[name]
            self.assertEqual(eval(got, {}), value, name)
        for name, number in re.findall(r"LONGTERM_(IOC_\w+)\s+_IO\(LONGTERM_IOC_TYPE, (\w+)\)",
                                       header):
            got = eval(seen[name], {"TYPE": 0xb9})
            self.assertEqual(got, 0xb9 << 8 | int(number, 0), name)


if __name__ == "__main__":
    unittest.main()
