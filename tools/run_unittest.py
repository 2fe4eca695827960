#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the tests of one file with unittest, the way Bazel wants a test run.

    run_unittest.py FILE [ARGUMENT...]

The ARGUMENTS are the tests' own, in sys.argv. --test_filter takes a pattern as `unittest -k` does.
Each test is counted in Bazel's test.xml, so that a report tells tests and not files.
"""

import importlib.util
import os
import sys
import unittest
from xml.etree import ElementTree


class Result(unittest.TextTestResult):
    """Remembers what became of each test; a test fails once, with however many subtests."""

    def __init__(self, *args):
        super().__init__(*args)
        self.tests = {}  # (class, name): (kind, text)

    def note(self, test, kind, text=""):
        test = getattr(test, "test_case", test)
        group, _, name = test.id().rpartition(".")
        if (group, name) not in self.tests or kind:
            self.tests[group, name] = kind, text

    def stopTest(self, test):
        super().stopTest(test)
        self.note(test, "")

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.note(test, "skipped", reason)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.note(test, "failure", self.failures[-1][1])

    def addError(self, test, err):
        super().addError(test, err)
        self.note(test, "error", self.errors[-1][1])

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self.note(test, "failure", "%s: %s" % (subtest, err[1]))

    def addUnexpectedSuccess(self, test):
        super().addUnexpectedSuccess(test)
        self.note(test, "failure", "was expected to fail")

    def write_xml(self, path):
        kinds = [kind for kind, _ in self.tests.values()]
        suite = ElementTree.Element("testsuite", name="unittest", tests=str(len(kinds)),
                                    failures=str(kinds.count("failure")),
                                    errors=str(kinds.count("error")))
        for (group, name), (kind, text) in self.tests.items():
            case = ElementTree.SubElement(suite, "testcase", classname=group, name=name)
            if kind:
                ElementTree.SubElement(case, kind, message=text)
        suites = ElementTree.Element("testsuites")
        suites.append(suite)
        ElementTree.ElementTree(suites).write(path, encoding="utf-8", xml_declaration=True)


def load(path):
    name = os.path.splitext(os.path.basename(path))[0]
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main():
    sys.argv.pop(0)
    sys.path.insert(0, os.getcwd())  # Modules are imported from the root, as headers are.
    loader = unittest.TestLoader()
    if os.environ.get("TESTBRIDGE_TEST_ONLY"):
        loader.testNamePatterns = ["*%s*" % os.environ["TESTBRIDGE_TEST_ONLY"]]
    tests = loader.loadTestsFromModule(load(sys.argv[0]))
    result = unittest.TextTestRunner(verbosity=2, resultclass=Result).run(tests)
    if os.environ.get("XML_OUTPUT_FILE"):
        result.write_xml(os.environ["XML_OUTPUT_FILE"])
    if result.testsRun == 0:
        print("there is no test here", file=sys.stderr)
    return 0 if result.wasSuccessful() and result.testsRun else 1


if __name__ == "__main__":
    sys.exit(main())
