# SPDX-License-Identifier: Apache-2.0
"""What tools/count_tests.py makes of the events of a run."""

import contextlib
import io
import json
import os
import tempfile
import unittest

from tools import count_tests

GTEST = """<testsuites><testsuite>
  <testcase name="Passes" status="run" classname="A" />
  <testcase name="Fails" status="run" classname="A"><failure message="no" /></testcase>
  <testcase name="Breaks" status="run" classname="A"><error message="no" /></testcase>
  <testcase name="Skips" status="run" classname="A"><skipped message="no" /></testcase>
  <testcase name="IsDisabled" status="notrun" classname="A" />
</testsuite></testsuites>"""
ALL_PASS = '<testsuites><testsuite><testcase name="A" /><testcase name="B" /></testsuite></testsuites>'


class CountTestsTest(unittest.TestCase):

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def count(self, event):
        """Returns (passed, failed) and what is said of an event as it would come out of JSON."""
        said = io.StringIO()
        with contextlib.redirect_stderr(said):
            counts = count_tests.count_event(json.loads(json.dumps(event)))
        return counts, said.getvalue()

    def result(self, status, xml):
        """A testResult event, whose test.xml has a path that a URI must escape."""
        path = os.path.join(self.folder, "a b.xml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(xml)
        outputs = [{"name": "test.log", "uri": "file:///nowhere"},
                   {"name": "test.xml", "uri": "file://" + path.replace(" ", "%20")}]
        return {"id": {"testResult": {"label": "//:a"}},
                "testResult": {"status": status, "testActionOutput": outputs}}

    def test_cases_are_counted_one_by_one(self):
        counts, said = self.count(self.result("FAILED", GTEST))
        self.assertEqual(counts, (1, 2))
        self.assertIn("failed: //:a A.Fails\n", said)
        self.assertIn("skipped: //:a A.Skips\n", said)

    def test_a_failed_test_whose_cases_all_passed_is_a_failure(self):
        self.assertEqual(self.count(self.result("FAILED", ALL_PASS))[0], (2, 1))
        self.assertEqual(self.count(self.result("PASSED", ALL_PASS))[0], (2, 0))

    def test_a_timeout_without_a_report_is_a_failure(self):
        event = {"id": {"testResult": {"label": "//:a"}}, "testResult": {"status": "TIMEOUT"}}
        self.assertEqual(self.count(event), ((0, 1), "  timeout: //:a\n"))

    def test_half_a_report_is_a_failure(self):
        self.assertEqual(self.count(self.result("FAILED", ALL_PASS[:-20]))[0], (0, 1))

    def test_a_target_that_did_not_build_is_a_failure(self):
        event = {"id": {"targetCompleted": {"label": "//:a"}}, "completed": {"failureDetail": {}}}
        self.assertEqual(self.count(event), ((0, 1), "  not built: //:a\n"))
        event["completed"] = {"success": True}
        self.assertEqual(self.count(event), ((0, 0), ""))

    def test_other_events_do_not_count(self):
        self.assertEqual(self.count({"id": {"started": {}}, "started": {}}), ((0, 0), ""))


if __name__ == "__main__":
    unittest.main()
