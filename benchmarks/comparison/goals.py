# SPDX-License-Identifier: Apache-2.0
"""What Millrace is to reach, and the gates that it must not leave. In one place, for tables and CI.

A goal is reached in comparison with others, by the clock, or by counting. What is counted does not
depend on the machine's mood, so there a goal is a gate too: `compare.py --check` fails beyond it.
"""

import dataclasses

from benchmarks.comparison import figures
from benchmarks.comparison.figures import Figure

# Of gates of instructions, whose count varies a little; and of all others that stand where we are,
# since their goal is not reached yet.
SLACK = 0.10
# A difference of two runs is divided by thousands of messages: a few stray ones are no cost.
TINY = 0.005

# Ratios, of which more is better: to the yardstick's run, or of two of our own.
RATIOS = ("cpu", "rate", "loops", "broadcast")
COUNTED = ("system_calls", "instructions", "allocations", "memory")

OWN = "millrace"
# With us in each row: the yardstick, and other ways of our own.
NO_PEERS = (OWN, "raw", "raw_single")


@dataclasses.dataclass(frozen=True)
class Goal:
    part: str  # Of the results.
    row: str  # A shape, a moment of the memory's, or a row of the micro-benchmarks.
    limit: float
    title: str
    last: float = None  # While the goal is not reached: what was measured last.

    @property
    def more_is_better(self):
        return self.part in RATIOS or self.part == "micro_rate"

    @property
    def gate(self):
        """What a check fails beyond; None if this depends on the clock."""
        if self.part not in COUNTED:
            return None
        if self.last is None and self.part != "instructions":
            return self.limit
        return (self.last or self.limit) * (1 + SLACK)


CPU = "CPU time, "
GOALS = [
    Goal("cpu", "c1", 1.0, CPU + "1 connection"),
    Goal("rate", "c1_busy", 2.0, "messages/s, 1 connection, polling before it sleeps"),
    Goal("cpu", "c10", 1.0, CPU + "10 connections"),
    Goal("cpu", "c100", 1.0, CPU + "100 connections"),
    Goal("cpu", "c1000", 1.0, CPU + "1,000 connections"),
    Goal("cpu", "m4k", 1.0, CPU + "messages of 4 KiB"),
    Goal("cpu", "m16k", 1.0, CPU + "messages of 16 KiB"),
    Goal("cpu", "m64k", 1.0, CPU + "messages of 64 KiB"),
    Goal("cpu", "m1m", 1.6, CPU + "messages of 1 MiB"),
    Goal("cpu", "pipe", 1.0, CPU + "16 messages in flight on each of 100"),
    Goal("cpu", "framed", 0.9, CPU + "16 requests in flight, a reply to each"),
    Goal("cpu", "churn", 1.05, CPU + "a connection for each message"),
    Goal("loops", "c100_2loops", 1.0, CPU + "2 loops against 1 loop"),
    Goal("system_calls", "c100", 2.05, "system calls per message, 100 connections"),
    Goal("system_calls", "churn", 7.4, "system calls per connection with one message"),
    Goal("instructions", "c100", 200, "instructions per message, 100 connections"),
    Goal("allocations", "c100", 0, "allocations per message, 100 connections"),
    Goal("memory", "silent", 320, "bytes per connection, silent"),
    Goal("memory", "small", 320, "bytes per connection, after 64 B"),
    Goal("memory", "large", 320, "bytes per connection, after 16 KiB and 1 s"),
    Goal("micro", "Timers/AddCancel/1000000", 10, "timers, 1 M outstanding: add and cancel, ns"),
    Goal("micro", "Timers/Rearm/1000000", 50, "timers, 1 M outstanding: re-arm, ns"),
    Goal("micro", "Timers/AddFire/1000000", 150, "timers, 1 M outstanding: add and fire, ns"),
    Goal("micro_rate", "Posts/Busy/1", 17, "posts to a busy loop, 1 producer, million/s"),
    Goal("micro_rate", "Posts/Busy/4", 17, "posts to a busy loop, 4 producers, million/s"),
    Goal("copies", "Broadcast/Copies/1024/1", 1, "broadcast of 1 KiB: copies in memory"),
    Goal("broadcast", "Broadcast/Burst/1024/1", 3.0, "broadcast of 1 KiB: deliveries/s, to a loop that copies"),
    Goal("broadcast", "Broadcast/Burst/1024/16", 3.0, "the same, 16 messages at once"),
]

