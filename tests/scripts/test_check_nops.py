# SPDX-License-Identifier: GPL-2.0
"""scripts/check-nops, on small ELF files made here: what must not pass does not.
Run by make check."""

import importlib.machinery
import importlib.util
import os
import struct
import unittest

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
LOADER = importlib.machinery.SourceFileLoader(
    "check_nops", os.path.join(TOP, "scripts", "check-nops"))
nops = importlib.util.module_from_spec(importlib.util.spec_from_loader("check_nops", LOADER))
LOADER.exec_module(nops)

FUNC, OBJECT, FILE = 2, 1, 4
TEXT, DATA = 0x1000, 0x8000
LONG_NOP = bytes.fromhex("0f1f440000")


def elf_file(sections, symbols, kind=2):
    """
    sections: [(name, type, flags, addr, data)], numbered from 1; symbols: [(name,
    addr, size, type, global, section number)].
    """
    strings = b"\0"
    table = bytes(24)
    for name, addr, size, what, is_global, section in symbols:
        table += struct.pack("<IBBHQQ", len(strings), is_global << 4 | what, 0, section, addr, size)
        strings += name.encode() + b"\0"
    count = len(sections)
    sections = [("", 0, 0, 0, b""), *sections, (".symtab", 2, 0, 0, table),
                (".strtab", 3, 0, 0, strings)]
    names = b"\0"
    heads, body = [], b""
    for name, kind_of, flags, addr, data in sections + [(".shstrtab", 3, 0, 0, None)]:
        at = len(names)
        names += name.encode() + b"\0"
        data = names if data is None else data
        link = count + 2 if name == ".symtab" else 0
        heads.append(struct.pack("<IIQQQQIIQQ", at if name else 0, kind_of, flags, addr,
                                 64 + len(body), len(data), link, 0, 8, 0))
        body += data
    head = b"\x7fELF\2\1\1" + bytes(9) + struct.pack(
        "<HHIQQQIHHHHHH", kind, 62, 1, 0, 0, 64 + len(body), 0, 64, 0, 0, 64,
        len(heads), len(heads) - 1)
    return nops.Elf(head + body + b"".join(heads))


def kernel(text, at=0x10, listing="", functions=(("hook", 0, 0x40),), aside=""):
    """A kernel with one branch on each key, at TEXT + at."""
    entries = b""
    table = DATA + 0x100
    for i, key in enumerate((DATA, DATA + 0x18)):
        here = table + 16 * i
        # The key is the second word of its variable; the flags are as objtool leaves them.
        entries += struct.pack("<iiq", TEXT + at - here, TEXT + 0x30 - here - 4,
                               key + 8 + 2 - here - 8)
    elf = elf_file(
        [(".text", 1, 6, TEXT, text.ljust(0x80, b"\xcc")),
         (".data", 1, 3, DATA, bytes(0x100) + entries)],
        [("x.c", 0, 0, FILE, 0, 0xfff1), *[(n, TEXT + a, s, FUNC, 0, 1) for n, a, s in functions],
         ("longterm.c", 0, 0, FILE, 0, 0xfff1), ("helper", TEXT + 0x60, 16, FUNC, 0, 1),
         ("__longterm_x", TEXT + 0x70, 16, FUNC, 1, 1),
         ("longterm_key", DATA, 16, OBJECT, 1, 2), ("dax_pin_key", DATA + 0x18, 16, OBJECT, 1, 2),
         ("__start___jump_table", table, 0, 0, 1, 2),
         ("__stop___jump_table", table + len(entries), 0, 0, 1, 2)])
    return nops.Kernel(elf, lambda what: aside if what.startswith("--section") else listing)


def module(text=LONG_NOP, sites=1):
    relocations = b"".join(
        struct.pack("<QQq", 16 * i + at, symbol << 32 | kind, addend)
        for i in range(sites)
        for at, symbol, kind, addend in ((0, 1, 2, 0x4), (4, 1, 2, 0x20), (8, 2, 24, 10)))
    return elf_file(
        [(".text", 1, 6, 0, b"\x90" * 4 + text + b"\x90" * 64), ("__jump_table", 1, 3, 0, bytes(16)),
         (".rela__jump_table", 4, 0, 0, relocations), ("__tracepoints", 1, 3, 0, bytes(72))],
        [("", 0, 0, 3, 0, 1), ("__tracepoint_pin", 0, 72, OBJECT, 1, 4),
         ("f", 0, 64, FUNC, 1, 1), ("__tracepoint_of_others", 0, 0, 0, 1, 0)], kind=1)


def call(at, to=0x70, code=0xe8):
    """At TEXT + at; to __longterm_x."""
    return bytes([code]) + struct.pack("<i", to - at - 5)


# hook: a nop, a return; behind the nop's target a call of __longterm_x.
GOOD = (b"\x90" * 0x10 + LONG_NOP + b"\xc3").ljust(0x30, b"\xcc") + call(0x30) + b"\xc3"
GOOD_LISTING = """
0000000000001000 <hook>:
    1000:      \tpushq\t%rbp
    1008:      \tpopq\t%rbp
    1010:      \tnopl\t(%rax,%rax)
    1015:      \tretq
    1030:      \tcallq\t0x1070 <__longterm_x>
    1035:      \tretq
"""
BOTH = {"longterm_key hook", "dax_pin_key hook"}


