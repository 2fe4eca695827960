# SPDX-License-Identifier: Apache-2.0
"""The documents agree with the tree: links, names of files and tests, README's server, the limits."""

import glob
import os
import re
import unittest

# This file is a link into the tree.
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")
FILE_NAME = re.compile(r"`((?:base|net|tests|tools|examples|benchmarks|docs)/[\w./*-]+|[A-Z]+\.md)`")
LABEL = re.compile(r"(?<![\w@])//([a-z][\w/]*):?(\w*)")
TEST_CASE = re.compile(r"`(\w+Test)\.(\w+)`")
CONSTANT = re.compile(r"inline constexpr ([\w:]+) (k\w+) = ([^;]+);")
FIELD = re.compile(r"^  (?:size_t|uint64_t|absl::Duration) (\w+) = ([^;]+);", re.MULTILINE)
UNITS = {"Milliseconds": 1, "Seconds": 1000, "Minutes": 60_000}


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def prose(path):
    """Without blocks of code."""
    return re.sub(r"```.*?```", "", read(path), flags=re.DOTALL)


def documents():
    paths = glob.glob(os.path.join(ROOT, "docs/**/*.md"), recursive=True)
    return ["README.md", "CONTRIBUTING.md"] + sorted(os.path.relpath(path, ROOT) for path in paths)


def exists(path):
    return bool(glob.glob(os.path.join(ROOT, path)))


def time_text(milliseconds):
    if milliseconds % 60_000 == 0 and milliseconds > 60_000:  # 60 s are written as that.
        return "%d min" % (milliseconds // 60_000)
    if milliseconds % 1000 == 0:
        return "%d s" % (milliseconds // 1000)
    return "%d ms" % milliseconds


def bytes_text(number):
    if number < 1 << 10:
        return "%d" % number
    for unit, size in (("MiB", 1 << 20), ("KiB", 1 << 10)):
        if number % size == 0:
            return "%d %s" % (number // size, unit)
    return "%d B" % number


def value_text(name, code):
    """How a table writes the value of a constant: "256 KiB", "100 ms", "4,096"."""
    duration = re.fullmatch(r"absl::(\w+)\((\d+)\)", code)
    if duration:
        return time_text(int(duration[2]) * UNITS[duration[1]])
    if code == "absl::InfiniteDuration()":
        return "none"
    terms = re.fullmatch(r"(?:size_t\{)?([\d']+)\}?(?: << (\d+))?", code)
    number = int(terms[1].replace("'", "")) << int(terms[2] or 0)
    return bytes_text(number) if "Bytes" in name or "bytes" in name else "{:,}".format(number)


def table_rows(path):
    """{name: value} of each row that begins with a name in backticks."""
    return dict(re.findall(r"^\| `([\w:]+)`[ *]*\| ([^|]+?) \|", read(path), re.MULTILINE))


class LinksTest(unittest.TestCase):

    def test_links_lead_to_files(self):
        for document in documents():
            for target in LINK.findall(prose(document)):
                if not re.match(r"https?:", target):
                    path = os.path.join(os.path.dirname(document), target)
                    self.assertTrue(exists(path), "%s links to %s" % (document, target))

    def test_files_that_are_named_are_there(self):
        for document in documents():
            if document.startswith("docs/decisions/"):  # These stay as they were.
                continue
            for path in FILE_NAME.findall(read(document)):
                self.assertTrue(exists(path), "%s names %s" % (document, path))

    def test_labels_that_are_named_are_there(self):
        for document in documents():
            text = re.sub(r"https?://\S+|//[\w/]+/\.\.\.", "", read(document))
            for package, target in LABEL.findall(text):
                build = read(os.path.join(package, "BUILD"))
                self.assertIn('"%s"' % (target or package.split("/")[-1]), build,
                              "%s names //%s:%s" % (document, package, target))


class TestNamesTest(unittest.TestCase):

    def test_tests_that_are_named_are_there(self):
        paths = glob.glob(os.path.join(ROOT, "tests/**/*_test.cc"), recursive=True)
        sources = "".join(read(path) for path in paths)
        there = set(re.findall(r"^TEST(?:_F|_P)?\(\s*(\w+),\s*(\w+)\)", sources, re.MULTILINE))
        self.assertGreater(len(there), 500)
        named = {case for document in documents() for case in TEST_CASE.findall(read(document))}
        self.assertGreater(len(named), 20)
        self.assertEqual(named - there, set())


class ReadmeTest(unittest.TestCase):

    def test_shows_the_server_that_is_built(self):
        server = read("examples/readme/readme_server.cc")
        self.assertIn("```cpp\n%s```" % server[server.index("#include"):], read("README.md"))


class TestingTest(unittest.TestCase):

    def test_shows_the_test_that_is_built(self):
        test = read("tests/examples/echo_sim_test.cc")
        self.assertIn("```cpp\n%s```" % test[test.index("#include"):], read("docs/testing.md"))


class LimitsTest(unittest.TestCase):

    def setUp(self):
        self.rows = table_rows("docs/limits.md")
        self.constants = {name: value_text(name, code)
                          for _, name, code in CONSTANT.findall(read("net/limits.h"))}

    def test_has_each_constant_with_its_value(self):
        self.assertGreater(len(self.constants), 10)
        for name, value in self.constants.items():
            self.assertEqual(self.rows.get(name), value, name)

    def test_has_each_limit_of_a_connection_with_its_default(self):
        fields = FIELD.findall(read("net/connection_limits.h") + read("net/progress_limits.h"))
        self.assertGreater(len(fields), 9)
        for name, code in fields:
            self.assertEqual(self.rows.get(name), self.constants.get(code) or value_text(name, code), name)

    def test_has_each_preset_of_progress_with_its_values(self):
        text = read("net/progress_limits.h")
        presets = re.findall(r"static ProgressLimits (\w+)\(\) \{\s*return \{([^}]*)\}", text)
        self.assertEqual([name for name, _ in presets], ["Off", "Lenient", "Strict"])
        for name, given in presets:
            values = dict(FIELD.findall(text))
            values.update(re.findall(r"\.(\w+) = ([^,]+(?:\(\d+\))?)", given))
            cells = [self.constants.get(code) or value_text(field, code) for field, code in values.items()]
            self.assertIn("| `%s` | %s |" % (name, " | ".join(cells)), read("docs/limits.md"))

    def test_names_no_constant_that_is_not_there(self):
        named = set(re.findall(r"`(k[A-Z]\w+)`", read("docs/limits.md")))
        self.assertEqual(named - set(self.constants), set())


if __name__ == "__main__":
    unittest.main()