# CPU ratios to raw LT of muduo, which no package archive has: measured on another occasion.
QUOTED_MUDUO = {"c10": 0.92, "c100": 0.94, "c1000": 0.92}
MUDUO_GOAL = 1.05


def limit_of(part, row):
    """The goal of a cell in a table; None if there is none."""
    return next((goal.limit for goal in GOALS if (goal.part, goal.row) == (part, row)), None)


# --- What became of them ---------------------------------------------------------------------------

def divided(values, by):
    return Figure.of([value / other for value, other in zip(values, by) if other])


def measured(results, part, row):
    """{who: Figure} of all that have been measured in it.

    What is counted is a difference of two runs, which may fall a little below nothing.
    """
    if part in ("cpu", "rate"):
        found = results["shapes"].get(row, {}).get(part, {})
    elif part == "loops":
        cpu = {key: kept["cpu"].get(OWN, []) for key, kept in results["shapes"].items()}
        return without_none({OWN: divided(cpu.get(row, []), cpu.get("c100", []))})
    elif part == "broadcast":
        ways = results["micro"].get(row, {})
        return without_none({OWN: divided(ways.get("Handles", []), ways.get("Group", []))})
    elif part == "memory":
        servers = results["memory"].get("servers", {})
        found = {who: [max(kept[row], 0.0)] for who, kept in servers.items() if kept}
    elif part == "copies":
        return without_none({OWN: Figure.of(results["micro"].get(row, {}).get("Group", []))})
    elif part in ("micro", "micro_rate"):
        found = results["micro"].get(row, {})
        if part == "micro_rate":
            found = {who: [1000 / ns for ns in values] for who, values in found.items()}
    else:
        found = {who: [max(value, 0.0)] for who, value in results[part].get(row, {}).items()
                 if value is not None}
    return without_none({who: Figure.of(values) for who, values in found.items()})


def without_none(found):
    return {who: figure for who, figure in found.items() if figure}


@dataclasses.dataclass(frozen=True)
class Standing:
    """A goal, and how far we are: beside the best of the others, in the same run."""
    goal: Goal
    own: Figure = None
    best_name: str = ""  # Its key; "" if no other was measured.
    best: Figure = None

    @property
    def verdict(self):
        if self.own is None:
            return "not measured"
        if self.goal.part in RATIOS:
            return figures.verdict(self.own, self.goal.limit)
        if self.goal.more_is_better:
            return "met" if self.own.median >= self.goal.limit else "not met"
        return figures.verdict_of_cost(self.own.median, self.goal.limit + TINY)

    @property
    def ahead(self):
        """Whose figure is better: OWN, the other's name, or "level"; "" if there is no other."""
        if self.own is None or self.best is None:
            return ""
        own, best = self.own.median, self.best.median
        scale = 1.0 if self.goal.part in RATIOS else max(own, best)
        if abs(own - best) <= max(figures.NOISE * scale, TINY):
            return "level"
        return OWN if (own > best) == self.goal.more_is_better else self.best_name


def standing(goal, results):
    found = measured(results, goal.part, goal.row)
    peers = {who: figure for who, figure in found.items() if who not in NO_PEERS and who.islower()}
    choose = max if goal.more_is_better else min
    best = choose(peers, key=lambda who: peers[who].median) if peers else ""
    return Standing(goal, found.get(OWN), best, peers.get(best))


def standings(results):
    return [standing(goal, results) for goal in GOALS]


# --- Gates -----------------------------------------------------------------------------------------

@dataclasses.dataclass(frozen=True)
class Gate:
    goal: Goal
    value: float = None  # None: it could not be measured.

    @property
    def exceeded(self):
        return self.value is None or self.value > self.goal.gate + TINY

    def cells(self):
        goal = self.goal
        found = "not measured" if self.value is None else figures.brief(max(self.value, 0))
        reached = self.value is not None and self.value <= goal.limit + TINY
        return [goal.title, found, figures.brief(goal.gate), figures.brief(goal.limit),
                "EXCEEDED" if self.exceeded else "goal met" if reached else "kept, goal not met"]


def gates(results):
    """What was counted of ours, beside what it must not pass."""
    found = []
    for goal in GOALS:
        if goal.gate is not None:
            own = measured(results, goal.part, goal.row).get(OWN)
            found.append(Gate(goal, own and own.median))
    return found
