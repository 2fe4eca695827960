# SPDX-License-Identifier: Apache-2.0
"""What tools/hardening.py sees in what readelf says."""

import unittest

from tools import hardening

HARDENED = """
  Type:                              DYN (Position-Independent Executable file)
  GNU_STACK      0x000000 0x0000000000000000 0x0000000000000000 0x000000 0x000000 RW  0x10
  GNU_RELRO      0x07d100 0x000000000007e100 0x000000000007e100 0x001f00 0x001f00 RW  0x20
 0x000000000000001e (FLAGS)              BIND_NOW
     7: 0000000000000000     0 FUNC    GLOBAL DEFAULT  UND __memcpy_chk@GLIBC_2.3.4 (5)
    17: 0000000000000000     0 FUNC    GLOBAL DEFAULT  UND __stack_chk_fail@GLIBC_2.4 (9)
    18: 0000000000000000     0 FUNC    GLOBAL DEFAULT  UND _ZSt21__glibcxx_assert_failPKciS0_S0_
"""


class HardeningTest(unittest.TestCase):

    def test_nothing_is_missing_where_all_is_there(self):
        self.assertEqual(hardening.missing(HARDENED), [])

    def test_each_is_missed(self):
        for line in HARDENED.strip().splitlines():
            with self.subTest(line):
                self.assertEqual(len(hardening.missing(HARDENED.replace(line + "\n", ""))), 1)

    def test_an_executable_stack_is_seen(self):
        self.assertEqual(len(hardening.missing(HARDENED.replace("RW  0x10", "RWE 0x10"))), 1)

    def test_a_guarded_stack_alone_is_no_checked_call(self):
        self.assertEqual(len(hardening.missing(HARDENED.replace("__memcpy_chk", "memcpy"))), 1)


if __name__ == "__main__":
    unittest.main()
