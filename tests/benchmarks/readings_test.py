# SPDX-License-Identifier: Apache-2.0
"""Figures out of what tools print, and what is made of several of one kind."""

import json
import re
import unittest

from benchmarks.comparison import figures, machine, measuring, micro, readings
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
fl=(1) server.cc
fn=(1) main
16 400
cob=(2) /usr/lib/libc.so.6
cfi=(2) malloc.c
cfn=(2) malloc
calls=30 100
16 9000
cfn=(3) send
calls=500 100
17 800

fn=(4) operator new(unsigned long)
20 10
cfn=(2)
calls=4 100
20 1200
cfn=(5) realloc'2
calls=2 300
21 100

fn=(6) malloc_consolidate
calls=9 9
totals: 987654321
"""

BENCHMARKS = {"context": {"date": "today"}, "benchmarks": [
    {"name": "Timers/AddCancel/Millrace/1000/iterations:5", "run_type": "iteration",
     "real_time": 99.0, "items_per_second": 2e8},
    {"name": "Posts/Busy/Asio/4/real_time", "run_type": "iteration", "items_per_second": 5e6},
    {"name": "Posts/Busy/Asio/4/real_time_mean", "run_type": "aggregate", "items_per_second": 6e6},
    {"name": "Broadcast/Burst/Group/64/16/real_time", "run_type": "iteration",
     "items_per_second": 1e7, "copies": 2.0},
    {"name": "BM_Other", "run_type": "iteration", "real_time": 3.0}]}

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

    def test_allocations_are_calls_into_the_allocator(self):
        self.assertEqual(readings.read_allocations(CALLGRIND), 30 + 4 + 2)
        self.assertEqual(readings.read_allocations("events: Ir\n"), 0)

    def test_one_file_tells_instructions_and_allocations(self):
        self.assertEqual(measuring.Instructions().parse(CALLGRIND),
                         {"instructions": 987654321, "allocations": 36})

    def test_memory_that_is_no_files(self):
        self.assertEqual(readings.read_anonymous_bytes(SMAPS), 312 * 1024)

    def test_time_on_a_core(self):
        self.assertEqual(readings.read_schedstat("123456789 55 7\n"), 123456789)


class MicroTest(unittest.TestCase):

    def test_names_are_taken_apart(self):
        self.assertEqual(micro.read_benchmarks(json.dumps(BENCHMARKS)), ({
            ("Timers/AddCancel/1000", "millrace"): 5.0,
            ("Posts/Busy/4", "asio"): 200.0,
            ("Broadcast/Burst/64/16", "Group"): 100.0,
            ("Broadcast/Copies/64/16", "Group"): 2.0}, []))

    def test_one_that_failed_is_named_beside_the_others(self):
        failed = {"name": "Accept/Waiting/Asio/1", "run_type": "iteration", "error_occurred": True,
                  "error_message": "no port"}
        text = json.dumps({"benchmarks": [failed] + BENCHMARKS["benchmarks"]})
        found, problems = micro.read_benchmarks(text)
        self.assertEqual((len(found), problems), (4, ["Accept/Waiting/Asio/1: no port"]))

    def test_what_is_no_json_spoils_the_run(self):
        with self.assertRaises(ValueError):
            micro.read_benchmarks("Segmentation fault")

    def test_where_nothing_passes_the_filter_nothing_is_printed(self):
        self.assertEqual(micro.read_benchmarks(""), ({}, []))

    def test_quick_runs_leave_others_millions_out(self):
        def quick(name):
            return bool(re.search(micro.QUICK_FILTER, name))
        self.assertTrue(quick("Timers/AddFire/libuv/100000"))
        self.assertTrue(quick("Timers/AddFire/Millrace/1000000"))
        self.assertFalse(quick("Timers/AddFire/libuv/1000000"))

    def test_each_row_has_one_table(self):
        self.assertEqual(micro.subject_of("Posts/Busy/4").key, "Posts")
        self.assertEqual(micro.subject_of("Posts/WakeUp").key, "WakeUp")
        self.assertIsNone(micro.subject_of("Weather/Rain"))

    def test_rows_go_by_operation_and_number(self):
        timers = micro.SUBJECTS[0]
        rows = ["Timers/Rearm/1000", "Timers/AddCancel/100000", "Posts/Busy/1", "Timers/Unknown",
                "Timers/AddCancel/1000"]
        self.assertEqual(micro.rows_of(timers, rows), [
            "Timers/AddCancel/1000", "Timers/AddCancel/100000", "Timers/Rearm/1000"])

    def test_rows_are_called_by_words(self):
        self.assertEqual(micro.title_of("Timers/Rearm/1000000"), "re-arm, 1,000,000")
        self.assertEqual(micro.title_of("Broadcast/Burst/1024/16"), "1,024 B, 16 at once")

    def test_units(self):
        self.assertEqual([micro.subject_of(row).shown(50.0) for row in (
            "Timers/Rearm/1000", "Posts/Busy/1", "Posts/WakeUp")], [50.0, 20.0, 0.05])


class FiguresTest(unittest.TestCase):

    def test_the_median_with_its_ends(self):
        self.assertEqual(Figure.of([0.9, 1.2, 1.0]), Figure(1.0, 0.9, 1.2))
        self.assertEqual(str(Figure.of([0.9, 1.2, 1.0])), "1.00 (0.90-1.20)")
        self.assertEqual(str(Figure.of([2.0])), "2.00")
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
