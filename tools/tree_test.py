# SPDX-License-Identifier: Apache-2.0
"""The tree this was built from keeps the rules in tools/lint.py, and has the lines that
tools/mutate.py is to break."""

import contextlib
import io
import os
import unittest

from tools import defects
from tools import lint

# These files are links into the tree.
ROOT = os.path.dirname(os.path.dirname(os.path.realpath(defects.__file__)))


class TreeTest(unittest.TestCase):

    def test_has_no_breaches(self):
        found = io.StringIO()
        with contextlib.redirect_stdout(found):
            lint.main([])  # Its own file is a link into the tree.
        if found.getvalue():
            self.fail("\n" + found.getvalue())

    def test_each_defect_can_be_planted(self):
        for defect in defects.ALL:
            with self.subTest(defect.name):
                with open(os.path.join(ROOT, defect.path), encoding="utf-8") as source:
                    text = source.read()
                self.assertNotEqual(defect.applied_to(text), text)


if __name__ == "__main__":
    unittest.main()