class Look(unittest.TestCase):
    def test_good(self):
        there, wrong = nops.look(kernel(GOOD, listing=GOOD_LISTING), module())
        self.assertEqual((there, wrong), (BOTH, []))

    def test_short_nop(self):
        text = GOOD.replace(LONG_NOP, b"\x66\x90\x90\x90\x90")
        self.assertEqual(nops.look(kernel(text, listing=GOOD_LISTING), module())[1], [])

    def test_jump_instead(self):
        for code in (b"\xe9\x1b\0\0\0", b"\xeb\x1e\x90\x90\x90", b"\x90" * 5, b"\xcc" * 5):
            wrong = nops.look(kernel(GOOD.replace(LONG_NOP, code), listing=GOOD_LISTING), module())[1]
            self.assertEqual([line.split(":")[0] for line in wrong], list(nops.KEYS), code)
            self.assertIn("hook+0x10", wrong[0])

    def test_jump_in_the_module(self):
        wrong = nops.look(kernel(GOOD, listing=GOOD_LISTING), module(b"\xe9\x17\0\0\0"))[1]
        self.assertEqual(wrong, ["__tracepoint_pin: no nop in f+0x4: e9 17 00 00 00"])

    def test_tracepoint_without_site(self):
        wrong = nops.look(kernel(GOOD, listing=GOOD_LISTING), module(sites=0))[1]
        self.assertEqual(wrong, ["__tracepoint_pin: it has no site in the module"])

    def test_call_that_no_key_guards(self):
        text = GOOD[:0x15] + call(0x15) + GOOD[0x1a:]
        listing = GOOD_LISTING.replace("1015:      \tretq", "1015:      \tcallq\t0x1070 <__longterm_x>")
        there, wrong = nops.look(kernel(text, listing=listing), module())
        self.assertEqual((there, wrong), (BOTH | {"always hook __longterm_x"}, []))

    def test_calls_of_its_own_file_and_others(self):
        text = (GOOD.ljust(0x48, b"\x90") + call(0x48, code=0xe9)).ljust(0x60, b"\xcc") + call(0x60)
        listing = GOOD_LISTING + "0000000000001048 <tail>:\n 1048: \tjmp\t0x1070 <__longterm_x>\n"
        both = (("hook", 0, 0x40), ("tail", 0x48, 8))
        there, wrong = nops.look(kernel(text, listing=listing, functions=both), module())
        self.assertEqual((there, wrong), (BOTH | {"always tail __longterm_x"}, []))

    def test_by_way_of_another_section(self):
        listing = GOOD_LISTING.replace("pushq\t%rbp", "jmp\t0x9000 <.altinstr_aux>")
        aside = " 9000: \ttestb\t$1, 0x10(%rip)\n 9007: \tjne\t0x1010 <hook+0x10>\n 900d: \tjmp\t0x1015"
        there, wrong = nops.look(kernel(GOOD, listing=listing, aside=aside), module())
        self.assertEqual((there, wrong), (BOTH, []))
        there, wrong = nops.look(kernel(GOOD, listing=listing, aside=aside.replace("0x1010", "0x1030")),
                                 module())
        self.assertEqual((there, wrong), (BOTH | {"always hook __longterm_x"}, []))

    def test_what_it_can_not_follow(self):
        listing = GOOD_LISTING.replace("pushq\t%rbp", "jmpq\t*%rax")
        wrong = nops.look(kernel(GOOD, listing=listing), module())[1]
        self.assertEqual(len(wrong), 1)
        self.assertTrue(wrong[0].startswith("hook: there is no way"), wrong)


class Ways(unittest.TestCase):
    @staticmethod
    def reached(text, tables=lambda addr: (), extra=None, off=()):
        return nops.reached(nops.instructions(text), 0x10, tables, extra or {}, set(off))

    def test_branches(self):
        text = """
          10: \tje\t0x20 <f+0x10>
          12: \tjmp\t0x30 <f+0x20>
          20: \tretq
          21: \tud2
          30: \tlock
          31: \tsubl\t%esi, 52(%rbx)
          34: \tretq
          35: \tnop
        """
        self.assertEqual(self.reached(text), {0x10, 0x12, 0x20, 0x30, 0x31, 0x34})

    def test_a_site_is_a_branch_unless_off(self):
        text = "10: \tnop\n 12: \tretq\n 13: \tcallq\t0x99 <g>\n 18: \tretq"
        self.assertIn(0x99, self.reached(text, extra={0x10: [0x13]}))
        self.assertNotIn(0x99, self.reached(text, extra={0x10: [0x13]}, off=[0x10]))

    def test_switch(self):
        for table in ("-0x7e5c9278", "-2119995000"):
            text = f"10: \tjmpq\t*{table}(,%r8,8)\n 20: \tretq\n 30: \tretq"
            tables = {int(table, 0) % (1 << 64): [0x30]}
            self.assertEqual(self.reached(text, tables.__getitem__), {0x10, 0x30})

    def test_switch_read_from_the_image(self):
        where = nops.Symbol("f", 0x1000, 0x40, FUNC, 1, None)
        elf = elf_file([(".rodata", 1, 2, 0x2000, struct.pack("<4Q", 0x1004, 0x103f, 0x1040, 0x1004))],
                       [])
        k = nops.Kernel.__new__(nops.Kernel)
        k.elf = elf
        self.assertEqual(list(k.table(where)(0x2000)), [0x1004, 0x103f])
        self.assertEqual(list(k.table(where)(0x3000)), [])


class Expected(unittest.TestCase):
    def test_it_is_read(self):
        self.assertEqual(nops.expected("# why\n\na b\n  c d  \n"), {"a b", "c d"})

    def test_every_key_is_there(self):
        want = nops.expected(nops.read(nops.EXPECTED).decode())
        self.assertEqual({line.split()[0] for line in want}, {*nops.KEYS, "always"})


if __name__ == "__main__":
    unittest.main()
