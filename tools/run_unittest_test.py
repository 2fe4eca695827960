# SPDX-License-Identifier: Apache-2.0
"""What tools/run_unittest.py reports of tests that pass, fail, break and are skipped."""

import os
import subprocess
import sys
import tempfile
import unittest
from xml.etree import ElementTree

SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "run_unittest.py")

TESTS = """
import sys, unittest

class Some(unittest.TestCase):
    def test_pass(self): self.assertEqual(sys.argv[1:], ["argument"])
    def test_fail(self): self.fail("on purpose")
    def test_break(self): raise ValueError("broken")
    @unittest.skip("not today")
    def test_skip(self): pass
    def test_subtests(self):
        for each in range(3):
            with self.subTest(each): self.assertEqual(each, 1)
"""


class RunUnittestTest(unittest.TestCase):

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.xml = os.path.join(self.folder, "test.xml")

    def run_tests(self, text, test_filter=""):
        """Returns the exit code and what became of each test."""
        path = os.path.join(self.folder, "some_test.py")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        environment = dict(os.environ, XML_OUTPUT_FILE=self.xml, TESTBRIDGE_TEST_ONLY=test_filter)
        done = subprocess.run([sys.executable, SCRIPT, path, "argument"], env=environment,
                              stderr=subprocess.DEVNULL, check=False)
        kinds = {case.get("name"): [child.tag for child in case]
                 for case in ElementTree.parse(self.xml).iter("testcase")}
        return done.returncode, kinds

    def test_each_test_is_counted_once(self):
        code, kinds = self.run_tests(TESTS)
        self.assertEqual(code, 1)
        self.assertEqual(kinds, {"test_pass": [], "test_fail": ["failure"], "test_break": ["error"],
                                 "test_skip": ["skipped"], "test_subtests": ["failure"]})
        suite = ElementTree.parse(self.xml).find("testsuite")
        self.assertEqual([suite.get(key) for key in ["tests", "failures", "errors"]], ["5", "2", "1"])

    def test_a_filter_leaves_the_others_out(self):
        self.assertEqual(self.run_tests(TESTS, "pass"), (0, {"test_pass": []}))

    def test_a_file_without_tests_fails(self):
        self.assertEqual(self.run_tests("pass\n"), (1, {}))


if __name__ == "__main__":
    unittest.main()
