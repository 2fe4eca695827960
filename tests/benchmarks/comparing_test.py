# SPDX-License-Identifier: Apache-2.0
"""Which runs are made, in which order, and what becomes of one that fails."""

import contextlib
import dataclasses
import io
import json
import tempfile
import unittest

from benchmarks import compare
from benchmarks.comparison import building, comparing, shapes
from benchmarks.comparison.children import Failed
from benchmarks.comparison.servers import Server


def server(key):
    return Server(key, key.capitalize(), (key,), (key, "--framed"))


class Laboratory:
    """Each server has its CPU time, and what the yardstick is told varies by the run."""

    def __init__(self, cpu_us, failing=()):
        self.cpu_us = cpu_us
        self.failing = failing
        self.runs = []
        self.counts = []
        self.disturbed = False  # Then each count is more than the one before.

    def measure(self, measured, shape, seconds):
        self.runs.append(measured.key)
        if measured.key in self.failing:
            raise Failed("it fell over")
        return seconds * 1000, self.cpu_us[measured.key]

    def count(self, counted, shape, seconds, counter):
        self.counts.append((counter.program, shape.key, counted.key))
        if counted.key in self.failing:
            raise Failed("it fell over")
        return dict.fromkeys(counter.parts, 0.5 + len(self.counts) if self.disturbed else 1.5)

    def run_benchmark(self, program, quick):
        self.runs.append(program)
        if program in self.failing:
            raise ValueError("no JSON")
        return {("Posts/Busy/1", program): 2.0}, ["Posts/Busy/4: no thread"]


SETTINGS = compare.Settings(
    shapes=[shapes.SHAPES["c100"]], counted_shapes=[shapes.SHAPES["c100"]], parts=["speed"], rounds=2,
    seconds=1.0, count_seconds=1.0, count_tries=1, memory_connections=10, micro_rounds=2)


