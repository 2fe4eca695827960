# SPDX-License-Identifier: Apache-2.0
"""The document, its tables and its charts, of results that are made up."""

import copy
import os
import re
import tempfile
import unittest
from xml.etree import ElementTree

from benchmarks.comparison import charts, tables
from benchmarks.comparison.document import Document
from benchmarks.comparison.figures import Figure

SVG = "{http://www.w3.org/2000/svg}"


def server(key, title, version=""):
    return {"key": key, "title": title, "version": version}


RESULTS = {
    "servers": [server("millrace", "Millrace"), server("raw", "raw LT"),
                server("uv", "Libuv", "1.44.2"), server("raw_single", "raw LT, single")],
    "shapes": {
        "c100": {"yardstick": {"rate": [200_000.0, 190_000.0, 210_000.0], "cpu_us": [5.0, 5.2, 5.1]},
                 "rate": {"millrace": [1.0, 1.1, 0.9], "uv": [0.9], "raw": [1.0]},
                 "cpu": {"millrace": [1.0, 1.02, 0.98], "uv": [1.05, 1.1, 1.2], "raw": [1.3]}},
        "framed": {"yardstick": {"rate": [2e6], "cpu_us": [0.36]},
                   "rate": {"millrace": [0.9], "raw_single": [0.07]},
                   "cpu": {"millrace": [0.85], "raw_single": [0.07, 0.08, 0.06]}}},
    "system_calls": {"c100": {"raw": 2.01, "millrace": 2.02, "uv": None}},
    "instructions": {"c100": {"raw": 80.0, "millrace": 750.0, "uv": 321.0}},
    "memory": {"connections": 10_000, "servers": {
        "raw": {"base": 204_800, "silent": 0.4, "small": 0.4, "large": 2.0},
        "millrace": {"base": 409_600, "silent": 300.0, "small": 300.0, "large": 19_569.0},
        "uv": None}},
    "missing": ["Asio: there is no <asio.hpp>"],
    "problems": ["memory, Libuv: the server ended with exit code 1"],
    "machine": [["processor", "a fast one"]],
    "settings": {"rounds": 5, "seconds": 2.0, "command": "tools/bazel run //benchmarks:compare"},
    "commands": ["taskset -c 0 SERVER"],
}


def row(text, first):
    """The cells of the row that begins with `first`."""
    line = next(line for line in text.split("\n") if re.match(r"\| %s +\|" % re.escape(first), line))
    return [cell.strip() for cell in line.strip("|").split("|")][1:]


class TablesTest(unittest.TestCase):

    def setUp(self):
        self.tables = tables.Tables(copy.deepcopy(RESULTS))

    def test_columns_are_as_wide_as_what_is_in_them(self):
        self.assertEqual(tables.table(["a", "long head"], [["first", "1"], ["b", "1234567890"]]),
                         "| a     |  long head |\n|-------|-----------:|\n"
                         "| first |          1 |\n| b     | 1234567890 |")

    def test_a_peer_that_is_ahead_is_shown_ahead(self):
        cells = row(self.tables.ratios("cpu"), "c100")
        self.assertEqual(cells[:2], ["1.00 (0.98-1.02)", "**1.10 (1.05-1.20)**"])

    def test_the_yardstick_is_no_contender(self):
        self.assertEqual(row(self.tables.ratios("cpu"), "c100")[2], "1.30 (1.30-1.30)")

    def test_goals_stand_beside_what_became_of_them(self):
        self.assertEqual(row(self.tables.ratios("cpu"), "c100")[3:], ["1.00", "met"])
        self.assertEqual(row(self.tables.ratios("cpu"), "framed")[3:], ["0.90", "not met"])

    def test_what_was_not_measured_has_no_figure(self):
        self.assertEqual(row(self.tables.ratios("cpu"), "framed")[1:3], ["-", "-"])
        self.assertEqual(row(self.tables.counts("system_calls", {}), "Libuv"), ["-"])
        self.assertEqual(row(self.tables.memory(), "Libuv"), ["-"] * 4)

    def test_counts_are_held_to_their_goals(self):
        goal = "goal for Millrace, at most"
        self.assertEqual(row(self.tables.counts("instructions", {"c100": 200}), goal),
                         ["200, not met"])
        self.assertEqual(row(self.tables.memory(), goal)[1:],
                         ["320, met", "320, met", "320, not met"])

    def test_what_joining_is_worth_is_a_sentence(self):
        self.assertIn("0.07 (0.06-0.08)", self.tables.single_reply_note())
        self.assertNotIn("raw LT, single", self.tables.ratios("cpu"))

    def test_the_yardstick_has_its_own_figures(self):
        self.assertEqual(row(self.tables.yardstick(), "c100")[1:],
                         ["200,000 (190,000-210,000)", "5.10 (5.00-5.20)"])


