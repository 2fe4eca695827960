# SPDX-License-Identifier: Apache-2.0
"""Which runs are made, in which order, and what becomes of one that fails."""

import contextlib
import io
import types
import unittest

from benchmarks import compare
from benchmarks.comparison import comparing, shapes
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

    def measure(self, measured, shape, seconds):
        self.runs.append(measured.key)
        if measured.key in self.failing:
            raise Failed("it fell over")
        return seconds * 1000, self.cpu_us[measured.key]


class ComparingTest(unittest.TestCase):

    def compare(self, laboratory, keys=("millrace", "uv"), rounds=2, shape="c100"):
        settings = types.SimpleNamespace(
            shapes=[shapes.SHAPES[shape]], counted_shapes=[], parts=["speed"], rounds=rounds,
            seconds=1.0, count_seconds=1.0)
        with contextlib.redirect_stderr(io.StringIO()) as self.told:
            comparison = comparing.Comparison(
                laboratory, [server(key) for key in keys], server("raw"), settings)
            return comparison.run()

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
        framed = self.compare(Laboratory(costs), keys, shape="framed")["shapes"]["framed"]["cpu"]
        self.assertNotIn(comparing.SINGLE, echo)
        self.assertEqual(framed[comparing.SINGLE], [0.1, 0.1])


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

    def test_the_command_names_no_folder(self):
        args = compare.parse_arguments(
            ["--quick", "--rounds=3", "--json=/tmp/x.json", "--output=/tmp/y", "--programs=/tmp/z"])
        self.assertEqual(compare.own_command(args),
                         "tools/bazel run //benchmarks:compare -- --quick --rounds=3 --write-docs")


if __name__ == "__main__":
    unittest.main()
