# SPDX-License-Identifier: Apache-2.0
"""How tools/coverage reads its report, and compares README.md with it."""

import importlib.machinery
import importlib.util
import os
import tempfile
import unittest

from tools import count_tests

PATH = os.path.join(os.path.dirname(os.path.abspath(count_tests.__file__)), "coverage")
LOADER = importlib.machinery.SourceFileLoader("coverage", PATH)
coverage = importlib.util.module_from_spec(importlib.util.spec_from_loader("coverage", LOADER))
LOADER.exec_module(coverage)

REPORT = """SF:net/buffer.cc
DA:1,5
DA:2,0
end_of_record
SF:tests/net/buffer_test.cc
DA:1,0
end_of_record
"""
ROW = "| lines of `base/` and `net/` that tests reach | 98.9 % | `tools/coverage` |\n"


class CoverageTest(unittest.TestCase):

    def test_only_our_own_sources_count(self):
        with tempfile.NamedTemporaryFile("w", suffix=".dat", encoding="utf-8") as report:
            report.write(REPORT)
            report.flush()
            self.assertEqual(coverage.read_report(report.name), {"net/buffer.cc": (1, 2)})

    def test_a_figure_that_is_about_right_stays(self):
        self.assertEqual(coverage.compare_readme(98.5, ROW, write=False), (None, ROW))

    def test_one_that_is_not_true_any_more_is_an_error(self):
        wrong, _ = coverage.compare_readme(97.9, ROW, write=False)
        self.assertEqual(wrong, "README.md says 98.9 %, and it is 97.9 %")

    def test_writing_puts_the_new_one_there(self):
        wrong, after = coverage.compare_readme(97.94, ROW, write=True)
        self.assertIsNone(wrong)
        self.assertEqual(after, ROW.replace("98.9", "97.9"))

    def test_a_readme_without_it_is_an_error(self):
        wrong, _ = coverage.compare_readme(98.9, "nothing", write=False)
        self.assertIn("does not tell it", wrong)


if __name__ == "__main__":
    unittest.main()
