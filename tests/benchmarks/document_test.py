# SPDX-License-Identifier: Apache-2.0
"""The document, its tables and its charts, of results that are made up."""

import copy
import os
import re
import tempfile
import unittest
from xml.etree import ElementTree

from benchmarks.comparison import charts, micro, tables
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
    "allocations": {"c100": {"raw": 0.0, "millrace": -0.0001, "uv": 1.0}},
    "micro": {"Timers/AddCancel/1000000": {"millrace": [5.0, 4.0, 6.0], "libuv": [100.0]},
              "Timers/AddCancel/1000": {"millrace": [4.0], "MillraceEntry": [3.0]},
              "Posts/Busy/4": {"millrace": [50.0], "libuv": [40.0]},
              "Broadcast/Burst/1024/16": {"Group": [100.0, 110.0], "Handles": [400.0, 385.0]}},
    "memory": {"connections": 10_000, "servers": {
        "raw": {"base": 204_800, "silent": 0.4, "small": 0.4, "large": 2.0},
        "millrace": {"base": 409_600, "silent": 300.0, "small": 300.0, "large": 19_569.0},
        "uv": None}},
    "missing": ["Asio: there is no <asio.hpp>"],
    "problems": ["memory, Libuv: the server ended with exit code 1"],
    "machine": [["processor", "a fast one"]],
    "settings": {"rounds": 5, "seconds": 2.0, "micro_rounds": 3,
                 "command": "tools/bazel run //benchmarks:compare"},
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

    def test_nobody_is_the_best_alone(self):
        self.assertEqual(row(self.tables.ratios("cpu"), "framed")[0], "0.85")

    def test_the_yardstick_is_no_contender(self):
        self.assertEqual(row(self.tables.ratios("cpu"), "c100")[2], "1.30")

    def test_goals_stand_beside_what_became_of_them(self):
        self.assertEqual(row(self.tables.ratios("cpu"), "c100")[3:], ["1.00", "met"])
        self.assertEqual(row(self.tables.ratios("cpu"), "framed")[3:], ["0.90", "not met"])

    def test_what_was_not_measured_has_no_figure(self):
        self.assertEqual(row(self.tables.ratios("cpu"), "framed")[1:3], ["-", "-"])
        self.assertEqual(row(self.tables.counts("system_calls"), "Libuv"), ["-"])
        self.assertEqual(row(self.tables.memory(), "Libuv"), ["-"] * 4)

    def test_counts_are_held_to_their_goals(self):
        goal = "goal for Millrace, at most"
        self.assertEqual(row(self.tables.counts("instructions"), goal), ["200, not met"])
        self.assertEqual(row(self.tables.counts("allocations"), goal), ["0, met"])
        self.assertEqual(row(self.tables.memory(), goal)[1:],
                         ["320, met", "320, met", "320, not met"])

    def test_what_joining_is_worth_is_a_sentence(self):
        self.assertIn("0.07 (0.06-0.08)", self.tables.single_reply_note())
        self.assertNotIn("raw LT, single", self.tables.ratios("cpu"))

    def test_noise_is_told(self):
        self.assertIn("Beside itself the yardstick was between 1.30 and 1.30.",
                      self.tables.shape_notes())

    def test_flags_of_ours_are_told(self):
        self.assertNotIn("alone", self.tables.shape_notes())
        self.tables.results["shapes"]["c1_busy"] = self.tables.results["shapes"].pop("c100")
        self.assertIn("In `c1_busy` Millrace alone is measured, with `--busy_poll=100us`.",
                      " ".join(self.tables.shape_notes().split()))

    def test_the_yardstick_has_its_own_figures(self):
        self.assertEqual(row(self.tables.yardstick(), "c100")[1:],
                         ["200,000 (190,000-210,000)", "5.10 (5.00-5.20)"])


class GoalsTableTest(unittest.TestCase):

    def setUp(self):
        self.results = copy.deepcopy(RESULTS)
        self.tables = tables.Tables(self.results)

    def test_a_goal_beside_the_best_of_the_others(self):
        self.assertEqual(row(self.tables.goals(), "CPU time, 100 connections"),
                         [">= 1", "1.00 (0.98-1.02)", "met", "Libuv 1.10 (1.05-1.20)", "**Libuv**"])
        self.assertEqual(row(self.tables.goals(), "instructions per message, 100 connections"),
                         ["<= 200", "750", "**not met**", "Libuv 321", "**Libuv**"])

    def test_where_we_are_ahead(self):
        cells = row(self.tables.goals(), "timers, 1 M outstanding: add and cancel, ns")
        self.assertEqual(cells, ["<= 10", "5.00 (4.00-6.00)", "met", "libuv 100", "Millrace"])

    def test_a_row_that_was_not_measured_stays(self):
        self.assertEqual(row(self.tables.goals(), "CPU time, messages of 1 MiB"),
                         [">= 1.6", "-", "not measured", "-", "-"])

    def test_rates_are_held_against_rates(self):
        cells = row(self.tables.goals(), "posts to a busy loop, 4 producers, million/s")
        self.assertEqual(cells, [">= 17", "20.0", "met", "libuv 25.0", "**libuv**"])

    def test_one_way_of_ours_against_another(self):
        self.assertEqual(row(self.tables.goals(), "the same, 16 messages at once"),
                         [">= 3", "3.75 (3.50-4.00)", "met", "-", "-"])

    def test_what_is_quoted_is_said_to_be_quoted(self):
        note = " ".join(self.tables.muduo_note().split())
        self.assertIn("it was not measured here", note)
        self.assertIn("at 0.94 in `c100` of `raw LT`", note)
        self.assertIn("Millrace would be at 1.06 of it", note)
        self.results["shapes"] = {}
        self.assertEqual(self.tables.muduo_note(), "")


