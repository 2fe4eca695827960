# SPDX-License-Identifier: Apache-2.0
"""Figures out of what tools print, and what is made of several of one kind."""

import json
import unittest

from benchmarks.comparison import figures, machine, readings
from benchmarks.comparison.figures import Figure

STRACE = """\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 51.02    0.123456           2     61728           sendto
 48.98    0.118518           1     61800        72 recvfrom
------ ----------- ----------- --------- --------- ----------------
100.00    0.241974           1    123528        72 total
"""

CALLGRIND = """\
# callgrind format
version: 1
events: Ir
summary: 987654321

ob=(1) /usr/bin/server
totals: 987654321
"""

SMAPS = """\
55d0c8a00000-7ffd0 ---p 00000000 00:00 0     [rollup]
Rss:                3300 kB
Anonymous:           312 kB
LazyFree:              0 kB
"""


def report(**changed):
    return json.dumps({"messages": 1000, "messages_per_second": 500.0, "errors": {}, **changed})


class LoadTest(unittest.TestCase):

    def test_what_was_under_way_at_the_end_was_answered_too(self):
        self.assertEqual(readings.read_load(report(), in_flight=10), readings.Load(500.0, 1010))

    def test_a_client_that_counts_the_whole_run_knows_better(self):
        load = readings.read_load(report(messages_total=1234), in_flight=10)
        self.assertEqual(load.messages, 1234)

    def test_errors_spoil_the_run(self):
        with self.assertRaisesRegex(ValueError, "closed"):
            readings.read_load(report(errors={"closed": 1}))

    def test_silence_is_no_result(self):
        with self.assertRaisesRegex(ValueError, "no message"):
            readings.read_load(report(messages=0))


class ToolsTest(unittest.TestCase):

    def test_strace_with_errors_and_without(self):
        self.assertEqual(readings.read_system_calls(STRACE), 123528)
        without = "100.00    0.241974           1    123528           total"
        self.assertEqual(readings.read_system_calls(without), 123528)

    def test_strace_that_was_cut_off(self):
        with self.assertRaises(ValueError):
            readings.read_system_calls(STRACE[:200])

    def test_callgrind(self):
        self.assertEqual(readings.read_instructions(CALLGRIND), 987654321)
        with self.assertRaises(ValueError):
            readings.read_instructions("events: Ir\n")

    def test_memory_that_is_no_files(self):
        self.assertEqual(readings.read_anonymous_bytes(SMAPS), 312 * 1024)

    def test_time_on_a_core(self):
        self.assertEqual(readings.read_schedstat("123456789 55 7\n"), 123456789)


class FiguresTest(unittest.TestCase):

    def test_the_median_with_its_ends(self):
        self.assertEqual(Figure.of([0.9, 1.2, 1.0]), Figure(1.0, 0.9, 1.2))
        self.assertEqual(str(Figure.of([0.9, 1.2, 1.0])), "1.00 (0.90-1.20)")
        self.assertEqual(Figure.of([1.0, 2.0]).median, 1.5)
        self.assertIsNone(Figure.of([]))

    def test_digits_that_mean_something(self):
        self.assertEqual([figures.brief(each) for each in (0.0712, 2.019, 32.44, 187432.4)],
                         ["0.07", "2.02", "32.4", "187,432"])

    def test_a_goal_is_met_or_missed_or_too_near_to_tell(self):
        self.assertEqual(figures.verdict(Figure.of([1.0]), 1.0), "met")
        self.assertEqual(figures.verdict(Figure.of([0.98]), 1.0), "within the noise")
        self.assertEqual(figures.verdict(Figure.of([0.96]), 1.0), "not met")
        self.assertEqual(figures.verdict(None, 1.0), "not measured")

    def test_counts_have_no_noise(self):
        self.assertEqual(figures.verdict_of_cost(320, 320), "met")
        self.assertEqual(figures.verdict_of_cost(321, 320), "not met")
        self.assertEqual(figures.verdict_of_cost(None, 320), "not measured")


class CoresTest(unittest.TestCase):

    def choose(self, usable, groups):
        def siblings_of(core):
            return next(group for group in groups if core in group)
        return machine.choose_cores(usable, siblings_of)

    def test_two_halves_of_one_core_are_avoided(self):
        self.assertEqual(self.choose({0, 1, 2, 3}, [{0, 1}, {2, 3}]), (0, 2))

    def test_halves_are_better_than_nothing(self):
        self.assertEqual(self.choose({4, 5}, [{4, 5}]), (4, 5))

    def test_one_core_is_shared(self):
        self.assertEqual(self.choose({3}, [{3}]), (3, 3))


if __name__ == "__main__":
    unittest.main()
