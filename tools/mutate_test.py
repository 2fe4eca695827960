# SPDX-License-Identifier: Apache-2.0
"""What tools/mutate.py makes of a run. (That each defect can be planted is in tree_test.py.)"""

import os
import tempfile
import unittest

from tools import defects
from tools import mutate

RIGHT, WRONG = "return a + b;\n", "return a - b;\n"


class DefectsTest(unittest.TestCase):

    def test_there_are_twenty_and_no_name_stands_twice(self):
        names = [defect.name for defect in defects.ALL]
        self.assertGreaterEqual(len(names), 20)
        self.assertEqual(len(names), len(set(names)))


class MutateTest(unittest.TestCase):

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.copy = folder.name
        self.defect = defects.Defect("minus", "it subtracts", "sum.cc", RIGHT, WRONG, ("//:t",))
        self.write(RIGHT)

    def write(self, text):
        with open(os.path.join(self.copy, "sum.cc"), "w", encoding="utf-8") as source:
            source.write(text)

    def read(self):
        with open(os.path.join(self.copy, "sum.cc"), encoding="utf-8") as source:
            return source.read()

    def test_tests_see_the_defect_and_it_is_gone_after(self):
        seen = []

        def tests(copy, defect):
            self.assertEqual((copy, defect), (self.copy, self.defect))
            seen.append(self.read())
            return mutate.TESTS_FAILED, ["//:t"]

        self.assertEqual(mutate.try_one(self.copy, self.defect, tests),
                         (True, "caught by //:t"))
        self.assertEqual(seen, [WRONG])
        self.assertEqual(self.read(), RIGHT)

    def test_a_test_of_several_shards_is_named_once(self):
        said = ("FAIL: //tests/sim:soak (shard 1 of 2) (see /log)\n"
                "TIMEOUT: //tests/net:mailbox_test (see /log)\n"
                "FAIL: //tests/sim:soak (shard 2 of 2) (see /log)\n"
                "//tests/sim:soak      NO STATUS in 0.2s\n")
        self.assertEqual(mutate.failed_tests(said), ["//tests/net:mailbox_test", "//tests/sim:soak"])

    def test_what_no_test_notices_has_survived(self):
        caught, what = mutate.try_one(self.copy, self.defect, lambda *_: (0, []))
        self.assertFalse(caught)
        self.assertEqual(what, "SURVIVED //:t")

    def test_what_does_not_compile_shows_nothing(self):
        caught, what = mutate.try_one(self.copy, self.defect, lambda *_: (1, []))
        self.assertFalse(caught)
        self.assertIn("shows nothing", what)

    def test_a_line_that_is_there_twice_cannot_be_planted(self):
        self.write(RIGHT + RIGHT)
        with self.assertRaisesRegex(ValueError, "stands 2 times in sum.cc"):
            mutate.try_one(self.copy, self.defect, lambda *_: (0, []))


if __name__ == "__main__":
    unittest.main()