class MicroTablesTest(unittest.TestCase):

    def table(self, key):
        subject = next(subject for subject in micro.SUBJECTS if subject.key == key)
        return tables.Tables(copy.deepcopy(RESULTS)).micro(subject)

    def test_libraries_stand_side_by_side(self):
        lines = self.table("Timers").split("\n")
        self.assertEqual([cell.strip() for cell in lines[0].strip("|").split("|")],
                         ["", "Millrace", "TimerEntry", "libuv"])
        self.assertEqual(row(self.table("Timers"), "add and cancel, 1,000"), ["4.00", "**3.00**", "-"])
        self.assertEqual(row(self.table("Timers"), "add and cancel, 1,000,000"),
                         ["**5.00 (4.00-6.00)**", "-", "100"])

    def test_more_tasks_per_second_are_better(self):
        self.assertEqual(row(self.table("Posts"), "producers: 4"), ["20.0", "**25.0**"])

    def test_no_rows_no_table(self):
        self.assertEqual(self.table("Codec"), "")


class DocumentTest(unittest.TestCase):

    def setUp(self):
        self.results = copy.deepcopy(RESULTS)

    def test_what_is_missing_is_named(self):
        text = Document(self.results).markdown()
        self.assertIn("- Asio: there is no <asio.hpp>", text)
        self.assertIn("- memory, Libuv: the server ended with exit code 1", text)

    def test_parts_that_were_not_measured_leave_no_heading(self):
        for part in ("shapes", "system_calls", "instructions", "allocations", "memory", "micro"):
            self.results[part] = {}
        document = Document(self.results)
        headings = re.findall("^## (.*)$", document.markdown(), re.MULTILINE)
        self.assertEqual(headings, ["Goals", "What is missing here", "The machine",
                                    "How to do it again"])
        self.assertEqual(document.svgs(), {})

    def test_the_terminal_gets_no_pictures(self):
        self.assertNotIn("![", Document(self.results).terminal())
        self.assertIn("| c100", Document(self.results).terminal())

    def test_each_picture_that_is_shown_is_written(self):
        with tempfile.TemporaryDirectory() as folder:
            Document(self.results).write(folder)
            with open(os.path.join(folder, "benchmarks.md"), encoding="utf-8") as file:
                shown = re.findall(r"!\[.*?\]\((.*?)\)", file.read())
            self.assertEqual(len(shown), 7)
            self.assertEqual(len(shown), len(os.listdir(os.path.join(folder, "benchmarks"))))
            for path in shown:
                ElementTree.parse(os.path.join(folder, path))

    def test_the_summary_counts_the_rows(self):
        text = Document(self.results).goals_text()
        verdicts = [line.replace("*", "").split("|")[4].strip() for line in text.split("\n")
                    if line.startswith("| ")][1:]
        for verdict in ("met", "not met", "not measured"):
            self.assertIn("%d %s" % (verdicts.count(verdict), verdict), " ".join(text.split()))

    def test_versions_stand_with_the_machine(self):
        self.assertIn("| Libuv | 1.44.2 |", Document(self.results).markdown())

    def test_no_line_is_blank_twice(self):
        self.assertNotIn("\n\n\n", Document(self.results).markdown())
        self.results["shapes"].pop("framed")
        self.assertNotIn("\n\n\n", Document(self.results).markdown())


class ChartsTest(unittest.TestCase):

    def dots(self, picture):
        """The x of each row's dot."""
        return [float(dot.get("cx")) for dot in ElementTree.fromstring(picture).iter(SVG + "circle")]

    def test_twice_is_as_far_from_one_as_half(self):
        rows = {name: Figure.of([value]) for name, value in (("a", 0.5), ("b", 1.0), ("c", 2.0))}
        half, one, twice = self.dots(charts.ratio_chart("t", "d", [("shape", rows)], list(rows)))
        self.assertAlmostEqual(one - half, twice - one, delta=0.2)

    def test_what_lies_beyond_the_edge_is_pointed_at(self):
        rows = {"a": Figure.of([0.01]), "b": Figure.of([40.0])}
        picture = charts.ratio_chart("t", "d", [("shape", rows)], ["a", "b"])
        self.assertEqual(self.dots(picture), [])
        left, right = [path.get("d").split() for path in
                       ElementTree.fromstring(picture).iter(SVG + "path")]
        self.assertLess(float(left[1]), charts.LogScale.x(0.01))
        self.assertGreater(float(right[1]), charts.LogScale.x(40.0))

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

    def test_each_row_has_its_name_and_its_value(self):
        ratios = charts.ratio_chart("t", "d", [("g", {"a": Figure.of([0.5])})], ["a"])
        amounts = charts.amount_chart("t", "d", [("g", {"a": (1.0, "one")})], ["a"])
        for picture, value in ((ratios, "0.50"), (amounts, "one")):
            words = [each.text for each in ElementTree.fromstring(picture).iter(SVG + "text")]
            self.assertTrue({"g", "a", value} <= set(words), words)

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
