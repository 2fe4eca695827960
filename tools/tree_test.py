# SPDX-License-Identifier: Apache-2.0
"""The tree this was built from has no breach of the rules in tools/lint.py."""

import contextlib
import io
import unittest

from tools import lint


class TreeTest(unittest.TestCase):

    def test_has_no_breaches(self):
        found = io.StringIO()
        with contextlib.redirect_stdout(found):
            lint.main([])  # Its own file is a link into the tree.
        if found.getvalue():
            self.fail("\n" + found.getvalue())


if __name__ == "__main__":
    unittest.main()