class ComparingTest(unittest.TestCase):

    def compare(self, laboratory, keys=("millrace", "uv"), yardstick=server("raw"), benchmarks=(),
                **changed):
        settings = dataclasses.replace(SETTINGS, **changed)
        with contextlib.redirect_stderr(io.StringIO()) as self.told:
            comparison = comparing.Comparison(
                laboratory, [server(key) for key in keys], yardstick, settings, benchmarks)
            results = comparison.run()
        self.assertEqual(comparison.progress.done, comparison.progress.steps)
        return results

    def test_each_run_has_the_yardstick_beside_it(self):
        laboratory = Laboratory({"raw": 5.0, "millrace": 4.0, "uv": 10.0})
        results = self.compare(laboratory)
        self.assertEqual(results["shapes"]["c100"]["cpu"], {"millrace": [1.25] * 2, "uv": [0.5] * 2})
        self.assertEqual(results["shapes"]["c100"]["rate"]["uv"], [1.0, 1.0])
        pairs = [set(laboratory.runs[i:i + 2]) for i in range(0, 8, 2)]
        self.assertTrue(all("raw" in pair and len(pair) == 2 for pair in pairs), laboratory.runs)

    def test_nobody_is_always_first(self):
        laboratory = Laboratory({"raw": 1.0, "millrace": 1.0, "uv": 1.0})
        self.compare(laboratory)
        self.assertEqual(laboratory.runs, ["raw", "millrace", "uv", "raw",
                                           "uv", "raw", "raw", "millrace"])

    def test_a_failure_is_kept_and_the_rest_goes_on(self):
        laboratory = Laboratory({"raw": 1.0, "millrace": 1.0}, failing=("uv",))
        results = self.compare(laboratory, rounds=1)
        self.assertEqual(results["problems"], ["c100, Uv: it fell over"])
        self.assertEqual(list(results["shapes"]["c100"]["cpu"]), ["millrace"])
        self.assertIn("it fell over", self.told.getvalue())

    def test_single_replies_are_for_requests_only(self):
        costs = {"raw": 1.0, "millrace": 1.0, comparing.SINGLE: 10.0}
        keys = ("millrace", comparing.SINGLE)
        echo = self.compare(Laboratory(costs), keys)["shapes"]["c100"]["cpu"]
        results = self.compare(Laboratory(costs), keys, shapes=[shapes.SHAPES["framed"]])
        framed = results["shapes"]["framed"]["cpu"]
        self.assertNotIn(comparing.SINGLE, echo)
        self.assertEqual(framed[comparing.SINGLE], [0.1, 0.1])


    def test_our_flags_are_for_us(self):
        laboratory = Laboratory({"raw": 4.0, "millrace": 4.0, "uv": 4.0})
        busy = shapes.SHAPES["c1_busy"]
        results = self.compare(laboratory, shapes=[busy], rounds=1)
        self.assertEqual(laboratory.runs, ["raw", "millrace"])
        self.assertEqual(results["shapes"]["c1_busy"]["rate"], {"millrace": [1.0]})
        self.assertEqual(server("millrace").command(busy), ["millrace", "--busy_poll=100us"])
        self.assertEqual(server("uv").command(busy), ["uv"])

    def test_one_run_under_valgrind_counts_two_things(self):
        results = self.compare(Laboratory({}), parts=["instructions"])
        self.assertEqual(results["instructions"], results["allocations"])
        self.assertEqual(results["allocations"], {"c100": {"raw": 1.5, "millrace": 1.5, "uv": 1.5}})

    def test_what_cannot_be_counted_has_no_figure(self):
        results = self.compare(Laboratory({}, failing=("uv",)), parts=["system_calls"])
        self.assertIsNone(results["system_calls"]["c100"]["uv"])
        self.assertEqual(results["system_calls"]["c100"]["millrace"], 1.5)

    def test_the_median_of_some_tries_counts(self):
        laboratory = Laboratory({})
        laboratory.disturbed = True
        results = self.compare(laboratory, ("millrace",), yardstick=None, parts=["system_calls"],
                               count_tries=3)
        self.assertEqual(len(laboratory.counts), 3)
        self.assertEqual(results["system_calls"], {"c100": {"millrace": 2.5}})

    def test_counting_needs_no_yardstick(self):
        laboratory = Laboratory({})
        self.compare(laboratory, ("millrace",), yardstick=None, parts=["system_calls"])
        self.assertEqual(laboratory.counts, [("strace", "c100", "millrace")])

    def test_micro_benchmarks_take_turns(self):
        laboratory = Laboratory({}, failing=("b",))
        results = self.compare(laboratory, parts=["micro"], benchmarks=("a", "b"))
        self.assertEqual(laboratory.runs, ["a", "b", "b", "a"])
        self.assertEqual(results["micro"], {"Posts/Busy/1": {"a": [2.0, 2.0]}})
        self.assertEqual(results["problems"], ["Posts/Busy/4: no thread", "b: no JSON"])


class ShapesTest(unittest.TestCase):

    def test_what_the_client_is_told(self):
        self.assertEqual(
            shapes.SHAPES["pipe"].load_flags(2.0),
            ["--threads=1", "--mode=echo", "--connections=100", "--message_bytes=64",
             "--pipeline=16", "--warmup=0s", "--duration=2s"])
        self.assertNotIn("--pipeline=1", shapes.SHAPES["churn"].load_flags(2.0))
        self.assertEqual(
            shapes.SHAPES["framed"].idle_flags(0.5),
            ["--threads=1", "--mode=idle", "--connections=100", "--warmup=0s", "--duration=0.5s"])

    def test_some_may_be_chosen(self):
        self.assertEqual([shape.key for shape in shapes.named("m64k,c1", [])], ["m64k", "c1"])
        self.assertEqual([shape.key for shape in shapes.named(None, ["c10"])], ["c10"])
        with self.assertRaisesRegex(ValueError, "no shape 'c2'"):
            shapes.named("c2", [])


