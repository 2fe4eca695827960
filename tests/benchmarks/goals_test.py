# SPDX-License-Identifier: Apache-2.0
"""Whether goals are reached, who is ahead, and which gates are exceeded."""

import unittest

from benchmarks.comparison import comparing, goals, shapes
from benchmarks.comparison.goals import Gate, Goal, Standing


def results_of(**parts):
    return {**comparing.empty_results(), **parts}


def memory_of(silent, small, large):
    return {"servers": {"millrace": {"silent": silent, "small": small, "large": large}}}


class StandingTest(unittest.TestCase):

    def stand(self, part, row, results):
        goal = next(goal for goal in goals.GOALS if (goal.part, goal.row) == (part, row))
        return goals.standing(goal, results)

    def cpu(self, **servers):
        return self.stand("cpu", "c100", results_of(shapes={"c100": {"cpu": servers, "rate": {}}}))

    def instructions(self, **servers):
        return self.stand("instructions", "c100", results_of(instructions={"c100": servers}))

    def test_a_better_peer_is_ahead(self):
        found = self.cpu(millrace=[1.0, 1.0], libuv=[1.05], asio=[0.9])
        self.assertEqual((found.verdict, found.best_name, found.ahead), ("met", "libuv", "libuv"))

    def test_what_cannot_be_told_apart_is_level(self):
        self.assertEqual(self.cpu(millrace=[1.0], libuv=[1.02]).ahead, "level")
        self.assertEqual(self.instructions(millrace=200.0, libuv=202.0).ahead, "level")

    def test_next_to_nothing_is_nothing(self):
        found = self.stand("allocations", "c100", results_of(
            allocations={"c100": {"millrace": 0.0001, "asio": 0.0}}))
        self.assertEqual((found.verdict, found.ahead), ("met", "level"))

    def test_of_what_is_counted_less_is_better(self):
        found = self.instructions(millrace=190.0, libuv=321.0, asio=1488.0)
        self.assertEqual((found.verdict, found.best_name, found.ahead), ("met", "libuv", "millrace"))
        self.assertEqual(self.instructions(millrace=201.0).verdict, "not met")

    def test_the_yardstick_is_no_peer(self):
        found = self.cpu(millrace=[1.0], raw=[1.2], raw_single=[2.0])
        self.assertEqual((found.best_name, found.ahead), ("", ""))

    def test_a_little_below_nothing_is_nothing(self):
        found = self.stand("allocations", "c100", results_of(
            allocations={"c100": {"millrace": -0.001, "libevent": 1.0}}))
        self.assertEqual((found.own.median, found.verdict, found.ahead), (0.0, "met", "millrace"))

    def test_two_loops_are_held_against_one(self):
        kept = {"c100": {"cpu": {"millrace": [1.0, 1.0, 2.0]}, "rate": {}},
                "c100_2loops": {"cpu": {"millrace": [0.9, 0.8, 1.7]}, "rate": {}}}
        found = self.stand("loops", "c100_2loops", results_of(shapes=kept))
        self.assertAlmostEqual(found.own.median, 0.85)
        self.assertEqual(found.verdict, "not met")

    def test_nothing_measured_is_nothing_met(self):
        verdicts = {found.verdict for found in goals.standings(results_of())}
        self.assertEqual(verdicts, {"not measured"})
        self.assertEqual(Standing(goals.GOALS[0]).ahead, "")


class GoalsTest(unittest.TestCase):

    def test_each_shape_with_a_goal_is_there(self):
        for goal in goals.GOALS:
            if goal.part in ("cpu", "rate", "loops", *goals.COUNTED[:3]):
                self.assertIn(goal.row, shapes.SHAPES)

    def test_each_gate_is_checked(self):
        for goal in goals.GOALS:
            if goal.gate is not None and goal.part != "memory":
                self.assertIn(goal.row, shapes.CHECKED_SHAPES)

    def test_cells_know_their_goal(self):
        self.assertEqual(goals.limit_of("cpu", "m1m"), 1.6)
        self.assertIsNone(goals.limit_of("cpu", "big10k"))


class GateTest(unittest.TestCase):

    def gate(self, value, limit=200, last=None, part="memory"):
        return Gate(Goal(part, "row", limit, "title", last), value)

    def test_a_goal_that_is_reached_is_the_gate(self):
        self.assertFalse(self.gate(200.0).exceeded)
        self.assertTrue(self.gate(200.1).exceeded)

    def test_short_of_the_goal_there_is_some_slack(self):
        self.assertFalse(self.gate(549.0, last=500).exceeded)
        self.assertTrue(self.gate(551.0, last=500).exceeded)

    def test_instructions_have_some_in_any_case(self):
        self.assertFalse(self.gate(219.0, part="instructions").exceeded)
        self.assertTrue(self.gate(221.0, part="instructions").exceeded)
        self.assertEqual(self.gate(219.0, part="instructions").cells()[1:],
                         ["219", "220", "200", "kept, goal not met"])

    def test_what_was_not_measured_is_not_kept(self):
        self.assertTrue(self.gate(None).exceeded)
        self.assertEqual(self.gate(None).cells()[1:], ["not measured", "200", "200", "EXCEEDED"])

    def test_what_is_printed(self):
        self.assertEqual(self.gate(150.0).cells()[1:], ["150", "200", "200", "goal met"])
        self.assertEqual(self.gate(540.0, last=500).cells()[1:],
                         ["540", "550", "200", "kept, goal not met"])
        self.assertEqual(self.gate(560.0, last=500).cells()[4], "EXCEEDED")

    def test_a_stray_allocation_is_no_cost(self):
        self.assertFalse(self.gate(0.0001, limit=0).exceeded)
        self.assertTrue(self.gate(0.01, limit=0).exceeded)

    def test_what_depends_on_the_clock_is_no_gate(self):
        parts = {gate.goal.part for gate in goals.gates(results_of())}
        self.assertEqual(parts, {"system_calls", "instructions", "allocations", "memory"})

    def test_gates_read_what_was_measured(self):
        found = {gate.goal.row: gate for gate in goals.gates(results_of(memory=memory_of(1, 2, 9000)))
                 if gate.goal.part == "memory"}
        self.assertEqual([found[row].value for row in ("silent", "small", "large")], [1, 2, 9000])
        self.assertEqual([found[row].exceeded for row in ("silent", "small", "large")],
                         [False, False, True])


if __name__ == "__main__":
    unittest.main()