class DocumentTest(unittest.TestCase):

    def setUp(self):
        self.results = copy.deepcopy(RESULTS)

    def test_what_is_missing_is_named(self):
        text = Document(self.results).markdown()
        self.assertIn("- Asio: there is no <asio.hpp>", text)
        self.assertIn("- memory, Libuv: the server ended with exit code 1", text)

    def test_parts_that_were_not_measured_leave_no_heading(self):
        for part in ("shapes", "system_calls", "instructions", "memory"):
            self.results[part] = {}
        document = Document(self.results)
        headings = re.findall("^## (.*)$", document.markdown(), re.MULTILINE)
        self.assertEqual(headings, ["What is missing here", "The machine", "How to do it again"])
        self.assertEqual(document.svgs(), {})

    def test_the_terminal_gets_no_pictures(self):
        self.assertNotIn("![", Document(self.results).terminal())
        self.assertIn("| c100", Document(self.results).terminal())

    def test_each_picture_that_is_shown_is_written(self):
        with tempfile.TemporaryDirectory() as folder:
            Document(self.results).write(folder)
            with open(os.path.join(folder, "benchmarks.md"), encoding="utf-8") as file:
                shown = re.findall(r"!\[.*?\]\((.*?)\)", file.read())
            self.assertEqual(len(shown), 5)
            for path in shown:
                ElementTree.parse(os.path.join(folder, path))

    def test_versions_stand_with_the_machine(self):
        self.assertIn("| Libuv | 1.44.2 |", Document(self.results).markdown())

    def test_no_line_is_blank_twice(self):
        self.assertNotIn("\n\n\n", Document(self.results).markdown())
        self.results["shapes"].pop("framed")
        self.assertNotIn("\n\n\n", Document(self.results).markdown())


class ChartsTest(unittest.TestCase):

    def dots(self, picture):
        """The x of each row's dot; the legend's have no cy of a row."""
        root = ElementTree.fromstring(picture)
        return [float(dot.get("cx")) for dot in root.iter(SVG + "circle") if dot.get("cy") != "50"]

    def test_twice_is_as_far_from_one_as_half(self):
        rows = {name: Figure.of([value]) for name, value in (("a", 0.5), ("b", 1.0), ("c", 2.0))}
        half, one, twice = self.dots(charts.ratio_chart("t", "d", [("shape", rows)], list(rows)))
        self.assertAlmostEqual(one - half, twice - one, delta=0.2)

    def test_everything_lies_within_the_picture(self):
        rows = {"a": Figure.of([0.01, 0.02]), "b": Figure.of([5.0, 40.0])}
        root = ElementTree.fromstring(charts.ratio_chart("t", "d", [("shape", rows)], ["a", "b"]))
        for line in root.iter(SVG + "line"):
            for name in ("x1", "x2"):
                self.assertTrue(charts.LABEL_WIDTH <= float(line.get(name)) <= charts.WIDTH)

    def test_bars_are_as_long_as_what_they_show(self):
        rows = {"a": (10.0, "10"), "b": (5.0, "5")}
        root = ElementTree.fromstring(charts.amount_chart("t", "d", [("g", rows)], ["a", "b"]))
        long, short = [float(bar.get("width")) for bar in root.iter(SVG + "rect")
                       if "bar" in bar.get("class")]
        self.assertAlmostEqual(long, 2 * short, delta=0.2)

    def test_it_is_read_on_dark_paper_too(self):
        picture = charts.amount_chart("t", "d", [("g", {"a": (1.0, "1")})], ["a"])
        light, dark = picture.split("@media (prefers-color-scheme: dark)")
        for rule in ("text { fill: ", ".paper { fill: ", ".s0 { fill: "):
            self.assertEqual((light.count(rule), dark.count(rule)), (1, 1), rule)

    def test_names_cannot_break_the_picture(self):
        picture = charts.amount_chart("a < b & c", "d", [("<g>", {"<a>": (1.0, "1")})], ["<a>"])
        self.assertEqual(ElementTree.fromstring(picture).find(SVG + "title").text, "a < b & c")


if __name__ == "__main__":
    unittest.main()