class ArgumentsTest(unittest.TestCase):

    def test_quick_is_less_of_everything(self):
        quick = compare.parse_arguments(["--quick"]).settings
        full = compare.parse_arguments([]).settings
        self.assertLess(quick.rounds, full.rounds)
        self.assertLess(quick.seconds, full.seconds)
        self.assertLess(len(quick.shapes), len(full.shapes))
        self.assertGreaterEqual(full.rounds, 5)
        self.assertEqual(len(full.shapes), len(shapes.SHAPES))

    def test_what_is_said_counts_more_than_quick(self):
        settings = compare.parse_arguments(["--quick", "--rounds=3", "--shapes=m1m"]).settings
        self.assertEqual((settings.rounds, [shape.key for shape in settings.shapes]), (3, ["m1m"]))
        self.assertEqual(settings.counted_shapes, [])

    def test_a_peer_that_is_not_there_is_refused(self):
        with contextlib.redirect_stderr(io.StringIO()) as told, self.assertRaises(SystemExit):
            compare.parse_arguments(["--peers=raw,muduo"])
        self.assertIn("no peer 'muduo'", told.getvalue())

    def refusal(self, *arguments):
        with contextlib.redirect_stderr(io.StringIO()) as told, self.assertRaises(SystemExit) as end:
            compare.parse_arguments(arguments)
        self.assertEqual(end.exception.code, 2)
        return told.getvalue().strip().split("\n")[-1]

    def test_what_makes_no_sense_is_refused(self):
        self.assertIn("--rounds=0: at least 1", self.refusal("--rounds=0"))
        for seconds in ("0", "-1", "nan", "inf"):
            self.assertIn("--duration=%s: more than 0" % seconds,
                          self.refusal("--duration=" + seconds))
        self.assertIn("--parts is empty", self.refusal("--parts="))
        self.assertIn("no part 'sped'", self.refusal("--parts=sped"))
        self.assertIn("--qui", self.refusal("--qui"))

    def test_a_check_is_always_the_same(self):
        self.assertIs(compare.parse_arguments(["--check"]).settings, compare.CHECK)
        for other in ("--quick", "--rounds=5", "--parts=memory", "--write-docs"):
            self.assertIn("not with " + other.split("=")[0], self.refusal("--check", other))

    def test_what_was_not_asked_for_is_named(self):
        settings = compare.parse_arguments(["--parts=speed,memory", "--shapes=c1"]).settings
        lines = compare.not_asked_for(settings)
        self.assertIn("system calls: not asked for", lines)
        self.assertIn("micro: not asked for", lines)
        self.assertIn("`m1m`", lines[-1])
        self.assertNotIn("`c1`", lines[-1])

    def test_the_command_names_no_folder(self):
        args = compare.parse_arguments(
            ["--quick", "--rounds=3", "--json=/tmp/x.json", "--output=/tmp/y", "--programs=/tmp/z"])
        self.assertEqual(compare.own_command(args),
                         "tools/bazel run //benchmarks:compare -- --quick --rounds=3 --write-docs")


class FilesTest(unittest.TestCase):

    def read(self, text):
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            file.write(text)
            file.flush()
            return compare.read_json(file.name)

    def test_results_are_read_again(self):
        results = dict(comparing.empty_results(), servers=[], settings={})
        self.assertEqual(self.read(json.dumps(results)), results)

    def test_what_are_no_results_is_refused(self):
        for text, reason in (("{", "JSON"), ("[]", "no "), ("3", "JSON"), ("{}", "no allocations, ")):
            with self.assertRaisesRegex(OSError, reason):
                self.read(text)

    def test_where_a_label_is_built(self):
        self.assertEqual(building.path_in("/b", "//tools/loadgen"), "/b/tools/loadgen/loadgen")
        self.assertEqual(building.path_in("/b", "//benchmarks:x"), "/b/benchmarks/x")

    def test_a_program_that_is_not_there_is_named(self):
        with tempfile.TemporaryDirectory() as folder:
            with self.assertRaisesRegex(OSError, "no program %s/examples/echo/echo" % folder):
                building.find("/", folder, ["//examples/echo"])


if __name__ == "__main__":
    unittest.main()
