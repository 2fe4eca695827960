#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Counts the test cases of one `bazel test --build_event_json_file=EVENTS`.

    tools/count_tests.py EVENTS

Prints `PASSED FAILED`, and on stderr what failed, was skipped or did not build. What counts is each
case in the test.xml of each test that this run reports, so nothing of an older run is left in. A test
that Bazel calls failed while all its cases passed (it crashed on leaving, or a sanitizer spoke last)
is a failure of its own, and so is a target that did not build.
"""

import json
import sys
import urllib.parse
from xml.etree import ElementTree


def say(text):
    print("  " + text, file=sys.stderr)


def xml_path(result):
    for output in result.get("testActionOutput", []):
        if output["name"] == "test.xml":
            return urllib.parse.unquote(urllib.parse.urlparse(output["uri"]).path)
    return None


def count_cases(label, path):
    """Returns how many cases in the test.xml at `path` passed and failed."""
    passed = failed = 0
    for case in ElementTree.parse(path).iter("testcase"):
        name = "%s %s.%s" % (label, case.get("classname", ""), case.get("name"))
        if case.find("failure") is not None or case.find("error") is not None:
            failed += 1
            say("failed: " + name)
        elif case.find("skipped") is not None:
            say("skipped: " + name)
        elif case.get("status") != "notrun":
            passed += 1
    return passed, failed


def count_result(label, result):
    """Returns the same of a testResult event."""
    passed = failed = 0
    path = xml_path(result)
    if path:
        try:
            passed, failed = count_cases(label, path)
        except (OSError, ElementTree.ParseError) as error:
            say("unreadable: %s" % error)
    if result["status"] != "PASSED" and failed == 0:
        failed += 1
        say("%s: %s" % (result["status"].lower(), label))
    return passed, failed


def count_event(event):
    """Returns the same of any event."""
    if "testResult" in event:
        return count_result(event["id"]["testResult"]["label"], event["testResult"])
    target = event["id"].get("targetCompleted")
    if target and not event.get("completed", {}).get("success"):
        say("not built: " + target["label"])
        return 0, 1
    return 0, 0


def main():
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        print(__doc__.strip(), file=sys.stdout if "--help" in sys.argv else sys.stderr)
        return 0 if "--help" in sys.argv else 2
    with open(sys.argv[1], encoding="utf-8") as file:
        counts = [count_event(json.loads(line)) for line in file]
    print(sum(passed for passed, _ in counts), sum(failed for _, failed in counts))
    return 0


if __name__ == "__main__":
    sys.exit(main())
